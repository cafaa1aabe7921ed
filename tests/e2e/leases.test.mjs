// SPDX-License-Identifier: Apache-2.0
// Leases: an isolate serves a token for some seconds without asking the vault's object. Several isolates share the
// objects here, each with its own memory and clock.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar } from '../../xtask/js/browser.mjs';
import { PROVIDER_TOKEN_SECONDS, World, assertRefused, describe as show, eventually } from './harness.mjs';
import { BYE, REFRESH_TOKEN, REMEMBERED, RelyingParty, visit } from './relying-party.mjs';

const LEASE_SECONDS = 15;

/** Where the token of a response came from: the names in `Server-Timing`. */
function origin(answer) {
  assert.equal(answer.status, 200, show(answer));
  return answer.headers.get('server-timing').split(', ').map((metric) => metric.split(';')[0]).join(' ');
}

const [HOP, LEASE] = ['hop object', 'lease'];

describe('leases', { timeout: 120_000 }, () => {
  let world;
  let here;
  let there;
  let elsewhere;

  before(async () => {
    world = await World.start({
      upstream: [{ connection: 'unleased', client_id: 'vault-unleased' }],
      connections: ({ issuer }) => ({
        unleased: {
          kind: 'oidc',
          issuer,
          client_id: 'vault-unleased',
          client_authentication: 'none',
          scopes: ['openid', 'offline_access'],
          lease_seconds: 0,
        },
      }),
      isolates: [
        () => ({}),
        () => ({}),
        ({ CLIENTS }) => ({ CLIENTS: { ...CLIENTS, more: { ...CLIENTS.spa } } }),
      ],
    });
    [here, there, elsewhere] = world.isolates;
  });
  after(() => world?.close());

  const exchange = (isolate, user, { client = world.clients.backend, connection = 'demo', ...more } = /** @type {any} */ ({})) => (
    isolate.api.exchange(client, user.access_token, connection, more)
  );

  const connected = async (name, more) => {
    const user = await world.signIn(name);
    return { user, account: await world.connect(user, name, more) };
  };

  /** Moves the clocks of all isolates to the same time. */
  const together = () => world.advance(0);

  test('a token is served again without a hop, until the lease ends', async () => {
    const { user } = await connected('anna');
    const first = await exchange(here, user);
    assert.equal(origin(first), HOP);
    const again = await exchange(here, user);
    assert.equal(origin(again), LEASE);
    assert.equal(again.body.access_token, first.body.access_token);
    assert.deepEqual({ ...again.body, expires_in: 0 }, { ...first.body, expires_in: 0 });
    // The test itself takes a part of a lease.
    await here.setClock(world.clock + LEASE_SECONDS - 5);
    const later = await exchange(here, user);
    assert.equal(origin(later), LEASE);
    const less = first.body.expires_in - later.body.expires_in;
    assert.ok(less >= LEASE_SECONDS - 6 && less <= LEASE_SECONDS, `${less} s less`);
    await here.setClock(world.clock + LEASE_SECONDS);
    assert.equal(origin(await exchange(here, user)), HOP);
    assert.equal(origin(await exchange(there, user)), HOP, 'each isolate asks for itself');
    await together();
  });

  test('both grant types are served, each in its own form', async () => {
    const { user } = await connected('arno');
    for (const expected of [HOP, LEASE]) {
      assert.equal(origin(await exchange(here, user)), expected);
      const auth0 = await here.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo');
      assert.equal(origin(auth0), expected);
      assert.equal(auth0.body.issued_token_type, 'http://auth0.com/oauth/token-type/federated-connection-access-token');
    }
  });

  test('callers who want a new token go past the lease', async () => {
    const { user } = await connected('berta');
    const { body: { access_token: token } } = await exchange(here, user);
    const hash = createHash('sha256').update(token).digest('base64url');
    assert.equal(origin(await exchange(here, user, { headers: { 'cache-control': 'no-cache' } })), HOP);
    assert.equal(origin(await exchange(here, user, { min_ttl: 30 })), HOP);
    const pause = await exchange(here, user, { refused_token: hash });
    assertRefused(pause, 429, 'too_many_requests');
    assert.equal(origin(await exchange(here, user)), HOP, 'what the object did not lend again is not served');
    assert.equal(origin(await exchange(here, user)), LEASE);
  });

  test('a token that replaced a refused one is served from then on', async () => {
    const { user } = await connected('bodo');
    await world.advance(61);
    const { body: { access_token: token } } = await exchange(here, user);
    const hash = createHash('sha256').update(token).digest('base64url');
    const fresh = await exchange(here, user, { refused_token: hash });
    assert.equal(origin(fresh), HOP);
    assert.notEqual(fresh.body.access_token, token);
    const next = await exchange(here, user);
    assert.equal(origin(next), LEASE);
    assert.equal(next.body.access_token, fresh.body.access_token);
  });

  test('all that the Worker checks is checked at each use', async () => {
    const { user } = await connected('carla');
    const other = await world.signIn('carlos');
    for (const expected of [HOP, LEASE]) assert.equal(origin(await exchange(here, user)), expected);
    const { backend, outsider, webapp } = world.clients;
    const wrong = { ...backend, client_secret: outsider.client_secret };
    assertRefused(await exchange(here, user, { client: wrong }), 401, 'invalid_client', { challenge: 'Basic' });
    assertRefused(await exchange(here, user, { client: outsider }), 400, 'invalid_target');
    assertRefused(await exchange(here, user, { client: webapp }), 400, 'invalid_request');
    assertRefused(await exchange(here, other), 400, 'invalid_target');
    assertRefused(await exchange(here, { access_token: `${user.access_token}x` }), 400, 'invalid_request');
    assertRefused(await exchange(here, user, { login_hint: 'nobody' }), 400, 'invalid_target');
    assertRefused(await exchange(here, user, { scope: 'nothing' }), 400, 'invalid_scope');
    assertRefused(await exchange(here, user, { token_kind: 'bot' }), 400, 'invalid_target');
    assertRefused(await exchange(here, user, { resource: 'https://r.example' }), 400, 'invalid_target');
    assert.equal(origin(await exchange(here, user)), LEASE);
  });

  test('a subject token that has expired is refused although its token is on lease', async () => {
    const { user } = await connected('cleo');
    await exchange(here, user);
    await here.setClock(world.clock + 24 * 3600);
    assertRefused(await exchange(here, user), 400, 'invalid_request');
    await together();
  });

  test('no lease where it is switched off, for a token that ends soon, and for another configuration', async () => {
    const { user } = await connected('dora', { connection: 'unleased' });
    await world.connect(user, 'dora');
    for (let use = 0; use < 2; use += 1) {
      assert.equal(origin(await exchange(here, user, { connection: 'unleased' })), HOP);
      assert.equal(origin(await exchange(elsewhere, user)), HOP);
    }
    await world.advance(PROVIDER_TOKEN_SECONDS - 119);
    for (let use = 0; use < 2; use += 1) {
      const answer = await exchange(here, user);
      assert.equal(origin(answer), HOP);
      assert.ok(answer.body.expires_in < 120);
    }
  });

  test('a lease lasts a tenth of what is left of the token', async () => {
    const { user } = await connected('doris');
    await world.advance(PROVIDER_TOKEN_SECONDS - 129);
    const { body: { expires_in: left } } = await exchange(here, user);
    const lease = Math.floor(left / 10);
    assert.equal(lease, 12, `${left} s are left`);
    await here.setClock(world.clock + lease - 5);
    assert.equal(origin(await exchange(here, user)), LEASE);
    await here.setClock(world.clock + lease);
    assert.equal(origin(await exchange(here, user)), HOP);
    await together();
  });

  test('a deleted account is not served after the time that the deletion tells, in any isolate', async () => {
    const { user, account } = await connected('elsa');
    await world.advance(60);
    for (const isolate of [here, there]) assert.equal(origin(await exchange(isolate, user)), HOP);
    assert.equal(origin(await exchange(world, user)), HOP);
    const removed = await world.api.remove(user.me_token, account.id);
    assert.equal(removed.status, 204, show(removed));
    assert.equal(removed.headers.get('token-revocation'), 'revoked');
    const until = Date.parse(removed.headers.get('lease-until')) / 1000;
    const now = Date.now() / 1000 + world.clock;
    assert.ok(until > now && until <= now + LEASE_SECONDS + 2, `${until - now} s`);
    assertRefused(await exchange(world, user), 400, 'invalid_target');
    assert.equal(origin(await exchange(here, user)), LEASE, 'the other isolates do not know yet');
    for (const isolate of [here, there]) {
      await isolate.setClock(Math.ceil(until - Date.now() / 1000));
      assertRefused(await exchange(isolate, user), 400, 'invalid_target');
    }
    await together();
  });

  test('a deletion that is repeated tells the same time, and one long after tells none', async () => {
    const { user, account } = await connected('emma');
    await exchange(here, user);
    const [first, second] = [await world.api.remove(user.me_token, account.id), await world.api.remove(user.me_token, account.id)];
    assert.equal(second.status, 204);
    assert.equal(second.headers.get('lease-until'), first.headers.get('lease-until'));
    await world.advance(LEASE_SECONDS + 2);
    const third = await world.api.remove(user.me_token, account.id);
    assert.equal(third.headers.get('lease-until'), null);
  });

  test('a new connect tells until when the tokens before it may be served', async () => {
    const user = await world.signIn('flora');
    const connect = async () => {
      const started = await world.startConnect(user);
      const back = await world.visit(started, { login: 'flora' });
      return world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    };
    const first = await connect();
    assert.equal(first.status, 201, show(first));
    assert.equal(first.headers.get('lease-until'), null, 'there was nothing to lend');
    const { body: { access_token: token } } = await exchange(here, user);
    const again = await connect();
    assert.equal(again.status, 201, show(again));
    const until = Date.parse(again.headers.get('lease-until')) / 1000;
    assert.equal((await exchange(here, user)).body.access_token, token);
    assert.equal(origin(await exchange(world, user)), HOP);
    await here.setClock(Math.ceil(until - Date.now() / 1000));
    const next = await exchange(here, user);
    assert.equal(origin(next), HOP);
    assert.notEqual(next.body.access_token, token);
    await together();
  });

  test('an object that was not in memory counts from the longest lease', async () => {
    const { user, account } = await connected('gerda');
    await world.stopVault();
    await world.startVault();
    const removed = await world.api.remove(user.me_token, account.id);
    const seconds = Date.parse(removed.headers.get('lease-until')) / 1000 - Date.now() / 1000 - world.clock;
    assert.ok(seconds > LEASE_SECONDS - 5 && seconds <= LEASE_SECONDS + 1, `${seconds} s`);
  });

  test('a deletion that is repeated tells a time also where the object was not in memory any more', async () => {
    const { user, account } = await connected('greta');
    await world.api.remove(user.me_token, account.id);
    await world.stopVault();
    await world.startVault();
    const again = await world.api.remove(user.me_token, account.id);
    assert.equal(again.status, 204, show(again));
    const seconds = Date.parse(again.headers.get('lease-until')) / 1000 - Date.now() / 1000 - world.clock;
    assert.ok(seconds > LEASE_SECONDS - 5 && seconds <= LEASE_SECONDS + 1, `${seconds} s`);
  });

  test('the object is told with the next question how often each client was served by lease', async () => {
    const { user } = await connected('hanna');
    const uses = 3;
    for (let use = 0; use <= uses; use += 1) await exchange(here, user);
    await exchange(here, user, { client: world.clients.backend, headers: { 'cache-control': 'no-cache' } });
    const lines = () => world.workerd.log.split('\n')
      .filter((line) => line.includes('"event":"leased_releases"'))
      .map((line) => JSON.parse(line.slice(line.indexOf('{'))));
    const [line] = await eventually('the report', () => {
      const found = lines().filter((one) => one.count === uses);
      return found.length && found;
    });
    const { user: pseudonym, ...rest } = line;
    assert.deepEqual(rest, { event: 'leased_releases', connection: 'demo', client_id: 'backend', count: uses });
    const mine = world.requestLines().filter((one) => one.user === pseudonym && one.route === 'POST /oauth/token');
    assert.deepEqual(mine.map((one) => Boolean(one.lease)), [false, true, true, true, false]);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});

describe('leases and the vault’s own tokens', { timeout: 120_000 }, () => {
  let party;
  let world;

  before(async () => {
    party = await RelyingParty.start();
    ({ world } = party);
  });
  after(() => world?.close());

  async function connected(login, jar = new CookieJar()) {
    const tokens = await party.signIn(login, {}, jar);
    const me = await party.meToken(tokens);
    await world.connect({ ...tokens, ...me, login });
    return { ...tokens, ...me };
  }

  const byRefreshToken = (user) => world.api.exchange(party.service(), user.refresh_token, 'demo', { subject_token_type: REFRESH_TOKEN });
  const byAccessToken = (user) => world.api.exchange(party.service(), user.access_token, 'demo');

  test('a refresh-token family that is revoked ends what its token gets by lease', async () => {
    const user = await connected('ida');
    for (const expected of [HOP, LEASE]) assert.equal(origin(await byRefreshToken(user)), expected);
    await world.advance(REMEMBERED);
    assert.equal(origin(await byRefreshToken(user)), LEASE, 'the family was asked, and the vault was not');
    const revoked = await world.api.call('POST', '/oauth/revoke', { form: { client_id: 'app', token: user.refresh_token } });
    assert.equal(revoked.status, 200, show(revoked));
    await world.advance(REMEMBERED);
    assertRefused(await byRefreshToken(user), 400, 'invalid_request');
    assertRefused(await byAccessToken(user), 400, 'invalid_request');
  });

  test('a session that has ended ends what its access token gets by lease', async () => {
    const jar = new CookieJar();
    const user = await connected('ines', jar);
    for (const expected of [HOP, LEASE]) assert.equal(origin(await byAccessToken(user)), expected);
    const query = new URLSearchParams({ id_token_hint: user.id_token, post_logout_redirect_uri: BYE });
    const signedOut = await visit(jar, `${world.vault}/oidc/logout?${query}`);
    assert.equal(signedOut.status, 303, signedOut.text);
    await world.advance(REMEMBERED);
    assertRefused(await byAccessToken(user), 400, 'invalid_request');
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
