// SPDX-License-Identifier: Apache-2.0
// The table of SECURITY.md. If it is not what a run found, the run writes it, and fails, so that the document cannot
// differ from what was tried.
import { readFileSync, writeFileSync } from 'node:fs';
import { LEEWAY } from './provider.mjs';

const DOCUMENT = new URL('../../SECURITY.md', import.meta.url);
const [BEGIN, END] = ['<!-- faults: begin -->\n', '\n<!-- faults: end -->'];

const line = (cells) => `| ${cells.join(' | ')} |`;

const HEAD = ['the reply to one refresh', 'strict rotation', `leeway of ${LEEWAY} s`, 'no rotation', 'the vault asks again by itself'];

/** Compares the rows with the document; returns the number of differences, which it has written then. */
export function compare(rows) {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error('SECURITY.md lacks the marks of the table of faults');
  const table = [HEAD, HEAD.map(() => '---'), ...rows].map(line).join('\n');
  if (text.slice(from + BEGIN.length, to) === table) return 0;
  writeFileSync(DOCUMENT, text.slice(0, from + BEGIN.length) + table + text.slice(to));
  console.log('not ok - the table in SECURITY.md was another one; it is written now');
  return 1;
}
