// SPDX-License-Identifier: Apache-2.0
// A provider without refresh tokens: a valid access token is exchanged for a new one, as at Meta
// (https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused, eventually } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Simulator, bearer, empty, json, parameters, proves } from './providers/simulator.mjs';

const HOUR = 3600;
const DAY = 86_400;

class Social extends Simulator {
  hosts = ['social.example.com'];

  authorizeAt = 'social.example.com/oauth';

  tokenAt = 'social.example.com/token';

  revokeAt = 'social.example.com/revoke';

  /** Access token → its lifetime in seconds, and when it expires. */
  #lives = new Map();

  #issue(grant, life) {
    const token = this.accessOf(grant);
    this.#lives.set(token, { life, end: this.now() + life });
    return json(200, { access_token: token, token_type: 'bearer', expires_in: life });
  }

  answer(request) {
    const { url: { pathname, searchParams }, method } = request;
    if (pathname === '/me') return json(200, this.user(this.owner(bearer(request))));
    if (pathname === '/token') {
      const params = parameters(request, 'form');
      const grant = proves(request, params, this.client, 'post') && this.redeem(params);
      return grant ? this.#issue(grant, HOUR) : json(400, { error: 'invalid_grant' });
    }
    if (pathname === '/revoke') {
      const { token } = parameters(request, 'form');
      const login = this.owner(token);
      if (login) this.end(login);
      return login ? empty(200) : json(400, { error: 'invalid_token' });
    }
    const { access_token: token, ...query } = Object.fromEntries(searchParams);
    const { life = 0, end = 0 } = this.#lives.get(token) ?? {};
    const [way, is] = life === HOUR ? ['/exchange', 'exchange_it'] : ['/refresh', 'refresh_it'];
    assert.deepEqual([method, request.body, pathname], ['GET', '', way]);
    assert.deepEqual(query, { grant_type: is, client_id: this.client.id, client_secret: this.client.secret });
    return end > this.now() ? this.#issue(this.access.get(token), 60 * DAY) : json(400, { error: { code: 190 } });
  }

  /** How often a request came to `path`. */
  received(path) {
    return this.requests.filter((one) => one.path === path).length;
  }
}

describe('access tokens that renew themselves', { timeout: 120_000 }, () => {
  let world;
  const simulator = new Social({});
  const at = (path) => `https://social.example.com/${path}`;
  const entry = {
    kind: 'oauth2',
    authorization_endpoint: at('oauth'),
    token_endpoint: at('token'),
    refresh_endpoint: at('refresh'),
    first_refresh_endpoint: at('exchange'),
    userinfo_endpoint: at('me'),
    revocation_endpoint: at('revoke'),
    client_authentication: 'client_secret_post',
    renewal: 'access_token',
    refresh_method: 'GET',
    refresh_token_parameter: 'access_token',
    refresh_grant_type: 'refresh_it',
    first_refresh_grant_type: 'exchange_it',
    identity: { id: 'id' },
  };

  before(async () => { world = await startWorld({ social: { entry, simulator } }); });
  after(async () => {
    await world?.close();
    await world?.internet.close();
  });

  const go = () => new Journey(world, 'social', simulator);

  test('the token of a code is exchanged for one that lives longer, which is renewed after half of its lifetime', async () => {
    const journey = go();
    const user = world.arrive('anna');
    await journey.connect(user);
    const [exchanged, refreshed] = ['/exchange', '/refresh'].map((path) => simulator.received(path));
    const tokens = [await journey.token(user)];
    for (const [seconds, exchanges, refreshes] of [[HOUR / 2 + 1, 1, 0], [30 * DAY - 60, 1, 0], [120, 1, 1], [DAY, 1, 1]]) {
      await world.advance(seconds);
      tokens.push(await journey.token(user));
      assert.deepEqual([simulator.received('/exchange') - exchanged, simulator.received('/refresh') - refreshed], [exchanges, refreshes], `${seconds}`);
    }
    assert.deepEqual(tokens.map(({ owner }) => owner), Array(5).fill('anna'));
    const [first, second, third, fourth, fifth] = tokens.map((one) => one.access_token);
    assert.equal(new Set([first, second, fourth]).size, 3);
    assert.deepEqual([third, fifth], [second, fourth]);
  });

  test('a token serves on while its renewal fails or its answer is lost, and the old one gets the next', async () => {
    const journey = go();
    const user = world.arrive('berta');
    await journey.connect(user);
    await world.advance(HOUR / 2 + 1);
    const { access_token: long } = await journey.token(user);
    await world.advance(31 * DAY);
    const isRenewal = ({ url }) => url.pathname === '/refresh';
    for (const answer of [json(503, {}), json(400, { error: { code: 2 } }), { status: 200, headers: {}, body: '' }]) {
      await simulator.meanwhile(isRenewal, () => answer, async () => {
        const before = simulator.received('/refresh');
        assert.equal((await journey.token(user)).access_token, long);
        assert.ok(simulator.received('/refresh') > before);
      });
      await world.advance(HOUR);
    }
    const next = await journey.token(user);
    assert.notEqual(next.access_token, long);
    assert.equal(next.owner, 'berta');
  });

  test('a token that nobody uses is exchanged and renewed before it expires', async () => {
    const journey = go();
    const user = world.arrive('carla');
    await journey.connect(user);
    // Further accounts in the same vault set the alarm anew, which the test's clock does not move.
    for (const [path, seconds, login] of /** @type {[string, number, string][]} */ ([['/exchange', 0.75 * HOUR, 'dora'], ['/refresh', 45 * DAY, 'emma']])) {
      const before = simulator.received(path);
      await world.advance(seconds);
      await journey.connect(user, { login });
      await eventually(`a renewal at ${path}`, () => simulator.received(path) > before);
    }
    const before = simulator.requests.length;
    await world.advance(16 * DAY);
    assert.equal((await journey.token(user)).owner, 'carla');
    assert.equal(simulator.requests.length, before);
  });

  test('a token that has expired is not sent, and the user must connect again', async () => {
    const journey = go();
    const user = world.arrive('fanny');
    await journey.connect(user);
    await world.advance(HOUR / 2 + 1);
    await journey.token(user);
    await world.advance(61 * DAY);
    const before = simulator.requests.length;
    const refused = await journey.exchange(user);
    assertRefused(refused, 400, 'invalid_target');
    assert.deepEqual(refused.body.connection_state, { state: 'reconnect_required', reason: 'no_refresh_token' });
    assert.equal(simulator.requests.length, before);
    await journey.connect(user);
    assert.equal((await journey.token(user)).owner, 'fanny');
  });

  test('a deleted account revokes its token, once', async () => {
    const journey = go();
    const user = world.arrive('gerda');
    const account = await journey.connect(user);
    const { access_token: token } = await journey.token(user);
    assert.equal(simulator.owner(token), 'gerda');
    assert.equal(await journey.remove(user, account), 'revoked');
    assert.equal(simulator.owner(token), undefined);
    assert.equal(simulator.received('/revoke'), 1);
  });

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
