// SPDX-License-Identifier: Apache-2.0
// Connections to providers without discovery: endpoints from the configuration, identity from userinfo, and
// the response formats of such providers.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { PROVIDER_TOKEN_SECONDS, World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';

const POST = 'vault-post';
const PUBLIC = 'vault-public';

describe('OAuth 2.0 connections', { timeout: 120_000 }, () => {
  let world;

  before(async () => {
    world = await World.start({
      upstream: [
        {
          connection: 'plain',
          client_id: POST,
          client_secret: randomBytes(32).toString('base64url'),
          token_endpoint_auth_method: 'client_secret_post',
        },
        { connection: 'bare', client_id: PUBLIC },
        { connection: 'told', client_id: 'vault-told' },
        { connection: 'tasks', client_id: 'vault-tasks', client_secret: randomBytes(32).toString('base64url') },
      ],
      connections: ({ issuer }) => {
        const endpoints = { kind: 'oauth2', authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` };
        const ask = { scopes: ['openid', 'email', 'offline_access'], authorization_params: { prompt: 'consent' } };
        return {
          plain: {
            ...endpoints,
            ...ask,
            client_id: POST,
            client_authentication: 'client_secret_post',
            userinfo_endpoint: `${issuer}/me`,
            identity: { id: 'sub', email: 'email' },
            revocation_endpoint: `${issuer}/token/revocation`,
            errors: { permanent: ['bad_verification_code'] },
          },
          // The example in docs/configuration.md for a provider that the vault does not know.
          tasks: { ...endpoints, client_id: 'vault-tasks' },
          bare: { ...endpoints, ...ask, client_id: PUBLIC, client_authentication: 'none' },
          // The token response identifies the user.
          told: {
            ...endpoints,
            ...ask,
            client_id: 'vault-told',
            client_authentication: 'none',
            identity: { from: 'answer', id: 'user' },
          },
        };
      },
    });
  });
  beforeEach(() => world.intercept());
  after(() => world?.close());

  const connect = (user, connection, login) => world.connect(user, login, { connection });
  const ownerOf = async (user, more) => world.owner((await world.exchange(user, more)).access_token);

  test('a client that authenticates in the body connects, exchanges, refreshes and revokes', async () => {
    const connection = 'plain';
    const user = await world.signIn('anton');
    const account = await connect(user, connection);
    assert.equal(await ownerOf(user, { connection }), 'anton');

    await world.advance(PROVIDER_TOKEN_SECONDS);
    const refreshes = world.tokenRequests('refresh_token', POST);
    assert.equal(await ownerOf(user, { connection }), 'anton');
    assert.equal(world.tokenRequests('refresh_token', POST), refreshes + 1);

    const { access_token: token } = await world.exchange(user, { connection });
    assert.equal((await world.api.remove(user.me_token, account.id)).status, 204);
    await eventually('the provider refuses the old token', async () => await world.owner(token) === undefined);
  });

  test('a provider nobody knows works with its kind, two addresses and a client id', async () => {
    const connection = 'tasks';
    const reference = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    const [, example] = /\[vars\.CONNECTIONS\.tasks\]\n([^`]+)```/.exec(reference);
    const fields = example.trim().split('\n').map((line) => line.split(' ')[0]);
    assert.deepEqual(fields, Object.keys(world.bindings.json.CONNECTIONS[connection]));
    const user = await world.signIn('theo');
    await world.connect(user, user.login, { connection, scopes: ['openid'] });
    assert.equal(await ownerOf(user, { connection }), 'theo');
  });

  test('userinfo tells accounts apart', async () => {
    const connection = 'plain';
    const user = await world.signIn('bruno');
    await connect(user, connection, 'bruno-one');
    await connect(user, connection, 'bruno-two');
    assert.equal((await world.accounts(user)).length, 2);
    assert.equal(await ownerOf(user, { connection }), 'bruno-one');
    assert.equal(await ownerOf(user, { connection, login_hint: 'bruno-two@example.com' }), 'bruno-two');
  });

  test('a public client connects with PKCE alone, and without userinfo there is one account', async () => {
    const connection = 'bare';
    const user = await world.signIn('carlo');
    const first = await connect(user, connection, 'carlo-one');
    assert.equal(await ownerOf(user, { connection }), 'carlo-one');
    const second = await connect(user, connection, 'carlo-two');
    assert.equal(second.id, first.id);
    assert.equal(await ownerOf(user, { connection }), 'carlo-two');
  });

  test('a token without an end, in a form-encoded answer, is kept and served', async () => {
    const connection = 'bare';
    const user = await world.signIn('dario');
    const token = randomBytes(24).toString('hex');
    world.intercept(() => ({
      status: 200,
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: String(new URLSearchParams({ access_token: token, token_type: 'bearer', scope: 'repo gist' })),
    }));
    const account = await connect(user, connection);
    assert.deepEqual(account.scopes.toSorted(), ['gist', 'repo']);
    world.intercept();

    const requests = world.tokenRequests(undefined, PUBLIC);
    for (const seconds of [0, 3600]) {
      await world.advance(seconds);
      const answer = await world.exchange(user, { connection });
      assert.deepEqual(
        { token: answer.access_token, expires_in: answer.expires_in, token_type: answer.token_type },
        { token, expires_in: 600, token_type: 'Bearer' },
      );
    }
    assert.equal(world.tokenRequests(undefined, PUBLIC), requests);
  });

  test('a scope that was not granted is named', async () => {
    const connection = 'plain';
    const user = await world.signIn('emil');
    await connect(user, connection);
    const granted = await world.exchange(user, { connection, scope: 'email' });
    assert.equal(typeof granted.access_token, 'string');
    const answer = await world.api.exchange(world.clients.backend, user.access_token, connection, { scope: 'email files.read' });
    assertRefused(answer, 400, 'invalid_scope');
    assert.deepEqual(answer.body.connection_state, { state: 'missing_scopes', missing_scopes: ['files.read'] }, show(answer));
  });

  test('connecting again during a refresh, without a new refresh token, keeps the one the refresh brings', async () => {
    const connection = 'told';
    const user = await world.signIn('guido');
    const sent = [];
    const atProvider = Promise.withResolvers();
    const answered = Promise.withResolvers();
    const tokens = (number, more) => {
      const body = { access_token: `access-${number}-${connection}`, token_type: 'Bearer', expires_in: PROVIDER_TOKEN_SECONDS, user: 'guido' };
      return { status: 200, body: { ...body, ...more } };
    };
    const refreshes = [
      async () => {
        atProvider.resolve(undefined);
        await answered.promise;
        return tokens(2, { refresh_token: 'rotated-once' });
      },
      () => tokens(4, { refresh_token: 'rotated-twice' }),
    ];
    const codes = [tokens(1, { refresh_token: 'never-rotated' }), tokens(3)];
    world.intercept(({ grant, params }) => {
      if (grant === 'authorization_code') return codes.shift();
      sent.push(params.get('refresh_token'));
      return refreshes.shift()();
    });

    await connect(user, connection);
    await world.advance(PROVIDER_TOKEN_SECONDS);
    const waiting = world.exchange(user, { connection });
    await atProvider.promise;
    await connect(user, connection);
    answered.resolve(undefined);
    assert.equal((await waiting).access_token, `access-3-${connection}`);

    await world.advance(PROVIDER_TOKEN_SECONDS);
    assert.equal((await world.exchange(user, { connection })).access_token, `access-4-${connection}`);
    assert.deepEqual(sent, ['never-rotated', 'rotated-once']);
  });

  test('without a new refresh token and without knowing the user, a connect puts nothing over a grant that can be renewed', async () => {
    const connection = 'bare';
    const user = await world.signIn('ines');
    const tokens = (number, more) => (
      { status: 200, body: { access_token: `access-${number}`, token_type: 'Bearer', expires_in: PROVIDER_TOKEN_SECONDS, ...more } }
    );
    const codes = [tokens('i1', { refresh_token: 'refresh-i1' }), tokens('i2'), tokens('i3')];
    world.intercept(({ grant }) => (
      grant === 'authorization_code' ? codes.shift() : { status: 400, body: { error: 'invalid_grant' } }
    ));
    const account = await connect(user, connection);
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: 'somebody-else' });
    const complete = () => world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    const refused = await complete();
    assertProblem(refused, 409);
    assert.deepEqual((await complete()).body, refused.body);
    assert.match(refused.body.detail, /[Dd]elete the account first/);
    assert.match(refused.body.detail, /consent again/);
    assert.equal((await world.exchange(user, { connection })).access_token, 'access-i1');

    // If the grant has ended, there is no refresh token to keep.
    await world.advance(PROVIDER_TOKEN_SECONDS);
    const over = await world.api.exchange(world.clients.backend, user.access_token, connection);
    assert.equal(over.body.connection_state.state, 'reconnect_required');
    assert.equal((await connect(user, connection)).id, account.id);
    assert.equal((await world.exchange(user, { connection })).access_token, 'access-i3');
    await world.advance(PROVIDER_TOKEN_SECONDS);
    const bare = await world.api.exchange(world.clients.backend, user.access_token, connection);
    assert.equal(bare.body.connection_state.reason, 'no_refresh_token');
  });

  for (const [what, told, lives] of /** @type {[string, any, number][]} */ ([
    ['is not told', undefined, 900],
    ['cannot be read', '3600s', 900],
    ['has blanks around it', ' 300 ', 300],
  ])) {
    test(`a token whose life ${what} is renewed before it is taken to be over`, async () => {
      const connection = 'told';
      const user = await world.signIn(`life-${lives}-${what.length}`);
      let number = 0;
      const lifetimes = [900, told];
      world.intercept(() => {
        number += 1;
        const body = { access_token: `life-${number}-${what.length}`, token_type: 'Bearer', expires_in: lifetimes[number - 1], user: user.login };
        return { status: 200, body: { ...body, refresh_token: `life-refresh-${number}-${what.length}` } };
      });
      await connect(user, connection);
      await world.advance(900);
      const renewed = await world.exchange(user, { connection });
      assert.equal(renewed.access_token, `life-2-${what.length}`);
      assert.ok(renewed.expires_in > lives - 5 && renewed.expires_in <= lives, `${renewed.expires_in} s`);
      await world.advance(lives);
      assert.equal((await world.exchange(user, { connection })).access_token, `life-3-${what.length}`);
    });
  }

  test('a member error beside good tokens that names none is no error', async () => {
    const connection = 'told';
    const user = await world.signIn('error-ok');
    const errors = [{ code: 'ok' }, ''];
    world.intercept(() => ({
      status: 200,
      body: { access_token: 'error-ok-access', refresh_token: 'error-ok-refresh', expires_in: 60, user: 'e', error: errors.shift() },
    }));
    await connect(user, connection);
    await world.advance(60);
    assert.equal((await world.exchange(user, { connection })).access_token, 'error-ok-access');
    assert.deepEqual(errors, []);
  });

  test('a provider that refuses the code leaves nothing behind', async () => {
    const user = await world.signIn('fabio');
    const started = await world.startConnect(user, { connection: 'plain' });
    const back = await world.visit(started, { login: 'fabio' });
    world.intercept(() => ({ status: 200, body: { error: 'bad_verification_code' } }));
    const answer = await world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    assertProblem(answer, 400);
    assert.deepEqual(await world.accounts(user), []);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
