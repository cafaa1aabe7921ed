// SPDX-License-Identifier: Apache-2.0
// A vault whose last account was deleted stores nothing, once nothing can need what it stored.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { databases } from './earlier-versions.mjs';
import { World, assertRefused, describe as show, eventually } from './harness.mjs';

/** Seconds after a connect in which its tokens may arrive again. */
const REPEATABLE = 660;

describe('a vault whose last account was deleted', { timeout: 60_000 }, () => {
  let world;
  let alice;
  let bob;

  before(async () => {
    world = await World.start();
    alice = await world.signIn('alice');
    bob = await world.signIn('bob');
    await world.connect(bob);
  });
  after(() => world?.close());

  /** The tables of each vault that has any. */
  function vaults() {
    const tables = 'SELECT name FROM sqlite_master WHERE type = \'table\' AND name NOT GLOB \'_cf_*\' AND name NOT GLOB \'sqlite_*\'';
    const read = (database) => database.prepare(tables).all().map(({ name }) => name);
    return databases(world.workerd.state, 'VAULT', read, { readOnly: true }).filter((names) => names.length > 0);
  }

  /** The same; none while the runtime replaces a file that is read. */
  function vaultsAtRest() {
    try {
      return vaults();
    } catch (error) {
      if (error.code !== 'ERR_SQLITE_ERROR') throw error;
      return [];
    }
  }

  async function disconnect(user) {
    for (const { id } of await world.accounts(user)) {
      const removed = await world.api.remove(user.me_token, id);
      assert.equal(removed.status, 204, show(removed));
    }
  }

  async function assertNotConnected(user) {
    const refused = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(refused, 400, 'invalid_target');
    assert.equal(refused.body.connection_state.state, 'not_connected');
  }

  test('has no tables any more when its jobs are done and no connect can be repeated', async () => {
    await world.connect(alice);
    await disconnect(alice);
    assert.equal(vaults().length, 2);
    await world.stopVault();
    await world.startVault();
    await world.advance(REPEATABLE);
    await assertNotConnected(alice);
    await eventually('one vault is left', () => vaultsAtRest().length === 1);
    await assertNotConnected(alice);
    await world.exchange(bob);
    assert.equal(vaults().length, 1);
  });

  test('gets its tables again with the next connect, which is kept', async () => {
    await world.connect(alice);
    const { access_token: token } = await world.exchange(alice);
    assert.equal(await world.owner(token), 'alice');
    await world.stopVault();
    await world.startVault();
    assert.equal((await world.exchange(alice)).access_token, token);
    assert.equal(vaults().length, 2);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
