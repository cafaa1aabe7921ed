// SPDX-License-Identifier: Apache-2.0
// The model of latency and costs: its rules, its sources, and that the documents have what it computes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { costsTable, counts, countsTable, leasedPrice } from './model/cost.mjs';
import { documents } from './model/documents.mjs';
import * as figures from './model/figures.mjs';
import { creation, hopShare, mean, percentile, roundTrip, unhinted } from './model/latency.mjs';
import { PRICES, PRICES_READ, PRICE_PAGES } from './model/prices.mjs';
import { between, replace } from './model/text.mjs';

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const [PERFORMANCE, OPERATIONS] = ['docs/performance.md', 'docs/operations.md'];
const { CENTERS, CITIES, HINTS, ROUND_TRIPS, SOURCES } = figures;
const city = (name) => CITIES.rows.find((row) => row.name === name);

describe('the documents', () => {
  for (const path of [PERFORMANCE, OPERATIONS, 'docs/latency.svg']) {
    test(`${path} has what the model computes`, () => {
      assert.ok(read(path) === documents()[path], `${path} is not what the model computes: run node bench/model/run.mjs, and look at it`);
    });
  }

  test('costs follow the counts of docs/operations.md', () => {
    const counted = counts(read(OPERATIONS));
    counted['exchange with a refresh'].written = 3;
    const changed = replace(read(OPERATIONS), 'counts', countsTable(counted));
    const pages = documents((path) => (path === OPERATIONS ? changed : read(path)));
    const { read: rows, objects } = counted['exchange with a refresh'];
    const requests = 0.3 + objects * 0.15;
    const worth = (3 + rows * 0.001).toFixed(2);
    assert.match(pages[OPERATIONS], new RegExp(`\\| exchange with a refresh \\| 1 \\| ${objects} \\| ${rows} \\| 3 \\| ${(requests + Number(worth)).toFixed(2)} \\|`));
    assert.match(between(pages[PERFORMANCE], 'costs'), new RegExp(`Now it writes 3, which is US\\$ ${worth}, \\d+ % less\\.`));
    assert.match(between(pages[OPERATIONS], 'example'), /3 million × 3 \+ /);
  });

  const ROW = '| CPU per warm exchange, ms |';
  /** The documents, of a page in which this replaces the row of warm exchanges. */
  const measured = (text) => {
    const lines = read(PERFORMANCE).split('\n').map((line) => (line.startsWith(ROW) ? text : line));
    return documents((path) => (path === PERFORMANCE ? lines.join('\n') : read(path)))[PERFORMANCE];
  };

  test('latencies follow the measured figures of docs/performance.md', () => {
    assert.match(between(measured(`${ROW} 5 (4 to 6) | | |`), 'latency'), /\| Frankfurt \| 99 \(11\) \| \*\*16 \(5\.7\)\*\* \|/);
  });

  test('leased exchanges have figures of their own, if they are measured', () => {
    const heads = '| |\n\n|       | vault | vault, no lease |\n|-------|-------|---|\n';
    const page = measured(`${heads}${ROW} 0.25 (0 to 1) | 4.5 (4 to 6) |`);
    assert.match(between(page, 'kinds'), /\| leased \| its CPU time \| 0\.3 \| 0\.3 \| 0\.3 \|\n\| with a hop \| its CPU time, one round trip \| 16 \|/);
  });

  test('a measured figure that is not there is named', () => {
    const expected = { message: 'docs/performance.md has no row CPU per warm exchange, ms with a number for vault: name another in MEASURED' };
    assert.throws(() => measured('| something else | 1 | | |'), expected);
    assert.throws(() => measured(`${ROW} | 1 | |`), expected);
  });

  test('a part that is not there is named', () => {
    const page = read(OPERATIONS).replace('<!-- prices: end -->', '');
    const run = () => documents((path) => (path === OPERATIONS ? page : read(path)));
    assert.throws(run, { message: 'the page has no part prices between <!-- prices: begin --> and <!-- prices: end -->' });
  });
});

describe('the figures', () => {
  test('each table names its source', () => {
    const tables = Object.entries(figures).filter(([name]) => name !== 'SOURCES');
    const named = tables.map(([name, table]) => {
      assert.ok('source' in table && table.source in SOURCES, name);
      return /** @type {{ source: string }} */ (table).source;
    });
    assert.deepEqual(new Set(named), new Set(Object.keys(SOURCES)));
  });

  test('each source has a title, a publisher, an address, a date and what it is', () => {
    for (const [name, source] of Object.entries(SOURCES)) {
      assert.deepEqual(Object.keys(source), ['title', 'publisher', 'address', 'date', 'what'], name);
      assert.ok(Object.values(source).every((text) => text.length > 0), name);
      assert.equal(new URL(source.address).protocol, 'https:', name);
      assert.match(source.date, /20\d\d/, name);
    }
  });

  test('each price is from a page that is named, with the day on which it was read', () => {
    const prices = between(read(OPERATIONS), 'prices');
    const costs = between(read(PERFORMANCE), 'costs');
    assert.ok(costs.includes(`the list prices of ${PRICES_READ} ([Workers](${PRICE_PAGES.Workers}), [Durable Objects](${PRICE_PAGES['Durable Objects']}))`));
    for (const { page } of Object.values(PRICES)) assert.ok(prices.includes(`[${page}](${PRICE_PAGES[page]})`), page);
    assert.ok(prices.includes(`read on ${PRICES_READ}`));
  });

  test('there is a round trip between each of 20 cities and each data center', () => {
    assert.equal(new Set(CITIES.rows.map(({ name }) => name)).size, 20);
    const centers = new Set([...HINTS.rows.map(({ center }) => center), ...CITIES.rows.flatMap(({ created }) => created.map(([center]) => center))]);
    assert.deepEqual(Object.keys(CENTERS.rows), [...centers].sort());
    for (const from of CITIES.rows) {
      assert.equal(ROUND_TRIPS.from[from.region].length, ROUND_TRIPS.to.length, from.name);
      for (const center of centers) assert.ok(roundTrip(from, center) >= 2 && roundTrip(from, center) < 400, `${from.name} ${center}`);
    }
  });

  test('shares of the data centers add up to about one', () => {
    for (const { name, created } of CITIES.rows) {
      const all = created.reduce((sum, [, share]) => sum + share, 0);
      assert.ok(all > 0.999 && all <= 1, name);
    }
  });
});

describe('the model', () => {
  test('a round trip is that of the regions, and two milliseconds within one', () => {
    assert.deepEqual(['IAD', 'AMS', 'SIN', 'FRA'].map((center) => roundTrip(city('Frankfurt'), center)), [94, 11, 166, 2]);
  });

  test('of exchanges at a rate, those before the lease ends ask no object', () => {
    assert.deepEqual([hopShare(1, 15), hopShare(10, 15), hopShare(1 / 60, 15), hopShare(1, 0)], [1 / 16, 1 / 151, 0.8, 1]);
  });

  test('exchanges that ask the object are the slow ones', () => {
    const times = [0.5, 0.93, 0.94, 0.95].map((rank) => percentile({ leased: 1, exchange: 2 }, 100, 1 / 16, rank));
    assert.deepEqual(times, [1, 1, 102, 102]);
    assert.equal(mean({ leased: 1, exchange: 2 }, 100, 1 / 4), 26.25);
  });

  test('without a hint, objects lie where users of all cities created them', () => {
    const trips = CITIES.rows.flatMap(({ created }) => created.map(([center]) => roundTrip(city('Johannesburg'), center)));
    const { least, median, worst } = unhinted(city('Johannesburg'));
    assert.deepEqual([least, worst], [Math.min(...trips), Math.max(...trips)]);
    const share = (limit) => CITIES.rows.reduce((sum, { created }) => {
      const all = created.reduce((total, [, part]) => total + part, 0);
      const near = created.filter(([center]) => roundTrip(city('Johannesburg'), center) <= limit);
      return sum + near.reduce((total, [, part]) => total + part / all, 0) / CITIES.rows.length;
    }, 0);
    assert.ok(share(median) > 0.499 && share(median - 1) < 0.499);
  });

  test('the creation of an object takes the mean over the data centers', () => {
    assert.equal(creation(city('Seoul')), 41.06);
    assert.equal(creation(city('Toronto')).toFixed(2), '34.00');
  });

  test('a lease saves the request to the object, and all of its price as the rate grows', () => {
    const counted = { exchange: { worker: 1, objects: 1, read: 0, written: 0 } };
    assert.deepEqual([leasedPrice(counted, 1, 0), leasedPrice(counted, 1, 14)].map((price) => price.toFixed(3)), ['0.450', '0.310']);
  });

  test('a million operations cost their requests, CPU, duration and rows', () => {
    const counted = {
      'exchange with a refresh': { worker: 1, objects: 2, read: 1000, written: 10 },
      'exchange by lease': { worker: 1, objects: 0, read: 0, written: 0 },
    };
    const times = { leased: 1, exchange: 0.5 };
    // 0.30 and 2 × 0.15; 0.5 ms × 0.02; (2 × 1 ms + 0.3 s) × 0.128 GB × 12.50; 1000 × 0.001 and 10 × 1.
    assert.match(costsTable(counted, times), /\| exchange with a refresh \| 0\.60 \| 0\.01 \| 0\.48 \| 11\.00 \| 12\.09 \|/);
    assert.match(costsTable(counted, times), /\| exchange by lease \| 0\.30 \| 0\.02 \| 0\.00 \| 0\.00 \| 0\.32 \|/);
  });
});
