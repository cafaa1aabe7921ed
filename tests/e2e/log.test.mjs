// SPDX-License-Identifier: Apache-2.0
// The content of the log, and that neither the log nor a response contains a secret.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { call } from '../../xtask/js/vault-api.mjs';
import { accessToken } from './tokens.mjs';
import { PROVIDER_TOKEN_SECONDS, World, describe as show, eventually } from './harness.mjs';

describe('the log', { timeout: 120_000 }, () => {
  let world;

  before(async () => { world = await World.start(); });
  after(() => world?.close());

  /** Runs `work`, waits for `number` log lines of its requests, and returns them. */
  async function linesOf(work, number) {
    const before = world.requestLines().length;
    await work();
    await eventually('the lines are there', () => world.requestLines().length >= before + number);
    return world.requestLines().slice(before);
  }

  test('has one line for a request, with who and what and how long', async () => {
    const user = await world.signIn('lena');
    const [connect] = await linesOf(() => world.startConnect(user), 1);
    assert.equal(connect.route, 'POST /me/v1/connected-accounts/connect');
    assert.equal(connect.status, 201);
    assert.equal(connect.connection, 'demo');
    assert.equal(connect.client_id, 'spa');
    assert.match(connect.user, /^[0-9a-f]{16}$/);

    const account = await world.connect(user);
    const lines = await linesOf(() => world.exchange(user), 1);
    assert.equal(lines.length, 1);
    const [{ duration_ms: duration, ...exchange }] = lines;
    assert.equal(typeof duration, 'number');
    assert.deepEqual(exchange, {
      event: 'request',
      route: 'POST /oauth/token',
      status: 200,
      connection: 'demo',
      client_id: 'backend',
      user: connect.user,
    });
    const [removed] = await linesOf(() => world.api.remove(user.me_token, account.id), 1);
    assert.equal(removed.account, account.id);
  });

  test('says that an isolate has started, and nothing else before the first request', async () => {
    await world.stopVault();
    const before = world.workerd.log.length;
    await world.startVault();
    await eventually('it says so', () => world.workerd.log.length > before);
    const lines = world.workerd.log.slice(before).split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    const [, version] = /^version = "(.+)"$/m.exec(readFileSync('Cargo.toml', 'utf8')) ?? [];
    assert.deepEqual(lines, [{ event: 'started', detail: version }]);
  });

  test('says why a request was refused, where the caller is told less', async () => {
    const user = await world.signIn('lotte');
    const { backend } = world.clients;
    const [expired] = await linesOf(async () => {
      await world.advance(25 * 3600);
      await world.api.exchange(backend, user.access_token, 'demo');
      await world.advance(-25 * 3600);
    }, 1);
    assert.deepEqual(
      { status: expired.status, error: expired.error, reason: expired.reason, client_id: expired.client_id },
      { status: 400, error: 'invalid_request', reason: 'time', client_id: 'backend' },
    );
    const [wrong] = await linesOf(() => world.api.exchange({ ...backend, client_secret: 'x' }, user.access_token, 'demo'), 1);
    assert.equal(wrong.error, 'invalid_client');
    assert.equal(wrong.reason, 'secret');
    assert.equal(wrong.client_id, undefined, 'a client that did not prove itself is named');
  });

  test('says why the connected-accounts API refused a request, and for which client', async () => {
    const user = await world.signIn('linus');
    const stranger = await world.signIn('linus', { client: 'stranger' });
    const { api, vault } = world;
    const list = (token, headers = {}) => call({ url: `${vault}/me/v1/connected-accounts/accounts`, headers: { authorization: `Bearer ${token}`, ...headers } });
    const narrow = accessToken({
      issuer: world.issuer, audience: `${vault}/me/`, sub: 'linus', clientId: 'spa', key: world.jwks.keys[0], claims: { scope: 'openid' },
    });
    const asked = [
      [() => list(user.access_token), 401, 'audience', 'spa'],
      [() => list(stranger.me_token), 401, 'client', undefined],
      [() => list(narrow), 403, 'scope', 'spa'],
      [() => list(user.me_token, { origin: 'https://other.example' }), 403, 'origin', 'spa'],
      [() => list('no-token'), 401, 'format', undefined],
      [() => call({ url: `${vault}/me/v1/connected-accounts/accounts` }), 401, 'unauthorized', undefined],
      [() => call({ method: 'OPTIONS', url: `${vault}/me/v1/connected-accounts/accounts`, headers: { origin: 'https://other.example', 'access-control-request-method': 'GET' } }), 204, 'origin_unknown', undefined],
      [() => api.accounts(user.me_token), 200, undefined, 'spa'],
    ];
    for (const [request, status, reason, client] of asked) {
      const [line] = await linesOf(request, 1);
      assert.deepEqual({ status: line.status, reason: line.reason, client: line.client_id }, { status, reason, client });
    }
  });

  test('says that a login_hint matched no account, or several', async () => {
    const user = await world.signIn('lars');
    await world.connect(user);
    const [unknown] = await linesOf(() => world.api.exchange(world.clients.backend, user.access_token, 'demo', { login_hint: 'nobody' }), 1);
    assert.deepEqual({ status: unknown.status, reason: unknown.reason }, { status: 400, reason: 'login_hint_unknown' });
    const other = await world.signIn('lisa');
    const [none] = await linesOf(() => world.api.exchange(world.clients.backend, other.access_token, 'demo', { login_hint: 'nobody' }), 1);
    assert.equal(none.reason, 'not_connected');
  });

  test('names the connection and the user of a code that the provider refused', async () => {
    const user = await world.signIn('levin');
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'levin' });
    world.intercept(() => ({ status: 400, body: { error: 'invalid_grant' } }));
    const [line] = await linesOf(() => world.api.complete(user.me_token, started, back.searchParams.get('connect_code')), 1);
    world.intercept();
    const told = world.workerd.log.split('\n').filter((text) => text.includes('"code_not_redeemed"')).at(-1) ?? '';
    const { event, reason, connection, user: who } = JSON.parse(told.slice(told.indexOf('{')));
    assert.deepEqual(
      { event, reason, connection, who },
      { event: 'code_not_redeemed', reason: 'invalid_grant', connection: 'demo', who: line.user },
    );
  });

  test('names the user of a grant that ended', async () => {
    const user = await world.signIn('lore');
    await world.connect(user);
    await world.advance(PROVIDER_TOKEN_SECONDS);
    world.intercept(() => ({ status: 400, body: { error: 'invalid_grant' } }));
    const [line] = await linesOf(() => world.api.exchange(world.clients.backend, user.access_token, 'demo'), 1);
    world.intercept();
    const told = world.workerd.log.split('\n').filter((text) => text.includes('"reconnect_required"') && text.includes('"event":"reconnect')).at(-1) ?? '';
    assert.equal(JSON.parse(told.slice(told.indexOf('{'))).user, line.user);
  });

  test('names no address, parameter or header that a caller made up', async () => {
    const canary = 'canary-c0ffee';
    const url = `${world.vault}/${canary}?${canary}=${canary}`;
    const [line] = await linesOf(() => call({ method: 'POST', url, headers: { [canary]: canary }, form: { [canary]: canary } }), 1);
    assert.equal(line.route, 'unknown');
    const lines = await linesOf(async () => {
      await world.api.exchange({ client_id: canary, client_secret: canary }, canary, canary, { login_hint: canary });
      await call({ url: `${world.vault}/callback/${canary}?state=${canary}&code=${canary}&error=${canary}` });
      await call({ url: `${world.vault}/connected-accounts/connect?ticket=${canary}` });
      const user = await world.signIn('laura');
      await world.api.connect(user.me_token, { connection: canary, redirectUri: canary, scopes: [canary], login_hint: canary });
      await world.api.remove(user.me_token, `cac_${canary}`);
    }, 5);
    assert.deepEqual(lines.map(({ route, status }) => `${status} ${route}`), [
      '401 POST /oauth/token',
      '400 GET /callback',
      '400 GET /connected-accounts/connect',
      '400 POST /me/v1/connected-accounts/connect',
      '400 DELETE /me/v1/connected-accounts/accounts',
    ]);
    assert.ok(!world.workerd.log.includes(canary));
  });

  test('shows neither people nor secrets, through a life of an account', async () => {
    const user = await world.signIn('lucia');
    await world.connect(user, 'lucia-at-work');
    await world.exchange(user, { login_hint: 'lucia-at-work@example.com' });
    await world.advance(PROVIDER_TOKEN_SECONDS);
    await world.exchange(user);
    for (const body of [
      { error: 'invalid_client', error_description: 'canary-c0ffee' },
      { error: 'canary c0ffee' },
      { error: { canary: 'c0ffee' } },
      '<html>canary-c0ffee',
    ]) {
      await world.advance(PROVIDER_TOKEN_SECONDS);
      world.intercept(() => ({ status: 400, body }));
      await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    }
    world.intercept();
    const [account] = await world.accounts(user);
    await world.api.remove(user.me_token, account.id);
    await world.assertLogHasNoSecret();
    for (const word of ['lucia', '@example.com', 'canary', 'c0ffee']) {
      assert.ok(!world.workerd.log.includes(word), word);
    }
  });

  test('answers hold no secret but the one that was asked for', () => {
    const secrets = [...world.secrets, ...world.provider.stats.issued];
    assert.ok(secrets.length > 20 && world.api.answers.length > 10);
    for (const answer of world.api.answers) {
      const due = [
        answer.body?.access_token,
        answer.body?.auth_session,
        answer.body?.connect_params?.ticket,
      ];
      const text = `${JSON.stringify(answer.body)} ${JSON.stringify([...answer.headers])}`;
      const leaked = secrets.filter((secret) => text.includes(secret) && !due.includes(secret));
      assert.equal(leaked.length, 0, `${answer.request.method} ${new URL(answer.request.url).pathname}: ${answer.status}`);
    }
    const exchanged = world.api.answers.filter(({ status, body }) => status === 200 && body.access_token);
    const accessTokens = new Set(world.provider.stats.tokens('edge-token-vault', 'access_token'));
    assert.ok(exchanged.length > 2);
    for (const { body } of exchanged) assert.ok(accessTokens.has(body.access_token), show({ status: 200, body }));
  });
});
