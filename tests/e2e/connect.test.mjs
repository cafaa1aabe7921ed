// SPDX-License-Identifier: Apache-2.0
// The connect: who may complete it, what the browser must send, and what remains after a failure.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { APP, APP_ORIGIN, World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { newSigningKey, publicKey } from './tokens.mjs';

describe('connect', { timeout: 120_000 }, () => {
  let world;
  let redeemed;
  /** The provider of the connection `down`. */
  let hostile;

  before(async () => {
    hostile = await HostileServer.start();
    world = await World.start({
      connections: () => ({
        down: { kind: 'oidc', issuer: hostile.origin, client_id: 'vault-down', client_authentication: 'none' },
      }),
    });
  });
  beforeEach(() => { redeemed = world.tokenRequests('authorization_code'); });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  const codeOf = (back) => back.searchParams.get('connect_code');

  async function assertNothingStored(...users) {
    assert.equal(world.tokenRequests('authorization_code'), redeemed, 'a code was redeemed at the provider');
    for (const user of users) assert.deepEqual(await world.accounts(user), []);
  }

  /**
   * Asserts that the browser ended on an error page: not a redirect, not cached, not framed.
   *
   * @param {Awaited<ReturnType<typeof browse>>} end
   */
  function assertErrorPage({ page, url }) {
    assert.ok(page, `went on to ${url}`);
    assert.equal(page.status, 400, `${page.status} at ${url}`);
    assert.equal(page.headers.get('location'), null);
    assert.match(page.headers.get('content-type'), /^text\/html/);
    assert.match(page.headers.get('cache-control'), /no-store/);
    assert.match(page.headers.get('content-security-policy'), /frame-ancestors 'none'/);
    assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
  }

  test("a victim who follows an attacker's link cannot complete it, and neither can the attacker then", async () => {
    const attacker = await world.signIn('mallory');
    const victim = await world.signIn('victor');
    const started = await world.startConnect(attacker);
    const back = await world.visit(started, { login: 'victor' });

    assertProblem(await world.api.complete(victim.me_token, started, codeOf(back)), 403);
    assertProblem(await world.api.complete(attacker.me_token, started, codeOf(back)), 409);
    await assertNothingStored(attacker, victim);
  });

  test("a victim who is sent straight to the provider comes back without the attacker's cookie", async () => {
    const attacker = await world.signIn('mallory2');
    const victim = await world.signIn('victor2');
    const started = await world.startConnect(attacker);
    const atProvider = startsAt(`${world.issuer}/auth`);
    const hop = await browse(world.api.connectLink(started), { login: 'mallory2', jar: new CookieJar(), stop: atProvider });
    assert.ok(atProvider(hop.url), hop.url);

    assertErrorPage(await browse(hop.url, { login: 'victor2', jar: new CookieJar(), stop: startsAt(APP) }));
    await assertNothingStored(attacker, victim);
  });

  test("an attacker who keeps the browser's answer cannot have the victim complete a session of the victim's own", async () => {
    const attacker = await world.signIn('mallory3');
    const victim = await world.signIn('victor3');
    const [theirs, own] = [await world.startConnect(attacker), await world.startConnect(victim)];
    const back = await world.visit(theirs, { login: 'mallory3' });

    assertProblem(await world.api.complete(victim.me_token, own, codeOf(back)), 400);
    await assertNothingStored(attacker, victim);
  });

  test('a state nobody gave out ends on an error page', async () => {
    const url = `${world.vault}/callback/demo?code=x&state=${'A'.repeat(22)}.${'B'.repeat(22)}&iss=${encodeURIComponent(world.issuer)}`;
    assertErrorPage(await browse(url, { login: 'x', stop: startsAt(APP) }));
    await assertNothingStored();
  });

  test('made-up tickets, states and connect codes are answered like those of another connect, and make no object', async () => {
    const user = await world.signIn('forger');
    const started = await world.startConnect(user);
    const [id, secret] = started.body.auth_session.split('.');
    const unknown = await world.api.complete(user.me_token, started, `${id}.${randomBytes(16).toString('base64url')}`);
    assertProblem(unknown, 400);
    const before = world.objects('CONNECT_SESSION');
    const changed = (at) => `${id.slice(0, at)}${id[at] === 'A' ? 'Q' : 'A'}${id.slice(at + 1)}`;
    const forged = [0, 11, 12, 21].map(changed).concat(randomBytes(16).toString('base64url'), 'A'.repeat(22));
    for (const handle of forged.map((other) => `${other}.${secret}`)) {
      assertErrorPage(await browse(`${world.vault}/connected-accounts/connect?ticket=${handle}`, { login: 'x', stop: startsAt(APP) }));
      for (const result of ['code=x', 'error=access_denied']) {
        assertErrorPage(await browse(`${world.vault}/callback/demo?${result}&state=${handle}`, { login: 'x', stop: startsAt(APP) }));
      }
      const answer = await world.api.complete(user.me_token, started, handle, { auth_session: handle });
      assertProblem(answer, 400);
      assert.deepEqual(answer.body, unknown.body);
    }
    assert.deepEqual(world.objects('CONNECT_SESSION'), before);
    await world.visit(started, { login: 'forger' });
  });

  test('a link that is fetched ahead of a person is answered 503 and changes nothing, at both hops', async () => {
    const user = await world.signIn('ahead');
    const started = await world.startConnect(user);
    const jar = new CookieJar();
    const ahead = [
      { method: 'HEAD' },
      { headers: { 'sec-purpose': 'prefetch' } },
      { headers: { 'sec-purpose': 'prefetch;prerender' } },
      { headers: { purpose: 'preview' } },
    ];
    const fetchAhead = async (link) => {
      for (const { method = 'GET', headers = {} } of ahead) {
        const cookie = jar.header(new URL(link));
        const answer = await fetch(link, { method, headers: { ...headers, ...(cookie && { cookie }) }, redirect: 'manual' });
        assert.equal(answer.status, 503, `${method} ${JSON.stringify(headers)}`);
        assert.equal(answer.headers.get('cache-control'), 'no-store');
        assert.equal(answer.headers.get('set-cookie'), null);
      }
    };
    await fetchAhead(world.api.connectLink(started));
    const atCallback = startsAt(`${world.vault}/callback/demo`);
    const callback = await browse(world.api.connectLink(started), { login: 'ahead', jar, stop: atCallback });
    assert.ok(atCallback(callback.url), callback.url);
    await fetchAhead(callback.url);
    const back = await browse(callback.url, { login: 'ahead', jar, stop: startsAt(APP) });
    const done = await world.api.complete(user.me_token, started, codeOf(new URL(back.url)));
    assert.equal(done.status, 201, show(done));
  });

  test('while the provider is down the browser returns to the application, and the ticket still works afterwards', async () => {
    const discovery = '/.well-known/openid-configuration';
    hostile.on(discovery, answer(503, {}));
    const user = await world.signIn('patient');
    const started = await world.startConnect(user, { connection: 'down' });
    const open = () => fetch(world.api.connectLink(started), { redirect: 'manual' });
    const refused = await open();
    assert.equal(refused.status, 303);
    const back = new URL(refused.headers.get('location'));
    assert.equal(back.origin + back.pathname, APP);
    assert.equal(back.searchParams.get('error'), 'temporarily_unavailable');
    assert.equal(codeOf(back), null);

    const { origin } = hostile;
    hostile.on(discovery, answer(200, {
      issuer: origin, authorization_endpoint: `${origin}/auth`, token_endpoint: `${origin}/token`, jwks_uri: `${origin}/jwks`,
    }));
    hostile.on('/jwks', answer(200, { keys: [publicKey(newSigningKey('RS256'))] }));
    await world.advance(60);
    const opened = await open();
    assert.equal(opened.status, 303);
    assert.ok(opened.headers.get('location').startsWith(`${origin}/auth?`), opened.headers.get('location'));
  });

  test('a callback cannot be replayed in another browser', async () => {
    const user = await world.signIn('replay');
    const started = await world.startConnect(user);
    const jar = new CookieJar();
    const atCallback = startsAt(`${world.vault}/callback/demo`);
    const callback = await browse(world.api.connectLink(started), { login: 'replay', jar, stop: atCallback });
    const first = await browse(callback.url, { login: 'replay', jar, stop: startsAt(APP) });
    assert.ok(codeOf(new URL(first.url)), first.url);
    assertErrorPage(await browse(callback.url, { login: 'replay', jar: new CookieJar(), stop: startsAt(APP) }));
  });

  test('a ticket ends after five minutes, and a connect_code after one', async () => {
    const user = await world.signIn('slow');
    const late = await world.startConnect(user);
    await world.advance(305);
    assertErrorPage(await browse(world.api.connectLink(late), { login: 'slow', stop: startsAt(`${world.issuer}/auth`) }));

    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'slow' });
    await world.advance(65);
    assertProblem(await world.api.complete(user.me_token, started, codeOf(back)), 400);
    await assertNothingStored(user);
  });

  test('the provider is asked with PKCE, a state and the callback of this connection', async () => {
    const started = await world.startConnect(await world.signIn('asked'));
    const hop = await browse(world.api.connectLink(started), { login: 'asked', stop: startsAt(`${world.issuer}/auth`) });
    const query = new URL(hop.url).searchParams;
    assert.equal(query.get('redirect_uri'), `${world.vault}/callback/demo`);
    assert.equal(query.get('code_challenge_method'), 'S256');
    assert.match(query.get('code_challenge'), /^[\w-]{43}$/);
    assert.ok(query.get('state').length >= 22);
    assert.ok(query.get('nonce').length >= 16);
    assert.notEqual(query.get('state'), started.state, "the application's state goes to the application only");
  });

  for (const [what, more] of Object.entries({
    'another code_verifier': { code_verifier: 'v'.repeat(43) },
    'no code_verifier': { code_verifier: undefined },
    'another redirect_uri': { redirect_uri: `${APP}2` },
    'another connect_code': { connect_code: `${'A'.repeat(22)}.${'B'.repeat(22)}` },
  })) {
    test(`completing with ${what} is refused`, async () => {
      const user = await world.signIn(`flawed-${what.replaceAll(' ', '-')}`);
      const started = await world.startConnect(user);
      const back = await world.visit(started, { login: user.login });
      assertProblem(await world.api.complete(user.me_token, started, codeOf(back), more), 400);
      await assertNothingStored(user);
    });
  }

  test('completing again answers the same account, to the one who completed alone, and changes nothing', async () => {
    const user = await world.signIn('twice');
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'twice' });
    const complete = (token = user.me_token, more = {}) => world.api.complete(token, started, codeOf(back), more);
    const first = await complete();
    assert.equal(first.status, 201, show(first));
    await world.advance(300);
    for (let time = 0; time < 2; time += 1) {
      const again = await complete();
      assert.equal(again.status, 201, show(again));
      assert.deepEqual(again.body, first.body);
    }
    const others = [
      await complete((await world.signIn('twice-not')).me_token),
      await complete((await world.signIn('twice', { client: 'webapp' })).me_token),
      ...await Promise.all([
        { code_verifier: 'v'.repeat(43) },
        { connect_code: started.body.auth_session },
        { redirect_uri: `${APP}2` },
      ].map((more) => complete(user.me_token, more))),
    ];
    for (const other of others) assertProblem(other, 409);
    assert.deepEqual(await world.accounts(user), [first.body]);
    assert.equal(world.tokenRequests('authorization_code'), redeemed + 1);

    assert.equal((await world.api.remove(user.me_token, first.body.id)).status, 204);
    assertProblem(await complete(), 409);
    assert.deepEqual(await world.accounts(user), []);
  });

  test('completing again after the provider refused the code answers the same error', async () => {
    const user = await world.signIn('refused');
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'refused' });
    const complete = () => world.api.complete(user.me_token, started, codeOf(back));
    world.intercept(() => ({ status: 400, body: { error: 'invalid_grant' } }));
    const first = await complete();
    world.intercept();
    assertProblem(first, 400);
    const again = await complete();
    assertProblem(again, 400);
    assert.deepEqual(again.body, first.body);
    assert.equal(world.tokenRequests('authorization_code'), redeemed + 1);
  });

  test('a connect_code that is null is refused', async () => {
    const user = await world.signIn('null');
    const started = await world.startConnect(user);
    assertProblem(await world.api.complete(user.me_token, started, null), 400);
  });

  test('somebody who cancels a re-connect keeps the account', async () => {
    const user = await world.signIn('undecided');
    const account = await world.connect(user);
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'undecided', cancel: true });
    assert.equal(back.searchParams.get('error'), 'access_denied');
    assert.equal(back.searchParams.get('state'), started.state);
    assert.equal(codeOf(back), null);

    assert.deepEqual((await world.accounts(user)).map((one) => one.id), [account.id]);
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'undecided');
  });

  test('connecting the same account again replaces it', async () => {
    const user = await world.signIn('again');
    const first = await world.connect(user);
    const second = await world.connect(user);
    assert.equal(second.connection, first.connection);
    assert.deepEqual((await world.accounts(user)).map((one) => one.id), [second.id]);
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'again');
  });

  test('a user may have 20 connects in flight; those that are over do not count, and all end by themselves', async () => {
    const user = await world.signIn('restless');
    const begin = () => world.api.connect(user.me_token, { connection: 'demo', redirectUri: APP });
    const started = [];
    for (let time = 0; time < 20; time += 1) started.push(await world.startConnect(user));
    const made = world.objects('CONNECT_SESSION');
    const refused = await Promise.all(Array.from({ length: 5 }, begin));
    for (const answer of refused) {
      assertProblem(answer, 429);
      const wait = Number(answer.headers.get('retry-after'));
      assert.ok(wait > 1600 && wait <= 1740, `${wait}`);
      assert.match(answer.body.detail, /20 connects in flight.*completed or cancelled/);
    }
    assert.deepEqual(world.objects('CONNECT_SESSION'), made);
    // Another user is not affected.
    await world.startConnect(await world.signIn('restless-not'));

    const done = await world.visit(started[0], { login: 'restless' });
    assert.equal((await world.api.complete(user.me_token, started[0], codeOf(done))).status, 201);
    await eventually('a completed connect does not count', async () => (await begin()).status === 201);
    assertProblem(await begin(), 429);
    await world.visit(started[1], { login: 'restless', cancel: true });
    await eventually('a cancelled connect does not count', async () => (await begin()).status === 201);
    assertProblem(await begin(), 429);
    await world.advance(1741);
    const all = await Promise.all(Array.from({ length: 25 }, begin));
    assert.deepEqual(all.map((answer) => answer.status).toSorted(), [...Array(20).fill(201), ...Array(5).fill(429)]);
  });

  test('pages of the browser flow give other origins nothing', async () => {
    const started = await world.startConnect(await world.signIn('cors'));
    for (const url of [world.api.connectLink(started), `${world.vault}/callback/demo?state=x`]) {
      const answer = await call({ url, headers: { origin: APP_ORIGIN } });
      assert.equal(answer.headers.get('access-control-allow-origin'), null, url);
    }
  });

  test('a browser of a registered origin may call the user API, another may not', async () => {
    const path = '/me/v1/connected-accounts/connect';
    const preflight = (origin) => world.api.call('OPTIONS', path, {
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    const allowed = await preflight(APP_ORIGIN);
    assert.equal(allowed.status, 204, show(allowed));
    assert.equal(allowed.headers.get('access-control-allow-origin'), APP_ORIGIN);
    assert.match(allowed.headers.get('access-control-allow-methods'), /\bPOST\b/);
    assert.match(allowed.headers.get('access-control-allow-headers'), /authorization/i);
    assert.match(allowed.headers.get('access-control-allow-headers'), /content-type/i);
    assert.match(allowed.headers.get('vary'), /origin/i);
    for (const origin of ['http://127.0.0.1:3001', 'https://127.0.0.1:3000', `${APP_ORIGIN}.example.com`, 'null']) {
      assert.equal((await preflight(origin)).headers.get('access-control-allow-origin'), null, origin);
    }

    const user = await world.signIn('browser');
    const list = (origin) => world.api.call('GET', '/me/v1/connected-accounts/accounts', { token: user.me_token, headers: { origin } });
    assert.equal((await list(APP_ORIGIN)).headers.get('access-control-allow-origin'), APP_ORIGIN);
    assert.equal((await list('https://example.com')).headers.get('access-control-allow-origin'), null);
  });

  test('a connection that does not exist cannot be connected', async () => {
    const user = await world.signIn('lost');
    assertProblem(await world.api.connect(user.me_token, { connection: 'nowhere', redirectUri: APP }), 400);
    const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_target');
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
