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

/** How long an object works on a request, and how long it waits for a provider's answer, in seconds: assumed. */
export const OBJECT_SECONDS = 0.001;
export const PROVIDER_SECONDS = 0.3;

/** The operations in which an object waits for a provider. */
const ASKS_A_PROVIDER = ['first connect of a user', 'connect again', 'exchange with a refresh'];

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
export const money = (dollars) => dollars.toFixed(2);
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
  const rows = Object.entries(counted).map(([operation, of]) => {
    const numbers = COUNTED.map((name) => of[name]);
    return [operation, ...numbers, money(price(of, COUNTED))];
  });
  return table([HEAD, ...rows]);
}

const amount = (number) => {
  const [size, word] = [[1e9, ' billion'], [1e6, ' million']].find(([least]) => number >= least) ?? [1, ''];
  return `${(number / Number(size)).toLocaleString('en')}${word}`;
};

const pages = (names, separator) => names.map((name) => `[${name}](${PRICE_PAGES[name]})`).join(separator);

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
  return `Cloudflare's list prices on the Workers Paid plan (US$ ${PLAN} a month), read on ${PRICES_READ}
(${pages(Object.keys(PRICE_PAGES), ',\n')}):

${table([['', 'included each month', 'beyond'], ...rows])}`;
}

/** How long objects work on an operation, in GB-s. */
function duration(of, operation) {
  const waits = ASKS_A_PROVIDER.includes(operation) ? PROVIDER_SECONDS : 0;
  return OBJECT_MEMORY * (of.objects * OBJECT_SECONDS + waits);
}

/** The operation that takes the time of a leased exchange; the others take at least that of one with a hop. */
const BY_LEASE = 'exchange by lease';

/**
 * What a million of each operation cost, for docs/performance.md.
 *
 * @param {import('./latency.mjs').Times} times
 */
export function costsTable(counted, times) {
  const rows = Object.entries(counted).map(([operation, of]) => {
    const parts = [
      price(of, ['worker', 'objects']),
      of.worker * (operation === BY_LEASE ? times.leased : times.exchange) * PRICES.cpu.dollars,
      duration(of, operation) * PRICES.duration.dollars,
      price(of, ['read', 'written']),
    ];
    return [operation, ...parts.map(money), money(sum(parts))];
  });
  return `${table([['a million of', 'requests', 'CPU', 'duration', 'rows', 'US$'], ...rows])}

These are the list prices of ${PRICES_READ} (${pages(['Workers', 'Durable Objects'], ', ')}).
${refreshRows(counted)}`;
}

/** What a refresh wrote when it was first counted, on 28 November 2026, without the issuer's documents that were fetched meanwhile. */
const REFRESH_AT_FIRST = { read: 176, written: 9 };

function refreshRows(counted) {
  const now = counted['exchange with a refresh'];
  const [before, after] = [REFRESH_AT_FIRST, now].map((of) => price(of, ['read', 'written']));
  const less = 1 - after / before;
  return `A refresh wrote ${REFRESH_AT_FIRST.written} rows when it was first counted, on 28 November 2026: US$ ${money(before)} a million
with the rows it read. Now it writes ${now.written}, which is US$ ${money(after)}${less > 0.005 ? `, ${percent(less)} less` : ''}.`;
}

/** What a million exchanges cost, requests alone, if leases of `seconds` serve those that come at `rate` a second. */
export const leasedPrice = (counted, rate, seconds = LEASE_SECONDS) =>
  PRICES.worker.dollars + hopShare(rate, seconds) * counted.exchange.objects * PRICES.objects.dollars;
