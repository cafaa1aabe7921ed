// SPDX-License-Identifier: Apache-2.0
// A caller says that a token was refused (`refused_token`), or how long one must live (`min_ttl`). The vault
// asks the provider only if that helps, once for all callers, and once a minute for an account.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { PROVIDER_TOKEN_SECONDS, World, assertRefused, describe as show } from './harness.mjs';

const hash = (token) => createHash('sha256').update(token).digest('base64url');

describe('a token that a caller cannot use', { timeout: 120_000 }, () => {
  let world;

  before(async () => { world = await World.start(); });
  after(() => world?.close());

  const refreshes = () => world.tokenRequests('refresh_token');
  const grants = {
    'RFC 8693': (user, more) => world.api.exchange(world.clients.backend, user.access_token, 'demo', more),
    "Auth0's grant": (user, more) => world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo', { body: 'json', ...more }),
  };

  /** A user with an account whose token was issued more than a minute ago. */
  async function connected(login) {
    const user = await world.signIn(login);
    await world.connect(user);
    await world.advance(61);
    return { user, token: (await world.exchange(user)).access_token };
  }

  for (const [name, exchange] of Object.entries(grants)) {
    test(`${name}: the current token is renewed once for all who refuse it, and one before it is not`, async () => {
      const { user, token } = await connected(`refuses-${name.replaceAll(/\W/g, '')}`);
      const before = refreshes();
      const answers = await Promise.all(Array.from({ length: 5 }, () => exchange(user, { refused_token: hash(token) })));
      const renewed = answers[0].body.access_token;
      assert.notEqual(renewed, token);
      for (const answer of answers) assert.deepEqual([answer.status, answer.body.access_token], [200, renewed], show(answer));
      // The caller that comes late refuses a token that is not the current one any more.
      assert.equal((await exchange(user, { refused_token: hash(token) })).body.access_token, renewed);
      assert.equal(refreshes(), before + 1);
    });

    test(`${name}: a token of the last minute is not renewed for a caller who refuses it`, async () => {
      const { user, token } = await connected(`hurries-${name.replaceAll(/\W/g, '')}`);
      const before = refreshes();
      const { access_token: renewed } = (await exchange(user, { refused_token: hash(token) })).body;
      for (let count = 0; count < 3; count += 1) {
        const limited = await exchange(user, { refused_token: hash(renewed) });
        assertRefused(limited, 429, 'too_many_requests');
        const wait = Number(limited.headers.get('retry-after'));
        assert.ok(wait > 0 && wait <= 60, `${wait} s`);
        const { state, reason } = limited.body.connection_state;
        assert.deepEqual({ state, reason }, { state: 'unavailable', reason: 'too_many_requests' });
      }
      // Others get it.
      assert.equal((await exchange(user)).body.access_token, renewed);
      assert.equal(refreshes(), before + 1);
      await world.advance(60);
      assert.notEqual((await exchange(user, { refused_token: hash(renewed) })).body.access_token, renewed);
      assert.equal(refreshes(), before + 2);
    });

    test(`${name}: a token that ends sooner than min_ttl is renewed`, async () => {
      const { user, token } = await connected(`plans-${name.replaceAll(/\W/g, '')}`);
      const before = refreshes();
      const enough = PROVIDER_TOKEN_SECONDS - 120;
      assert.equal((await exchange(user, { min_ttl: String(enough) })).body.access_token, token);
      assert.equal((await exchange(user, { min_ttl: String(PROVIDER_TOKEN_SECONDS + 1) })).body.access_token, token);
      assert.equal(refreshes(), before);
      await world.advance(120);
      const renewed = await exchange(user, { min_ttl: String(enough) });
      assert.notEqual(renewed.body.access_token, token);
      assert.ok(renewed.body.expires_in >= enough, show(renewed));
      assert.equal(refreshes(), before + 1);
    });

    test(`${name}: values that are none are named`, async () => {
      const { user, token } = await connected(`errs-${name.replaceAll(/\W/g, '')}`);
      const before = refreshes();
      for (const [parameter, value] of [['refused_token', `${token}.${token}`], ['refused_token', hash(token).slice(1)], ['min_ttl', '5m'], ['min_ttl', '0']]) {
        const answer = await exchange(user, { [parameter]: value });
        assertRefused(answer, 400, 'invalid_request');
        assert.match(answer.body.error_description, new RegExp(`^${parameter} must be`));
        assert.ok(!show(answer).includes(token), 'the error has the token');
      }
      assert.equal(refreshes(), before);
    });
  }

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
