// SPDX-License-Identifier: Apache-2.0
// The parts of docs/performance.md and docs/operations.md that the model computes, and docs/latency.svg.
import { readFileSync, writeFileSync } from 'node:fs';
import { costsTable, counts, countsTable, leasedPrice, pricesTable } from './cost.mjs';
import { ALL_LOCATIONS, CENTERS, CITIES, HINTS, SOURCES } from './figures.mjs';
import { LEASE_SECONDS, creation, hopShare, mean, percentile, roundTrip, rows, unhinted } from './latency.mjs';
import { month } from './month.mjs';
import { plot } from './plot.mjs';
import { replace, table } from './text.mjs';

const PATHS = { performance: 'docs/performance.md', operations: 'docs/operations.md', plot: 'docs/latency.svg' };
const file = (path) => new URL(`../../${path}`, import.meta.url);

/**
 * What the benchmark measured, as docs/performance.md has it: the row, and the first of these columns with a number. Until the
 * benchmark tells exchanges without a lease apart, all are without.
 *
 * @type {Record<string, [string, string[]]>}
 */
const MEASURED = {
  leased: ['CPU per warm exchange, ms', ['vault']],
  exchange: ['CPU per warm exchange, ms', ['vault, no lease', 'vault']],
  isolate: ['first exchange of an isolate, ms', ['vault, no lease', 'vault']],
  object: ['first exchange of an object, ms', ['vault, no lease', 'vault']],
};

const cells = (line) => line.split('|').slice(1, -1).map((cell) => cell.trim());

/** The medians, in ms. */
function measured(performance) {
  const lines = performance.split('\n');
  const entries = Object.entries(MEASURED).map(([name, [row, columns]]) => {
    const at = lines.findIndex((line) => line.startsWith('|') && cells(line)[0] === row);
    const rule = lines.slice(0, Math.max(at, 0)).findLastIndex((line) => /^\|[-|]+$/.test(line));
    const head = cells(lines[rule - 1] ?? '');
    const numbers = columns.map((column) => Number.parseFloat(cells(lines[at] ?? '')[head.indexOf(column)]));
    const found = numbers.find((number) => number > 0);
    if (!found) throw new Error(`${PATHS.performance} has no row ${row} with a number for ${columns.at(-1)}: name another in MEASURED`);
    return [name, found];
  });
  return Object.fromEntries(entries);
}

/**
 * The agents of the table of leases: how they call, how often a second, how long leases last.
 *
 * @type {[string, number, number][]}
 */
const AGENTS = [
  ['any, without leases', 1, 0],
  ['one per minute', 1 / 60, LEASE_SECONDS],
  ['one per second', 1, LEASE_SECONDS],
  ['ten per second', 10, LEASE_SECONDS],
];

/** Whose back ends the smaller tables show. */
const EXAMPLE_CITY = 'Frankfurt';
const EXAMPLE_HINT = 'weur';

const ms = (time) => (time < 9.95 ? time.toFixed(1) : Math.round(time).toFixed(0));
const percent = (share) => `${(100 * share).toFixed(share < 0.095 ? 1 : 0)} %`;

/** What the table of latencies comes to: with the nearest of the hints, and without. */
function summary(times) {
  const all = rows();
  const half = all.length / 2;
  const nearest = all.map(({ hinted }) => times.exchange + Math.min(...hinted.map(({ trip }) => trip))).toSorted((a, b) => a - b);
  const medians = all.map(({ unhinted: { median } }) => times.exchange + median).toSorted((a, b) => a - b);
  const farthest = Math.max(...all.map(({ unhinted: { worst } }) => times.exchange + worst));
  return `With the nearest of the three hints, an exchange takes ${ms(nearest[half - 1])} ms or less in half of the cities. Without a hint, the median over
the users is ${ms(medians[half])} ms or more in half of the cities, and the user who is farthest away makes it up to ${ms(farthest)} ms. Leases
divide what is beyond the CPU time by ${Math.round(1 / hopShare(1))}, wherever the object lies.`;
}

/** The exchange of each city with an object at each hint, and without: without leases, and in parentheses with them. */
function latencyTable(times) {
  const share = hopShare(1);
  const cell = (trip) => `${ms(times.exchange + trip)} (${ms(mean(times, trip, share))})`;
  const lines = rows().map(({ city, hinted, unhinted: { median, worst } }) => {
    const least = Math.min(...hinted.map(({ trip }) => trip));
    const numbers = hinted.map(({ trip }) => (trip === least ? `**${cell(trip)}**` : cell(trip)));
    return [city.name, ...numbers, cell(median), cell(worst)];
  });
  const hints = HINTS.rows.map(({ hint, city }) => `\`${hint}\`, ${city}`);
  return table([['back end in', ...hints, 'no hint, median', 'no hint, worst'], ...lines]);
}

/** Where the smaller tables' object lies: `[name, round trip]`. */
function exampleTrips() {
  const city = CITIES.rows.find(({ name }) => name === EXAMPLE_CITY);
  const { center } = HINTS.rows.find(({ hint }) => hint === EXAMPLE_HINT);
  const { median, worst } = unhinted(city);
  return [[`hint \`${EXAMPLE_HINT}\``, roundTrip(city, center)], ['no hint, median', median], ['no hint, worst', worst]];
}

/** What each kind of exchange consists of, and takes from one city. */
function kindsTable({ leased, exchange, isolate, object }) {
  const trips = exampleTrips();
  /** @type {[string, string, (trip: number) => number][]} */
  const kinds = [
    ['leased', 'its CPU time', () => leased],
    ['with a hop', 'its CPU time, one round trip', (trip) => exchange + trip],
    ['the object is not in memory', 'the first exchange of an object, one round trip', (trip) => object + trip],
    ['the isolate is new', 'the first exchange of an isolate, two round trips: one for the issuer’s keys', (trip) => isolate + 2 * trip],
  ];
  const lines = kinds.map(([kind, parts, time]) => [kind, parts, ...trips.map(([, trip]) => ms(time(trip)))]);
  return table([[`exchange from ${EXAMPLE_CITY}`, 'consists of', ...trips.map(([name]) => name)], ...lines]);
}

function leasesTable(times, counted) {
  const trips = exampleTrips();
  const lines = AGENTS.map(([name, rate, seconds]) => {
    const share = hopShare(rate, seconds);
    const numbers = trips.map(([, trip]) => {
      const [half, slow] = [0.5, 0.95].map((rank) => percentile(times, trip, share, rank));
      return [half, slow, mean(times, trip, share)].map(ms).join(' / ');
    });
    return [name, percent(share), ...numbers, leasedPrice(counted, rate, seconds).toFixed(2)];
  });
  return table([['exchanges', 'with a hop', ...trips.map(([name]) => name), 'US$ per million'], ...lines]);
}

function creationTable() {
  const head = ['first request from', ...HINTS.rows.map(({ hint }) => `\`${hint}\``), 'no hint', 'where'];
  const lines = CITIES.rows.map((city) => [
    city.name,
    ...HINTS.rows.map(({ hint }) => Math.round(city.hinted[hint])),
    Math.round(creation(city)),
    city.created.map(([center]) => center).join(', '),
  ]);
  return table([head, ...lines]);
}

function sources() {
  const lines = Object.values(SOURCES).map(({ title, publisher, address, date, what }) =>
    `- [${title}](${address}),\n  ${publisher} (${date}):\n  ${what}.`);
  const estimated = Object.entries(CENTERS.rows).filter(([, { estimate }]) => estimate);
  const nearest = estimated.map(([center, { region }]) => `${center} as ${region}`).join(', ');
  const { locations, centers, median, ninetieth } = ALL_LOCATIONS;
  return `${lines.join('\n')}

“${SOURCES[ALL_LOCATIONS.source].title}” has ${locations} locations. Without a hint, their requests create objects in ${centers}
data centers, and it takes ${median} ms (median) or ${ninetieth} ms (90th percentile) until one runs. Data centers without an Azure region in
their metropolitan area count as the nearest one: ${nearest}.`;
}

/** What the documents are to be, from what they are: `{ path: text }`. */
export function documents(read = (path) => readFileSync(file(path), 'utf8')) {
  let [performance, operations] = [read(PATHS.performance), read(PATHS.operations)];
  const times = measured(performance);
  const counted = counts(operations);
  const parts = {
    latency: `${latencyTable(times)}\n\n${summary(times)}`,
    kinds: kindsTable(times),
    leases: leasesTable(times, counted),
    creation: creationTable(),
    sources: sources(),
    costs: costsTable(counted, times),
  };
  for (const [name, text] of Object.entries(parts)) performance = replace(performance, name, text);
  const bills = { counts: countsTable(counted), prices: pricesTable(), example: month(counted, times.exchange) };
  for (const [name, text] of Object.entries(bills)) operations = replace(operations, name, text);
  return { [PATHS.performance]: performance, [PATHS.operations]: operations, [PATHS.plot]: plot(times, LEASE_SECONDS) };
}

/** Writes them. */
export function writeDocuments() {
  for (const [path, text] of Object.entries(documents())) writeFileSync(file(path), text);
}
