// SPDX-License-Identifier: Apache-2.0
// What operations cost at list prices: from the counts that tests/e2e/cost.test.mjs measures, and prices.mjs.
import { LEASE_SECONDS, hopShare } from './latency.mjs';
import { NEXT_LOG, OBJECT_MEMORY, PLAN, PRICES, PRICES_READ, PRICE_PAGES, STORAGE } from './prices.mjs';
import { between, table } from './text.mjs';

/**
 * What an operation is billed for: requests to the Worker and to objects, rows read, and rows and alarms written.
 *
 * @typedef {{ worker: number, objects: number, read: number, written: number }} Counts
 */

/** They, in the order of the columns of docs/operations.md. */
const COUNTED = /** @type {const} */ (['worker', 'objects', 'read', 'written']);

const HEAD = ['operation', 'requests to the Worker', 'requests to objects', 'rows read', 'rows written', 'US$ per million'];

/** How long an object works on a request, and how long on one to a provider, in seconds: assumed. */
const OBJECT_SECONDS = 0.001;
const PROVIDER_SECONDS = 0.3;

/** The operations in which an object waits for a provider. */
const ASKS_A_PROVIDER = ['first connect of a user', 'connect again', 'exchange with a refresh'];

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const money = (dollars) => dollars.toFixed(2);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

/** The list prices of what is counted, for a million operations. */
const price = (counts, names) => sum(names.map((name) => counts[name] * PRICES[name].dollars));

/**
 * The counts in the table of docs/operations.md, by operation.
 *
 * @returns {Record<string, Counts>}
 */
export function counts(operations) {
  const lines = between(operations, 'counts').trim().split('\n').slice(2);
  return Object.fromEntries(lines.map((line) => {
    const [operation, ...numbers] = line.split('|').map((cell) => cell.trim()).slice(1, -2);
    return [operation, Object.fromEntries(COUNTED.map((name, index) => [name, Number(numbers[index])]))];
  }));
}

/** The table of docs/operations.md, of counts by operation. */
export function countsTable(counted) {
  const rows = Object.entries(counted).map(([operation, of]) => [operation, ...COUNTED.map((name) => of[name]), money(price(of, COUNTED))]);
  return table([HEAD, ...rows]);
}

const amount = (number) => {
  const [size, word] = [[1e9, ' billion'], [1e6, ' million']].find(([least]) => number >= least) ?? [1, ''];
  return `${(number / Number(size)).toLocaleString('en')}${word}`;
};

/** The prices, as docs/operations.md has them. */
export function pricesTable() {
  const rows = Object.entries(PRICES).map(([name, { what, unit, included, dollars }]) => {
    const beyond = `US$ ${dollars < 0.01 ? dollars : money(dollars)} per million${unit ? ` ${unit}` : ''}`;
    const row = [what, `${amount(included)}${unit ? ` ${unit}` : ''}`, beyond];
    if (name !== 'log') return row;
    const { from, ingestion, storage } = NEXT_LOG;
    return [
      what,
      `${row[1]}; from ${from} ${ingestion.included} GB of ingestion and ${storage.included} GB-month of storage`,
      `${row[2]}; from then on US$ ${money(ingestion.dollars)} per GB and US$ ${money(storage.dollars)} per GB-month`,
    ];
  });
  rows.splice(-1, 0, ['stored data', `${STORAGE.included} GB-month`, `US$ ${money(STORAGE.dollars)} per GB-month`]);
  const pages = Object.entries(PRICE_PAGES).map(([name, address]) => `[${name}](${address})`).join(',\n');
  return `Cloudflare's list prices on the Workers Paid plan (US$ ${PLAN} a month), read on ${PRICES_READ}
(${pages}):

${table([['', 'included each month', 'beyond'], ...rows])}`;
}

/** The GB-s of a million of an operation, each request to an object and the wait for a provider. */
const duration = (of, operation) => OBJECT_MEMORY * (of.objects * OBJECT_SECONDS + (ASKS_A_PROVIDER.includes(operation) ? PROVIDER_SECONDS : 0));

/** What a million of each operation cost, for docs/performance.md; `cpu` is that of a request in ms. */
export function costsTable(counted, cpu) {
  const leased = { 'exchange, leased': { worker: 1, objects: 0, read: 0, written: 0 } };
  const rows = Object.entries({ ...leased, ...counted }).map(([operation, of]) => {
    const parts = [
      price(of, ['worker', 'objects']),
      of.worker * cpu * PRICES.cpu.dollars,
      duration(of, operation) * PRICES.duration.dollars,
      price(of, ['read', 'written']),
    ];
    return [operation, ...parts.map(money), money(sum(parts))];
  });
  return `${table([['a million of', 'requests', 'CPU', 'duration', 'rows', 'US$'], ...rows])}

${refreshRows(counted)}`;
}

/** What a refresh wrote when it was first counted, on 28 November 2026. */
const REFRESH_AT_FIRST = { read: 179, written: 10 };

function refreshRows(counted) {
  const now = counted['exchange with a refresh'];
  const [before, after] = [REFRESH_AT_FIRST, now].map((of) => price(of, ['read', 'written']));
  const less = 1 - after / before;
  return `A refresh wrote ${REFRESH_AT_FIRST.written} rows when it was first counted, on 28 November 2026: US$ ${money(before)} a million with
the rows it read. Now it writes ${now.written}, which is US$ ${money(after)}${less > 0.005 ? `, ${percent(less)} less` : ''}.`;
}

/** What a million exchanges cost, requests alone, if leases of `seconds` serve those that come at `rate` a second. */
export const leasedPrice = (counted, rate, seconds = LEASE_SECONDS) =>
  PRICES.worker.dollars + hopShare(rate, seconds) * counted.exchange.objects * PRICES.objects.dollars;

/** The example of docs/operations.md: a month of these accounts, exchanges, refreshes and first connects. */
const EXAMPLE = { accounts: 10e3, exchanges: 30e6, refreshes: 3e6, connects: 10e3 };

/** The log lines are in `log`; one has about this many GB, with what the platform adds. */
const LOG_LINE = 1e-6;

export function example(counted, cpu) {
  const { accounts, exchanges, refreshes, connects } = EXAMPLE;
  const warm = exchanges - refreshes;
  const [hop, refresh, connect] = ['exchange', 'exchange with a refresh', 'first connect of a user'].map((name) => counted[name]);
  const used = {
    worker: exchanges + connects * connect.worker,
    objects: warm * hop.objects + refreshes * refresh.objects + connects * connect.objects,
    written: refreshes * refresh.written + connects * connect.written,
    seconds: warm * OBJECT_SECONDS + refreshes * PROVIDER_SECONDS,
    cpu: exchanges * cpu,
    log: exchanges,
  };
  const gigabytes = used.seconds * OBJECT_MEMORY;
  const million = (number) => `${(number / 1e6).toLocaleString('en', { maximumFractionDigits: 2 })} million`;
  const billed = (number, { included, dollars }) => Math.max(0, number - included) / 1e6 * dollars;
  const beyond = (number, one) => number > one.included ? `${million(number - one.included)} × ${money(one.dollars)}` : 'none';
  /** @type {[string, string, number, { included: number, dollars: number }][]} */
  const lines = [
    ['requests to the Worker', million(used.worker), used.worker, PRICES.worker],
    ['requests to objects', `${million(warm)} × ${hop.objects} + ${million(refreshes)} × ${refresh.objects} + ${million(connects * connect.objects)} = ${million(used.objects)}`, used.objects, PRICES.objects],
    ['rows written', `${million(refreshes)} × ${refresh.written} + ${connects.toLocaleString('en')} × ${connect.written} = ${million(used.written)}`, used.written, PRICES.written],
    ['duration', `${million(warm)} × 1 ms + ${million(refreshes)} × ${PROVIDER_SECONDS} s = ${used.seconds.toLocaleString('en')} s, × ${OBJECT_MEMORY} = ${gigabytes.toLocaleString('en', { maximumFractionDigits: 0 })} GB-s`, gigabytes, PRICES.duration],
    ['CPU', `${million(exchanges)} × ${cpu} ms = ${million(used.cpu)} ms`, used.cpu, PRICES.cpu],
  ];
  const rows = lines.map(([what, text, number, one]) => [what, text, beyond(number, one), money(billed(number, one))]);
  const logged = used.log * LOG_LINE;
  const [today, next] = [billed(used.log, PRICES.log), Math.max(0, logged - NEXT_LOG.ingestion.included) * NEXT_LOG.ingestion.dollars];
  const log = `${million(used.log)}; from ${NEXT_LOG.from} about ${Math.round(logged)} GB, at 1 KB each with what the platform adds`;
  const total = PLAN + sum(lines.map(([, , number, one]) => billed(number, one)));
  return `**An example**: ${accounts.toLocaleString('en')} accounts, ${million(exchanges)} exchanges a month without leases, one in ten of which refreshes, and
${connects.toLocaleString('en')} first connects.

${table([
    ['', 'amount', 'beyond what is included', 'US$'],
    ['plan', '', '', money(PLAN)],
    ...rows,
    ['log lines', log, `${beyond(used.log, PRICES.log)}; then ${next ? `${logged - NEXT_LOG.ingestion.included} × ${money(NEXT_LOG.ingestion.dollars)}` : 'none'}`, `${money(today)}; then ${money(next)}`],
    ['**sum**', '', '', `**${money(total + today)}; from ${NEXT_LOG.from} ${money(total + next)}**`],
  ])}`;
}
