// SPDX-License-Identifier: Apache-2.0
// How the benchmark makes ratios of runs, and compares them with its bars.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { barOf, compare } from './bars.mjs';
import { ratio, spread } from './numbers.mjs';
import { rounds } from './rounds.mjs';

test('runs are summarized by their median and quartiles, between the nearest two where there is no middle', () => {
  assert.deepEqual(spread([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4, runs: 5 });
  assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, low: 1.75, high: 3.25, runs: 4 });
});

test('a ratio is taken of each pair, not of the medians', () => {
  assert.equal(ratio([2, 30, 100], [1, 10, 200]).median, 2);
});

test('each round runs all subjects, every second round in reverse order', async () => {
  const order = [];
  const runs = await rounds({ a: 'A', b: 'B' }, 3, async (subject, round) => {
    order.push(subject);
    return `${subject}${round}`;
  });
  assert.equal(order.join(''), 'ABBAAB');
  assert.deepEqual(runs, { a: ['A0', 'A1', 'A2'], b: ['B0', 'B1', 'B2'] });
});

/** Groups in which each subject had two runs: the vault's `value`, and 100 of all others. */
function groups(value) {
  const runs = (number) => [1, 2].map(() => ({ perSecond: number, ms: number, cpu: 1 }));
  const group = () => new Proxy({}, {
    get: (_, name) => runs(['vault', 'vault_without_lease', 'refresh_token'].includes(String(name)) ? value : 100),
  });
  return new Proxy({}, { get: group });
}

test('a bar holds if the median reaches it, from the side that it names', () => {
  const cases = [
    [65, { '≥ 0.65': true, '≥ 0.9': false, '≤ 1.1': true }],
    [90, { '≥ 0.65': true, '≥ 0.9': true, '≥ 1.0': false, '≤ 1.1': true }],
    [110, { '≥ 1.1': true, '≥ 1.15': false, '≤ 1.1': true }],
    [111, { '≥ 1.1': true, '≤ 1.1': false, '≤ 1.2': true }],
    [180, { '≥ 1.8': true, '≤ 1.4': false }],
  ];
  for (const [value, expected] of cases) {
    const found = Object.fromEntries(compare(groups(value)).map((one) => [barOf(one), one.holds]));
    for (const [bar, holds] of Object.entries(expected)) assert.equal(found[bar], holds, `${value} ${bar}`);
  }
});
