// SPDX-License-Identifier: Apache-2.0
// Runs all measurements, prints a table, and writes the numbers and the plot.
//
// Usage: node bench/run.mjs RESULT.json PLOT.svg, with the built Worker's directory in BENCH_BUILD
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import * as cases from './cases.mjs';
import { show } from './numbers.mjs';
import { plot } from './plot.mjs';
import { budget, size } from './size.mjs';
import { ACTIVE_USERS, Exchange, Hop } from './subjects.mjs';

const SECONDS = 4;
const GROWTH_SECONDS = 2;
const TOUCHED_USERS = 200;

const [resultFile, plotFile] = process.argv.slice(2);
if (!process.env.BENCH_BUILD || !resultFile || !plotFile) {
  throw new Error('usage: BENCH_BUILD=DIR node bench/run.mjs RESULT.json PLOT.svg');
}

/** The limits that the results are compared with: ratios at least, the size at most. */
const BARS = {
  remembered_to_peer: 1.0,
  remembered_to_hop: 0.75,
  unknown_to_peer: 0.8,
  refresh_token_remembered: 0.9,
  refresh_token_unknown: 0.6,
  wasm_gzip: budget(),
};

async function measure() {
  /** @type {any} */
  const subjects = {};
  try {
    for (const kind of ['vault', 'peer']) {
      subjects[kind] = await (await Exchange.start(kind)).connect(TOUCHED_USERS + 1);
    }
    subjects.hop = await Hop.start();
    step('first exchange of users whose object is not in memory');
    const firstTouch = await cases.firstTouch(subjects, TOUCHED_USERS);
    for (const kind of ['vault', 'peer']) subjects[kind].users.length = ACTIVE_USERS;
    step('warm exchange');
    const warm = await cases.warm(subjects, SECONDS);
    step('cold start');
    const cold = await cases.cold(subjects);
    step('connect');
    const connect = await cases.connecting(subjects);
    return { warm, cold, first_touch: firstTouch, connect };
  } finally {
    for (const subject of Object.values(subjects)) await /** @type {any} */ (subject).close();
  }
}

function step(title) {
  console.log(`    ${title}…`);
}

function table(result) {
  const { warm, cold, first_touch: touch, connect, refresh, signed_in: own, growth, size } = result;
  const row = (name, ...cells) => console.log(`${name.padEnd(46)}${cells.map((cell) => cell.padEnd(27)).join('')}`);
  const each = (title, get, digits) => row(title, ...['vault', 'peer', 'hop'].map((name) => {
    const value = get(name);
    return value ? show(value, digits) : '';
  }));
  console.log('\nMedian of five runs in turn (least to most)\n');
  row('', 'vault', 'JavaScript peer', 'one hop, a constant');
  each('warm exchange, per second', (name) => warm.remembered[name].per_second, 0);
  each('  CPU per exchange, ms', (name) => warm.remembered[name].cpu_ms, 3);
  each('  99th percentile, ms', (name) => warm.remembered[name].p99_ms);
  each('with tokens seen for the first time, per second', (name) => warm.unknown[name]?.per_second, 0);
  each('  CPU per exchange, ms', (name) => warm.unknown[name]?.cpu_ms, 3);
  each('cold start to the first answer, ms', (name) => cold[name].start_ms, 0);
  each('first exchange of an isolate, ms', (name) => cold[name].first_exchange_ms, 1);
  each('first exchange of an object, ms', (name) => touch[name]?.median_ms);
  each('connect, ms', (name) => connect[name]?.ms, 1);
  each('refresh with 50 who wait, ms', (name) => refresh[name]?.ms, 1);
  row('exchange by the vault’s access token, per second', show(own.remembered.access.per_second, 0));
  row('exchange by refresh token, per second', show(own.remembered.refresh.per_second, 0));
  row('  seen for the first time in five seconds', show(own.unknown.refresh.per_second, 0));
  row('authorization code grant, ms', show(own.code_ms, 1));
  row('refresh token grant, ms', show(own.refresh_ms, 1));
  for (const [what, steps] of Object.entries(growth)) {
    for (const { step: count, per_second: rate, to_first: ratio } of steps) {
      row(`vault with ${count} ${what}, per second`, show(rate, 0), `× ${show(ratio)}`);
    }
  }
  console.log();
  const bar = (name, text, holds) => row(name, text, holds ? 'holds' : 'MISSED');
  const ratios = { ...warm.ratios, ...own.ratios };
  for (const [name, least] of Object.entries(BARS).filter(([key]) => key in ratios)) {
    const ratio = ratios[name];
    bar(`${name}, at least ${least}`, show(ratio), ratio.median >= least);
  }
  bar(`wasm gzip, at most ${BARS.wasm_gzip}`, `${size.wasm.gzip} of ${size.wasm.bytes}`, size.wasm.gzip <= BARS.wasm_gzip);
}

const measured = await measure();
step('refresh');
const refresh = await cases.refresh();
step('exchange by refresh token, and the grants of the OpenID provider');
const signedIn = await cases.signedIn(SECONDS);
step('growth');
const growth = await cases.growth(GROWTH_SECONDS);
const [{ model }] = cpus();
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { processor: model, cores: availableParallelism() },
  bars: BARS,
  size: size(process.env.BENCH_BUILD),
  ...measured,
  refresh,
  signed_in: signedIn,
  growth,
};
table(result);
writeFileSync(resultFile, `${JSON.stringify(result, null, 2)}\n`);
writeFileSync(plotFile, plot(result));
