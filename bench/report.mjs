// SPDX-License-Identifier: Apache-2.0
// Prints the results, and writes them into docs/performance.md.
//
// Usage: node bench/report.mjs RESULT.json [--write], for the results of an earlier run
import { readFileSync, writeFileSync } from 'node:fs';
import { SUBJECTS, barOf } from './bars.mjs';
import { writeDocuments } from './model/documents.mjs';
import { replace, table } from './model/text.mjs';
import { show } from './numbers.mjs';
import { plot } from './plot.mjs';

/** The tables, by the name of their part of docs/performance.md; the first row of each is its head. */
const tables = (result) => ({
  bars: bars(result),
  figures: figures(result),
  provider: provider(result),
  growth: growth(result),
});

/** Prints the tables of a result. */
export function print(result) {
  console.log(`\n${Object.values(tables(result)).map(aligned).join('\n\n')}\n`);
}

/** Writes the tables and the plot into the documents, and what the model computes of them. */
function write(result) {
  const file = (path) => new URL(`../docs/${path}`, import.meta.url);
  const page = file('performance.md');
  const written = Object.entries(tables(result)).reduce(
    (text, [name, rows]) => replace(text, name, table(rows)),
    readFileSync(page, 'utf8'),
  );
  writeFileSync(page, written);
  writeFileSync(file('speed.svg'), plot(result));
  writeDocuments();
}

const kilo = (count) => count.toLocaleString('en');
const verdict = (holds) => (holds ? 'holds' : '**missed**');

function bars({ comparisons, size: { wasm, most } }) {
  const rows = comparisons.map((one) => [
    `${one.title}, ${one.detail}`, barOf(one), show(one.ratio), show(one.cpu_ratio), verdict(one.holds),
  ]);
  const size = ['wasm, bytes gzip', `≤ ${kilo(most)}`, kilo(wasm.gzip), '', verdict(wasm.gzip <= most)];
  return [['', 'bar', 'ratio', 'ratio of CPU times', ''], ...rows, size];
}

/** The rows of figures: their title, the group, and the member with its digits. */
const FIGURES = [
  ['warm exchange, per second', 'warm', 'perSecond', 0],
  ['CPU per warm exchange, ms', 'warm', 'cpu', 3],
  ['99th percentile, ms', 'warm', 'p99', 1],
  ['CPU of the load per warm exchange, ms', 'warm', 'load', 3],
  ['time without a processor, of the time', 'warm', 'waited', 2],
  ['with subject tokens seen for the first time, per second', 'first_seen', 'perSecond', 0],
  ['CPU per such exchange, ms', 'first_seen', 'cpu', 3],
  ['cold start to the first answer, ms', 'cold_start', 'ms', 1],
  ['of it until the runtime listens, ms', 'cold_start', 'listening', 1],
  ['first exchange of an isolate, ms', 'first_exchange', 'ms', 1],
  ['first exchange of an object, ms', 'first_touch', 'ms', 2],
  ['connect, provider included, ms', 'connect', 'ms', 1],
  ['CPU per connect, ms', 'connect', 'cpu', 1],
  ['refresh with 50 waiting callers, ms', 'refresh', 'ms', 1],
  ['CPU per refresh with 50 waiting callers, ms', 'refresh', 'cpu', 1],
];

const COLUMNS = ['vault', 'vault_without_lease', 'peer_with_lease', 'peer', 'hop'];

function figures({ groups }) {
  const rows = FIGURES.map(([title, group, member, digits]) => [
    title,
    ...COLUMNS.map((name) => (groups[group][name] ? show(groups[group][name][member], Number(digits)) : '')),
  ]);
  return [['', ...COLUMNS.map((name) => SUBJECTS[name])], ...rows];
}

function provider({ groups: { signed_in: used, long_unused: unused, grants } }) {
  return [
    ['', 'vault'],
    ['exchange by its own access token, per second', show(used.access_token.perSecond, 0)],
    ['exchange by refresh token, used again within five seconds, per second', show(used.refresh_token.perSecond, 0)],
    ['exchange by refresh token, not used in the last five seconds, per second', show(unused.refresh_token.perSecond, 0)],
    ['authorization code grant, ms', show(grants.code.ms, 1)],
    ['refresh token grant, ms', show(grants.refresh.ms, 1)],
  ];
}

function growth({ growth: all }) {
  const rows = Object.entries(all).flatMap(([what, steps]) => steps.map(({ step, perSecond, to_first: ratio }) => (
    [`${kilo(step)} ${what}`, show(perSecond, 0), show(ratio)]
  )));
  return [['warm exchange without lease', 'per second', 'relative to the first'], ...rows];
}

/** A table for terminals. */
function aligned(rows) {
  const widths = rows[0].map((_, index) => Math.max(...rows.map((row) => row[index].length)));
  return rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index])).join('  ').trimEnd()).join('\n');
}

if (import.meta.filename === process.argv[1]) {
  const [resultFile, option] = process.argv.slice(2);
  const result = JSON.parse(readFileSync(resultFile, 'utf8'));
  if (option === '--write') write(result);
  else print(result);
}
