// SPDX-License-Identifier: Apache-2.0
// Runs the vault's exchange cases against the peer, with leases and without: the comparison is valid only if
// both behave alike.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exchangeCases } from '../tests/e2e/exchange-cases.mjs';
import { borrowed, keep, leaseUntil } from './peer/leases.mjs';
import { startWorld } from './subjects.mjs';

describe('with leases', () => exchangeCases(() => startWorld('peer_with_lease')));
describe('without leases', () => exchangeCases(() => startWorld('peer')));

const NOW = 1_800_000_000;

test('a lease lasts as the connection says, but at most a tenth of the time that the token has left', () => {
  /** @type {[{lease_seconds?: number}, number, number][]} */
  const cases = [
    [{}, 3600, 15],
    [{ lease_seconds: 60 }, 3600, 60],
    [{}, 140, 14],
    [{}, 120, 12],
  ];
  for (const [connection, left, seconds] of cases) {
    assert.equal(leaseUntil(connection, NOW + left, NOW), NOW + seconds, JSON.stringify([connection, left]));
  }
});

test('there is no lease if the connection turns it off, or if the token has less than two minutes left', () => {
  /** @type {[{lease_seconds?: number}, number][]} */
  const cases = [[{ lease_seconds: 0 }, 3600], [{}, 119]];
  for (const [connection, left] of cases) {
    assert.ok(leaseUntil(connection, NOW + left, NOW) <= NOW, JSON.stringify([connection, left]));
  }
});

const given = (token, until = NOW + 15) => ({ access_token: token, scope: 'openid', lease_until: until });

test('an answer is served until its lease ends, under its own key only', () => {
  keep('ends', given('token'), NOW);
  assert.equal(borrowed('ends', NOW + 14)?.access_token, 'token');
  assert.equal(borrowed('other', NOW + 14), undefined);
  assert.equal(borrowed('ends', NOW + 15), undefined);
});

test('an answer without a lease is not kept', () => {
  keep('none', given('token', 0), NOW);
  assert.equal(borrowed('none', NOW - 1), undefined);
});

test('the least recently used lease goes when there are too many, in number or in bytes', () => {
  keep('old', given('token'), NOW);
  keep('used', given('token'), NOW);
  for (let index = 0; index < 4095; index += 1) {
    borrowed('used', NOW);
    keep(`more-${index}`, given('token'), NOW);
  }
  assert.equal(borrowed('old', NOW), undefined);
  assert.equal(borrowed('used', NOW)?.access_token, 'token');
  keep('large', given('x'.repeat(4_000_000)), NOW);
  keep('also large', given('x'.repeat(1_000_000)), NOW);
  assert.equal(borrowed('used', NOW), undefined);
  assert.equal(borrowed('large', NOW), undefined);
  assert.equal(borrowed('also large', NOW)?.access_token.length, 1_000_000);
});
