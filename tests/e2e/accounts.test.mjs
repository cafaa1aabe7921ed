// SPDX-License-Identifier: Apache-2.0
// Several accounts of one user at one connection, and their deletion.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PROVIDER_TOKEN_SECONDS, World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';

describe('accounts', { timeout: 120_000 }, () => {
  let world;

  before(async () => {
    world = await World.start({
      upstream: [{ connection: 'second', client_id: 'vault-second' }, { connection: 'plain', client_id: 'vault-plain' }],
      connections: ({ issuer }) => ({
        plain: {
          kind: 'oauth2',
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          client_id: 'vault-plain',
          client_authentication: 'none',
          scopes: ['openid', 'offline_access'],
        },
        second: { kind: 'oidc', issuer, client_id: 'vault-second', client_authentication: 'none', scopes: ['openid', 'offline_access'] },
      }),
    });
  });
  after(() => world?.close());

  /** Signs a user in and connects two accounts: `<name>-one`, then `<name>-two` at the provider. */
  async function withTwo(name) {
    const user = await world.signIn(name);
    const one = await world.connect(user, `${name}-one`);
    // The oldest account is the default; creation times may be stored in whole seconds.
    await world.advance(2);
    const two = await world.connect(user, `${name}-two`);
    return { user, one, two };
  }

  const ownerOf = async (user, more) => world.owner((await world.exchange(user, more)).access_token);

  test('a second account does not change what an application already gets', async () => {
    const { user, one, two } = await withTwo('anna');
    assert.notEqual(one.id, two.id);
    const ids = (await world.accounts(user)).map((account) => account.id);
    assert.deepEqual(ids.toSorted(), [one.id, two.id].toSorted());
    assert.equal(await ownerOf(user), 'anna-one');
  });

  test('login_hint selects by id, by e-mail and by name at the provider', async () => {
    const { user } = await withTwo('berta');
    for (const hint of ['berta-two', 'berta-two@example.com', 'Berta-two']) {
      assert.equal(await ownerOf(user, { login_hint: hint }), 'berta-two', hint);
    }
    assert.equal(await ownerOf(user, { login_hint: 'berta-one' }), 'berta-one');
    const auth0 = await world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo', {
      body: 'json',
      login_hint: 'berta-two@example.com',
    });
    assert.equal(await world.owner(auth0.body.access_token), 'berta-two', show(auth0));
  });

  test('an account says who the user is at the provider, when it is connected and in lists', async () => {
    const { user, one, two } = await withTwo('bruno');
    const told = [one, two].map(({ user_id: id, label }) => ({ user_id: id, label }));
    assert.deepEqual(told, ['bruno-one', 'bruno-two'].map((id) => ({ user_id: id, label: `${id}@example.com` })));
    const listed = await world.accounts(user);
    for (const account of [one, two]) {
      assert.deepEqual(listed.find(({ id }) => id === account.id), account);
    }
  });

  test('login_hint takes the id of an account of the user, and not that of another user', async () => {
    const { user, one, two } = await withTwo('bea');
    assert.equal(await ownerOf(user, { login_hint: two.id }), 'bea-two');
    assert.equal(await ownerOf(user, { login_hint: one.id }), 'bea-one');
    const other = await world.signIn('boris');
    await world.connect(other);
    // The response does not disclose whether the account exists.
    for (const hint of [two.id, 'cac_0123456789ABCDEFGHIJKL']) {
      const answer = await world.api.exchange(world.clients.backend, other.access_token, 'demo', { login_hint: hint });
      assertRefused(answer, 400, 'invalid_target');
      assert.deepEqual(answer.body.connection_state, { state: 'not_connected', reason: 'login_hint_unknown' });
      assert.match(answer.body.error_description, /^login_hint matches none of the user's connected accounts/);
    }
    const auth0 = await world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo', { body: 'json', login_hint: two.id });
    assert.equal(await world.owner(auth0.body.access_token), 'bea-two', show(auth0));
  });

  test('an account at a provider that does not identify users has no label', async () => {
    const user = await world.signIn('bodo');
    const account = await world.connect(user, 'bodo', { connection: 'plain' });
    assert.deepEqual(Object.keys(account).filter((name) => ['user_id', 'label'].includes(name)), []);
    const token = await world.exchange(user, { connection: 'plain', login_hint: account.id });
    assert.equal(typeof token.access_token, 'string');
  });

  test('a login_hint that matches nothing is an error, even if there is only one account', async () => {
    const user = await world.signIn('carla');
    await world.connect(user);
    const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo', { login_hint: 'nobody' });
    assertRefused(answer, 400, 'invalid_target');
    assert.deepEqual(answer.body.connection_state, { state: 'not_connected', reason: 'login_hint_unknown' });
  });

  test('when the default account goes, the next oldest takes its place', async () => {
    const { user, one, two } = await withTwo('dora');
    assert.equal((await world.api.remove(user.me_token, one.id)).status, 204);
    assert.deepEqual((await world.accounts(user)).map((account) => account.id), [two.id]);
    assert.equal(await ownerOf(user), 'dora-two');
  });

  test('when another account goes, the default stays', async () => {
    const { user, one, two } = await withTwo('elsa');
    assert.equal((await world.api.remove(user.me_token, two.id)).status, 204);
    assert.deepEqual((await world.accounts(user)).map((account) => account.id), [one.id]);
    assert.equal(await ownerOf(user), 'elsa-one');
  });

  test('a deleted account is gone at the vault at once and at the provider soon', async () => {
    const user = await world.signIn('frida');
    const account = await world.connect(user);
    const { access_token: token } = await world.exchange(user);
    assert.equal(await world.owner(token), 'frida');

    const removed = await world.api.remove(user.me_token, account.id);
    assert.equal(removed.status, 204, show(removed));
    assert.deepEqual(await world.accounts(user), []);

    const rfc8693 = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(rfc8693, 400, 'invalid_target');
    assert.equal(rfc8693.body.connection_state.state, 'not_connected');
    const auth0 = await world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo');
    assertRefused(auth0, 401, 'federated_connection_refresh_token_not_found');
    assert.equal(auth0.body.connection_state.state, 'not_connected');

    await eventually('the provider refuses the old token', async () => await world.owner(token) === undefined);
    assert.ok(world.provider.stats.count({ path: '/token/revocation', method: 'POST' }) > 0);
  });

  test('an access token that is about to end is revoked with its account', async () => {
    const user = await world.signIn('greta');
    const account = await world.connect(user);
    await world.advance(PROVIDER_TOKEN_SECONDS - 5);
    const revoked = () => world.provider.stats.count({ path: '/token/revocation', method: 'POST' });
    const before = revoked();
    assert.equal((await world.api.remove(user.me_token, account.id)).status, 204);
    assert.equal(revoked(), before + 2);
  });

  test('a deleted account can be connected again', async () => {
    const user = await world.signIn('gerda');
    const first = await world.connect(user);
    await world.api.remove(user.me_token, first.id);
    const second = await world.connect(user);
    assert.deepEqual((await world.accounts(user)).map((account) => account.id), [second.id]);
    assert.equal(await ownerOf(user), 'gerda');
  });

  test('connecting again takes back the revocations that the provider did not take yet', async () => {
    const { user, one, two } = await withTwo('hanna');
    const three = await world.connect(user, 'hanna-three');
    const revoked = () => world.provider.stats.count({ path: '/token/revocation', method: 'POST' });
    const before = revoked();
    world.intercept(() => ({ status: 503 }), '/token/revocation');
    await world.api.remove(user.me_token, one.id);
    await eventually('both tokens were tried', () => revoked() === before + 2);
    await world.connect(user, 'hanna-one');
    const { access_token: token } = await world.exchange(user, { login_hint: 'hanna-two' });
    await world.api.remove(user.me_token, two.id);
    await eventually('those of the second account, too', () => revoked() === before + 4);
    world.intercept();

    await world.advance(3600); // past the time of the next attempt
    await world.api.remove(user.me_token, three.id); // a request, after which the vault sets its alarm and runs its jobs
    // Jobs run in the order of their due times, so those of the first account would run earlier.
    await eventually('the second account is revoked', async () => await world.owner(token) === undefined);
    // For the third account only the refresh token is revoked: its access token has expired.
    await eventually('with both its tokens', () => revoked() >= before + 7);
    assert.equal(revoked(), before + 7);
    assert.equal(await ownerOf(user, { login_hint: 'hanna-one' }), 'hanna-one');
  });

  test('connecting again while a deletion waits for the provider stops what is left of it', async () => {
    const { user, one } = await withTwo('ilka');
    const revoked = () => world.provider.stats.count({ path: '/token/revocation', method: 'POST' });
    const before = revoked();
    const reached = Promise.withResolvers();
    const goOn = Promise.withResolvers();
    world.intercept(async () => {
      reached.resolve(undefined);
      await goOn.promise;
      return { status: 200 };
    }, '/token/revocation');
    const removing = world.api.remove(user.me_token, one.id);
    await reached.promise;
    await world.connect(user, 'ilka-one');
    goOn.resolve(undefined);
    assert.equal((await removing).status, 204);
    world.intercept();
    // The revocation of the access token, which follows that of the refresh token, was not sent.
    assert.equal(revoked(), before + 1);
    assert.equal(await ownerOf(user, { login_hint: 'ilka-one' }), 'ilka-one');
  });

  test('a revocation that the provider did not take is tried again', async () => {
    const { user, one, two } = await withTwo('ines');
    const revoked = () => world.provider.stats.count({ path: '/token/revocation', method: 'POST' });
    const { access_token: token } = await world.exchange(user);
    const before = revoked();
    world.intercept(() => ({ status: 503 }), '/token/revocation');
    await world.api.remove(user.me_token, one.id);
    await eventually('both tokens were tried', () => revoked() === before + 2);
    assert.equal(await world.owner(token), 'ines-one');
    world.intercept();

    await world.advance(3600);
    await world.api.remove(user.me_token, two.id);
    await eventually('the provider refuses the first token', async () => await world.owner(token) === undefined);
  });

  test('nobody deletes the account of another user, or one that does not exist', async () => {
    const owner = await world.signIn('heidi');
    const account = await world.connect(owner);
    const other = await world.signIn('ivan');
    // The response must not disclose whether the account exists or whose it is.
    for (const [id, status] of [[account.id, 204], ['cac_0123456789ABCDEFGHIJKL', 204], ['not-an-id', 400]]) {
      const answer = await world.api.remove(other.me_token, id);
      assert.equal(answer.status, status, `${id}: ${show(answer)}`);
    }
    assert.deepEqual((await world.accounts(owner)).map((one) => one.id), [account.id]);
  });

  test('a client lists and deletes accounts at its connections, and at all only if it is configured so', async () => {
    const user = await world.signIn('klara');
    const one = await world.connect(user);
    const two = await world.connect(user, 'klara', { connection: 'second' });
    const { json } = world.bindings;
    const [connections, clients] = [structuredClone(json.CONNECTIONS), structuredClone(json.CLIENTS)];
    const configure = async (change) => {
      await world.stopVault();
      change();
      await world.startVault();
    };
    const other = await world.signIn('klara', { client: 'webapp' });
    const listed = async (who = other) => (await world.accounts(who)).map((account) => account.id);
    const remove = async (id) => (await world.api.remove(other.me_token, id)).status;
    try {
      await configure(() => { json.CLIENTS.webapp.connections = ['second']; });
      assert.deepEqual(await listed(), [two.id]);
      assert.deepEqual((await world.api.accounts(other.me_token, '?connection=demo')).body, { accounts: [] });
      const refused = await world.api.remove(other.me_token, one.id);
      assertProblem(refused, 403);
      assert.match(refused.body.detail, /account_access/);
      assert.equal(await remove('cac_0123456789ABCDEFGHIJKL'), 204);
      assert.deepEqual((await listed(user)).toSorted(), [one.id, two.id].toSorted());

      await configure(() => {
        json.CLIENTS.webapp = { ...json.CLIENTS.webapp, connections: [], account_access: 'all' };
      });
      assert.deepEqual((await listed()).toSorted(), [one.id, two.id].toSorted());
      assert.equal(await remove(one.id), 204);
      assert.deepEqual(await listed(user), [two.id]);

      await configure(() => {
        delete json.CONNECTIONS.second;
        for (const client of Object.values(json.CLIENTS)) client.connections = client.connections.filter((name) => name !== 'second');
      });
      assert.deepEqual(await listed(user), []);
      assert.deepEqual(await listed(), [two.id]);
      assert.equal(await remove(two.id), 204);
      assert.deepEqual(await listed(), []);
    } finally {
      await configure(() => Object.assign(json, { CONNECTIONS: connections, CLIENTS: clients }));
    }
  });

  test('lists come in pages', async () => {
    const { user, one, two } = await withTwo('judith');
    const first = await world.api.accounts(user.me_token, '?take=1');
    assert.equal(first.body.accounts.length, 1, show(first));
    assert.equal(typeof first.body.next, 'string');
    const from = encodeURIComponent(first.body.next);
    for (const name of ['from', 'next']) { // one published SDK sends the cursor as `next`
      const second = await world.api.accounts(user.me_token, `?take=1&${name}=${from}`);
      const ids = [...first.body.accounts, ...second.body.accounts].map((account) => account.id);
      assert.deepEqual(ids.toSorted(), [one.id, two.id].toSorted(), name);
    }
    for (const query of ['?take=0', '?take=21', '?take=x']) {
      assertProblem(await world.api.accounts(user.me_token, query), 400);
    }
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
