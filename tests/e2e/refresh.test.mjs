// SPDX-License-Identifier: Apache-2.0
// The vault refreshes only once per expiry, whatever else happens, because the provider rotates its refresh
// tokens and treats the second use of one as theft.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { PROVIDER_TOKEN_SECONDS, World, assertRefused, eventually } from './harness.mjs';

const PAST_EXPIRY = PROVIDER_TOKEN_SECONDS + 60;

describe('refresh', { timeout: 120_000 }, () => {
  let world;

  before(async () => { world = await World.start(); });
  afterEach(() => world?.intercept());
  after(() => world?.close());

  /** Connects an account for a user, and moves the clock until its access token has just expired. */
  async function expired(login) {
    const user = await world.signIn(login);
    await world.connect(user);
    const first = await world.exchange(user);
    await world.advance(PAST_EXPIRY);
    return { user, first, before: world.tokenRequests('refresh_token') };
  }

  const refreshes = (since) => world.tokenRequests('refresh_token') - since;

  test('a caller that goes away does not stop the refresh', async () => {
    const { user, before: start } = await expired('leaver');
    /** @type {PromiseWithResolvers<void>} */
    const gone = Promise.withResolvers();
    world.intercept(() => gone.promise);
    const leaving = new AbortController();
    const left = assert.rejects(world.api.exchange(world.clients.backend, user.access_token, 'demo', { signal: leaving.signal }));
    await eventually('the refresh reaches the provider', () => refreshes(start) === 1);
    leaving.abort();
    await left;
    gone.resolve();

    const answer = await world.exchange(user);
    assert.equal(await world.owner(answer.access_token), 'leaver');
    assert.equal(refreshes(start), 1);
  });

  test('an unavailable provider is left alone until the time it named, and the account survives', async () => {
    const { user, before: start } = await expired('patient');
    world.intercept(() => ({ status: 503, headers: { 'retry-after': '40' }, body: { error: 'temporarily_unavailable' } }));
    for (let count = 0; count < 3; count += 1) {
      const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
      assertRefused(answer, 503, 'temporarily_unavailable');
      const wait = Number(answer.headers.get('retry-after'));
      assert.ok(wait > 0 && wait <= 40, `Retry-After ${answer.headers.get('retry-after')}`);
    }
    assert.equal(refreshes(start), 1);

    world.intercept();
    await world.advance(45);
    const recovered = await world.exchange(user);
    assert.equal(await world.owner(recovered.access_token), 'patient');
    assert.equal(refreshes(start), 2);
  });

  for (const [what, body] of Object.entries({
    'is not JSON': 'oops',
    'has no access token': { token_type: 'Bearer', expires_in: 600 },
  })) {
    test(`an answer that ${what} loses nothing that was stored`, async () => {
      const { user } = await expired(what.replaceAll(' ', '-'));
      world.intercept(() => ({ status: 200, body }));
      const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
      assertRefused(answer, 503, 'temporarily_unavailable');
      assert.equal(answer.body.connection_state.state, 'unavailable');
      assert.equal((await world.accounts(user)).length, 1);
      world.intercept();
      await world.advance(60);
      assert.equal(await world.owner((await world.exchange(user)).access_token), user.login);
    });
  }

  test('when the answer to a refresh is lost, the user is asked to connect again and told why', async () => {
    const { user, before: start } = await expired('unlucky');
    world.intercept(() => ({ lose: true }));
    const lost = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(lost, 503, 'temporarily_unavailable');

    // The provider has rotated the token, so it treats the second use of the old one as theft.
    world.intercept();
    await world.advance(60);
    const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_target');
    assert.equal(answer.body.connection_state.state, 'reconnect_required');
    assert.equal(answer.body.connection_state.reason, 'rotation_lost');
    assert.equal(refreshes(start), 2);
  });

  for (const [what, first, reason] of /** @type {const} */ ([
    ['a page', { status: 503, headers: { 'content-type': 'text/html' }, body: '<html>Service Unavailable</html>' }, 'rotation_lost'],
    ['the code of an unavailable provider', { status: 503, body: { error: 'temporarily_unavailable' } }, 'refresh_refused'],
  ])) {
    test(`a refusal after a 503 with ${what} is told as ${reason}`, async () => {
      const { user, before: start } = await expired(`after-${reason}`.replaceAll('_', '-'));
      const answers = [first, { status: 400, body: { error: 'invalid_grant' } }];
      world.intercept(() => answers.shift());
      assertRefused(await world.api.exchange(world.clients.backend, user.access_token, 'demo'), 503, 'temporarily_unavailable');
      await world.advance(60);
      const { body } = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
      assert.deepEqual(body.connection_state, { state: 'reconnect_required', reason });
      assert.equal(refreshes(start), 2);
    });
  }

  test('a refused refresh asks for a new connect and is not tried again', async () => {
    const { user, before: start } = await expired('revoked');
    world.intercept(() => ({ status: 400, body: { error: 'invalid_grant', error_description: 'gone' } }));
    const auth0 = await world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo');
    assertRefused(auth0, 401, 'federated_connection_refresh_token_flow_failed');
    assert.equal(auth0.body.connection_state.state, 'reconnect_required');

    world.intercept();
    for (const seconds of [0, 60, 3600]) {
      await world.advance(seconds);
      const rfc8693 = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
      assertRefused(rfc8693, 400, 'invalid_target');
      assert.equal(rfc8693.body.connection_state.state, 'reconnect_required');
    }
    assert.equal(refreshes(start), 1);

    await world.connect(user);
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'revoked');
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
