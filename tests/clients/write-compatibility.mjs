// SPDX-License-Identifier: Apache-2.0
// Writes docs/compatibility.md from what the tests of this directory found. Fails if the document was another one,
// so that it cannot differ from what was tried.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { FAILURES, RESULTS, USES } from './compatibility.mjs';

const DOCUMENT = new URL('../../docs/compatibility.md', import.meta.url);
const SOURCES = new URL('./', import.meta.url);

// Written by hand: what the other tests try.
const QUIRKS = readFileSync(new URL('issuers-and-providers.md', SOURCES), 'utf8');

const results = readdirSync(RESULTS)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(new URL(file, RESULTS), 'utf8')))
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const row = (...cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n');

const overview = table(
  ['package', 'version', 'settings'],
  results.map(({ name, version, registry, settings }) => [`\`${name}\``, `${version} (${registry})`, settings.join('; ')]),
);

const tried = results.filter((result) => result.tried);
const noted = results.filter((result) => result.passed);

const uses = Object.keys(USES);
const matrix = table(
  ['package', ...uses.map((_, index) => `${index + 1}`)],
  tried.map(({ name, tried }) => [`\`${name}\``, ...uses.map((topic) => (tried[topic] ? 'yes' : '–'))]),
);

const failures = Object.entries(FAILURES).map(([topic, title]) => {
  const rows = tried.filter(({ tried }) => tried[topic]).map(({ name, tried }) => [`\`${name}\``, tried[topic]]);
  return `### If ${title}\n\n${table(['package', 'what the application sees'], rows)}\n`;
});

const titleOf = (topic) => USES[topic] ?? `if ${FAILURES[topic]}`;
const absent = tried
  .filter(({ without }) => Object.keys(without).length > 0)
  .map(({ name, without }) => {
    const byReason = Map.groupBy(Object.keys(without), (topic) => without[topic]);
    const reasons = [...byReason].map(([why, topics]) => `  - ${topics.map(titleOf).join('; ')}: ${why}`);
    return `- \`${name}\`\n${reasons.join('\n')}`;
  });

const more = noted.map(({ name, passed }) => `- \`${name}\`\n${passed.map((title) => `  - ${title}`).join('\n')}`);

const text = `# Compatibility

The tests of \`tests/clients/\` install published packages, unmodified, and use each of them with a vault on https that
signs users in. \`cargo xtask test clients\` runs them and writes this document.

## Packages and settings

${overview}

## What was tried

Each package:

${Object.values(USES).map((title, index) => `${index + 1}. ${title}`).join('\n')}

${matrix}

These packages have tests of their own:

${more.join('\n')}

## What applications see if an exchange fails

${failures.join('\n')}
## What was not tried, and why

${absent.join('\n')}

${QUIRKS}`;

const read = () => {
  try {
    return readFileSync(DOCUMENT, 'utf8');
  } catch {
    return '';
  }
};

// Where a package cannot be tried (no Chromium), the document stays as it is.
const packages = readdirSync(SOURCES).filter((file) => file.endsWith('.test.mjs')).length;
if (results.length < packages) {
  console.log(`docs/compatibility.md was not compared: ${results.length} of ${packages} packages were tried`);
} else if (read() !== text) {
  writeFileSync(DOCUMENT, text);
  console.error('docs/compatibility.md was not what the tests found; it is written now');
  process.exitCode = 1;
}
