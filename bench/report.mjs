// SPDX-License-Identifier: Apache-2.0
// Prints the results as the tables of docs/performance.md, and writes the plot.
//
// Usage: node bench/report.mjs RESULT.json [PLOT.svg], for the results of an earlier run
import { readFileSync, writeFileSync } from 'node:fs';
import { SUBJECTS, barOf } from './bars.mjs';
import { show } from './numbers.mjs';
import { plot } from './plot.mjs';

/** Prints the tables of a result, and writes its plot if a file is named. */
export function report(result, plotFile) {
  console.log(`\n${[comparisons(result), figures(result), provider(result), growth(result)].join('\n\n')}\n`);
  if (plotFile) writeFileSync(plotFile, plot(result));
}

const kilo = (count) => count.toLocaleString('en');

const verdict = (holds) => (holds ? 'holds' : '**MISSED**');

function comparisons({ comparisons: all, size: { wasm, most } }) {
  const rows = all.map((one) => [
    `${one.title}, ${one.detail}`, barOf(one), show(one.ratio), show(one.cpu_ratio), verdict(one.holds),
  ]);
  const size = ['wasm, bytes gzip', `≤ ${kilo(most)}`, kilo(wasm.gzip), '', verdict(wasm.gzip <= most)];
  return table(['', 'bar', 'ratio', 'ratio of CPU times', ''], [...rows, size]);
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
  return table(['', ...COLUMNS.map((name) => SUBJECTS[name])], rows);
}

function provider({ groups: { signed_in: used, long_unused: unused, grants } }) {
  return table(['', 'vault'], [
    ['exchange by its own access token, per second', show(used.access_token.perSecond, 0)],
    ['exchange by refresh token, used again within five seconds, per second', show(used.refresh_token.perSecond, 0)],
    ['exchange by refresh token, not used in the last five seconds, per second', show(unused.refresh_token.perSecond, 0)],
    ['authorization code grant, ms', show(grants.code.ms, 1)],
    ['refresh token grant, ms', show(grants.refresh.ms, 1)],
  ]);
}

function growth({ growth: all }) {
  const rows = Object.entries(all).flatMap(([what, steps]) => steps.map(({ step, perSecond, to_first: ratio }) => (
    [`${kilo(step)} ${what}`, show(perSecond, 0), show(ratio)]
  )));
  return table(['warm exchange without lease', 'per second', 'relative to the first'], rows);
}

/** A Markdown table whose columns are aligned, so that it can be read as it is. */
function table(head, rows) {
  const widths = head.map((_, index) => Math.max(3, ...[head, ...rows].map((row) => row[index].length)));
  const line = (cells) => `| ${cells.map((cell, index) => cell.padEnd(widths[index])).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

if (import.meta.filename === process.argv[1]) {
  const [resultFile, plotFile] = process.argv.slice(2);
  report(JSON.parse(readFileSync(resultFile, 'utf8')), plotFile);
}
