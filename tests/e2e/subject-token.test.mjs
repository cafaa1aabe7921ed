// SPDX-License-Identifier: Apache-2.0
// Which subject tokens are accepted, in addition to the cases of exchange-cases.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newKeys } from '../../xtask/js/keys.mjs';
import { World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { accessToken, now } from './tokens.mjs';

describe('subject tokens', { timeout: 120_000 }, () => {
  let world;
  let alice;
  const [foreignKey] = newKeys().keys;

  before(async () => {
    world = await World.start();
    alice = await world.signIn('alice');
    await world.connect(alice);
  });
  after(() => world?.close());

  /** A subject token that is valid except for the given change. */
  function token({ key = world.jwks.keys[0], ...change }) {
    const made = accessToken({ issuer: world.issuer, sub: 'alice', clientId: 'spa', key, ...change });
    world.secrets.add(made);
    return made;
  }

  test('a client without accepts_from takes only its own tokens', async () => {
    const answer = await world.api.exchange(world.clients.webapp, alice.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_request');
  });

  test('the same flaws close the user API', async () => {
    const audience = `${world.vault}/me/`;
    const scope = 'read:me:connected_accounts';
    const good = await world.api.accounts(token({ audience, claims: { scope } }));
    assert.equal(good.status, 200, show(good));
    assertProblem(await world.api.accounts(token({ audience, claims: { scope, iat: now() - 3600, exp: now() - 120 } })), 401);
    assertProblem(await world.api.accounts(token({ audience, key: foreignKey, claims: { scope } })), 401);
    assertProblem(await world.api.accounts(token({ audience, claims: { scope: 'openid' } })), 403);
    assertProblem(await world.api.call('GET', '/me/v1/connected-accounts/accounts'), 401);
  });

  test('scopes that are written as a list open the user API as text does', async () => {
    const audience = `${world.vault}/me/`;
    const read = 'read:me:connected_accounts';
    for (const name of ['scope', 'scp']) {
      const accounts = (value) => world.api.accounts(token({ audience, claims: { [name]: value } }));
      const listed = await accounts(['openid', read]);
      assert.equal(listed.status, 200, `${name}: ${show(listed)}`);
      assertProblem(await accounts(['openid']), 403);
      // Each string in a list is one scope; a list with another type makes the token invalid.
      assertProblem(await accounts([`openid ${read}`]), 403);
      assertProblem(await accounts([read, 7]), 401);
    }
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
