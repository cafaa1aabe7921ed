// SPDX-License-Identifier: Apache-2.0
// Runs all measurements, writes the numbers and the plot, and prints the tables.
//
// Usage: node bench/run.mjs RESULT.json PLOT.svg, with the built Worker's directory in BENCH_BUILD
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { WASM_GZIP, compare } from './bars.mjs';
import * as cases from './cases.mjs';
import { spread } from './numbers.mjs';
import { plot } from './plot.mjs';
import { goFirst } from './priority.mjs';
import { print } from './report.mjs';
import { size } from './size.mjs';
import { ACTIVE_USERS, Exchange, Hop } from './subjects.mjs';

const TOUCHED_USERS = 60;

const [resultFile, plotFile] = process.argv.slice(2);
if (!process.env.BENCH_BUILD || !resultFile || !plotFile) {
  throw new Error('usage: BENCH_BUILD=DIR node bench/run.mjs RESULT.json PLOT.svg');
}

goFirst();

/** Runs one measurement and says so. */
async function step(title, measure) {
  const begun = performance.now();
  const result = await measure();
  console.log(`    ${title}: ${Math.round((performance.now() - begun) / 1000)} s`);
  return result;
}

async function exchanges() {
  /** @type {any} */
  const subjects = {};
  const only = (...names) => Object.fromEntries(names.map((name) => [name, subjects[name]]));
  const all = /** @type {const} */ (['vault', 'vault_without_lease', 'peer_with_lease', 'peer']);
  try {
    await step('start', async () => {
      for (const kind of all) subjects[kind] = await (await Exchange.start(kind)).connect(TOUCHED_USERS + 1);
      subjects.hop = await Hop.start();
    });
    const firstTouch = await step('first exchange of an object', () => cases.firstTouch(only('vault', 'peer')));
    for (const kind of all) subjects[kind].users.length = ACTIVE_USERS;
    const warm = await step('warm exchange', () => cases.warm(subjects));
    const firstSeen = await step('subject tokens seen for the first time', () => cases.firstSeen(only(...all)));
    const connect = await step('connect', () => cases.connecting(only('vault', 'peer')));
    const cold = await step('cold start', () => cases.cold(only('vault', 'peer', 'hop')));
    return { warm, first_seen: firstSeen, first_touch: firstTouch, connect, ...cold };
  } finally {
    for (const subject of Object.values(subjects)) await subject.close();
  }
}

/** The median and the quartiles of each number of the runs, by group, subject and member. */
function summary(groups) {
  const mapped = (object, make) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, make(value)]));
  return mapped(groups, (subjects) => mapped(subjects, (runs) => (
    Object.fromEntries(Object.keys(runs[0]).map((member) => [member, spread(runs.map((run) => run[member]))]))
  )));
}

/** @type {any} */
const groups = {
  ...await exchanges(),
  refresh: await step('refresh with 50 who wait', cases.refresh),
  ...await step('the vault as an OpenID provider', cases.signedIn),
};
const growth = await step('growth', cases.growth);
const { wasm, script } = size(process.env.BENCH_BUILD);
const [{ model }] = cpus();
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { processor: model, cores: availableParallelism() },
  comparisons: compare(groups),
  size: { wasm, script, most: WASM_GZIP },
  groups: summary(groups),
  growth,
};
writeFileSync(resultFile, `${JSON.stringify(result, null, 2)}\n`);
writeFileSync(plotFile, plot(result));
print(result);
