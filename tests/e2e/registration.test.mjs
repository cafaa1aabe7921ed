// SPDX-License-Identifier: Apache-2.0
// A grant is only used with the registration that issued it. A deployment with a wrong provider or client_id
// ends no grant, and sends no token to another provider.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { databases, toVersion } from './earlier-versions.mjs';

const LIFE = 600;
const connection = 'mail';

describe('another registration', { timeout: 180_000 }, () => {
  let world;
  let server;
  /** The tokens in the received requests, by path. */
  let requests;
  let issued = 0;
  /** The user that the providers' responses identify. */
  let owner = 'u1';
  /** Whether token responses have a second token. */
  let bots = false;

  before(async () => {
    server = await HostileServer.start();
    world = await World.start({
      upstream: ['vault-one', 'vault-two'].map((client_id) => ({ connection, client_id })),
      connections: () => ({ [connection]: entry('a') }),
    });
    requests = [];
    for (const name of ['a', 'b']) serve(name);
  });
  after(async () => {
    await world?.close();
    await server?.close();
  });

  /** The connection's configuration for one of two providers, which share an authorization endpoint. */
  function entry(name, more = {}) {
    return {
      kind: 'oauth2',
      authorization_endpoint: `${world?.issuer ?? 'http://127.0.0.1'}/auth`,
      token_endpoint: `${server.origin}/${name}/token`,
      revocation_endpoint: `${server.origin}/${name}/revoke`,
      revocation: { blast: 'token' },
      client_id: 'vault-one',
      client_authentication: 'none',
      scopes: ['openid'],
      identity: { from: 'answer', id: 'user' },
      ...more,
    };
  }

  /** Serves a provider, which accepts its own refresh tokens and rejects others with `invalid_grant`. */
  function serve(name) {
    const live = new Set();
    server.on(`/${name}/token`, (response, params) => {
      const sent = params.get('refresh_token');
      requests.push(`${name} ${sent ? 'refresh' : 'code'}`);
      if (sent && !live.delete(sent)) return answer(400, { error: 'invalid_grant' })(response);
      issued += 1;
      const refresh = `${name}-refresh-${issued}`;
      live.add(refresh);
      world.secrets.add(refresh).add(`${name}-access-${issued}`);
      const tokens = { access_token: `${name}-access-${issued}`, refresh_token: refresh, token_type: 'Bearer', expires_in: LIFE };
      const bot = { ...tokens, access_token: `${tokens.access_token}-bot`, refresh_token: `${refresh}-bot` };
      if (bots) live.add(bot.refresh_token);
      world.secrets.add(bot.access_token).add(bot.refresh_token);
      const body = { ...tokens, user: owner, ...(bots && { bot }) };
      return answer(200, body)(response);
    });
    server.on(`/${name}/revoke`, (response, params) => {
      requests.push(`${name} revoke ${params.get('token')}`);
      answer(200, {})(response);
    });
  }

  /** Deploys the vault with this configuration of the connection, or without the connection. */
  async function deploy(written) {
    await world.stopVault();
    const { CONNECTIONS: connections, CLIENTS: clients } = world.bindings.json;
    if (written) connections[connection] = written;
    else delete connections[connection];
    for (const client of Object.values(clients)) client.connections = Object.keys(connections);
    // Only such a client reaches accounts at a connection that is not configured.
    clients.spa.account_access = 'all';
    await world.startVault();
    requests.length = 0;
  }

  const exchange = (user, more) => world.api.exchange(world.clients.backend, user.access_token, connection, more);

  async function assertReleased(user, name, more) {
    const { status, body } = await exchange(user, more);
    assert.equal(status, 200, show({ status, body }));
    assert.ok(body.access_token.startsWith(`${name}-access-`), 'a token of another provider');
    return body.access_token;
  }

  async function assertMisconfigured(user, more) {
    for (const grant of ['exchange', 'exchangeAuth0']) {
      const refused = await world.api[grant](world.clients.backend, user.access_token, connection, more);
      assertRefused(refused, 503, 'temporarily_unavailable');
      const { state, reason } = refused.body.connection_state;
      assert.deepEqual({ state, reason }, { state: 'misconfigured', reason: 'registration_changed' });
      assert.ok(Number(refused.headers.get('retry-after')) > 0);
    }
  }

  async function connected(login) {
    await deploy(entry('a'));
    const user = await world.signIn(login);
    const account = await world.connect(user, login, { connection });
    return { user, account };
  }

  for (const [what, written] of Object.entries({
    'another provider': () => entry('b'),
    'another client_id': () => entry('a', { client_id: 'vault-two' }),
    'another refresh endpoint': () => entry('a', { refresh_endpoint: `${server.origin}/b/token` }),
  })) {
    test(`under ${what} nothing is sent, released or changed, and all is well when it is put right`, async () => {
      const { user, account } = await connected(`wrong-${what.replaceAll(' ', '-')}`);
      await deploy(written());
      await assertMisconfigured(user);
      await world.advance(LIFE);
      await assertMisconfigured(user);
      await assertMisconfigured(user, { login_hint: 'u1' });
      assert.deepEqual(requests, []);
      assert.deepEqual((await world.accounts(user)).map(({ id }) => id), [account.id]);
      assert.match(world.workerd.log, /"event":"registration_changed"/);

      await deploy(entry('a'));
      await assertReleased(user, 'a');
      assert.deepEqual(requests, ['a refresh']);
    });
  }

  test('a connect under another registration makes an account of its own, and each registration finds its own', async () => {
    const { user, account } = await connected('twice');
    await deploy(entry('b'));
    const second = await world.connect(user, 'twice', { connection });
    assert.notEqual(second.id, account.id);
    assert.equal((await world.accounts(user)).length, 2);
    // Both accounts are `u1`, but only one has the connection's registration.
    for (const more of [{}, { login_hint: 'u1' }]) await assertReleased(user, 'b', more);
    await world.advance(LIFE);
    await assertReleased(user, 'b');

    await deploy(entry('a'));
    for (const more of [{}, { login_hint: 'u1' }]) await assertReleased(user, 'a', more);
  });

  test('an address that moved is no outage where the earlier authority is listed', async () => {
    const { user } = await connected('moved');
    await deploy(entry('b', { earlier_authorities: [`${server.origin}/a/token`] }));
    await assertReleased(user, 'a');
    await deploy(entry('b'));
    await assertMisconfigured(user);
  });

  test('of two accounts that may rest on one grant, deleting one revokes nothing as long as the other is there', async () => {
    // A revocation at this provider ends all grants of this user to this client.
    const revocation = { blast: 'grant' };
    owner = 'nobody else here';
    const moved = { refresh_endpoint: `${server.origin}/a/token`, revocation };
    const { user, account } = await connected('two-of-one');
    await deploy(entry('a', moved));
    const second = await world.connect(user, 'two-of-one', { connection });
    assert.notEqual(second.id, account.id);
    const listed = { ...moved, earlier_authorities: [`${server.origin}/a/token`] };
    await deploy(entry('a', listed));
    owner = 'u1';
    const done = await world.api.remove(user.me_token, account.id);
    assert.equal(done.status, 204, show(done));
    assert.deepEqual(requests, []);
    await world.advance(LIFE);
    await assertReleased(user, 'a');
    assert.ok(!requests.some((one) => one.startsWith('a revoke')), requests.join());
  });

  test('a further token that a consent elsewhere did not renew stays with the registration it came from', async () => {
    const kinds = { bot: { answer_path: 'bot' } };
    const earlier = { earlier_authorities: [`${server.origin}/a/token`] };
    bots = true;
    await deploy(entry('a', { kinds }));
    const user = await world.signIn('bot-owner');
    const account = await world.connect(user, 'bot-owner', { connection });
    bots = false;
    await deploy(entry('b', { kinds, ...earlier }));
    assert.equal((await world.connect(user, 'bot-owner', { connection })).id, account.id);
    await assertReleased(user, 'a', { token_kind: 'bot' });

    await deploy(entry('b', { kinds }));
    await assertReleased(user, 'b');
    await assertMisconfigured(user, { token_kind: 'bot' });
    await world.advance(LIFE);
    await assertMisconfigured(user, { token_kind: 'bot' });
    assert.deepEqual(requests, []);
  });

  for (const [what, written] of Object.entries({ 'another provider': () => entry('b'), 'no connection': () => undefined })) {
    test(`a deletion under ${what} deletes here, and revokes where the grant came from when that is back`, async () => {
      const { user, account } = await connected(`deleter-${what.replaceAll(' ', '-')}`);
      const refresh = `a-refresh-${issued}`;
      await deploy(written());
      const done = await world.api.remove(user.me_token, account.id);
      assert.equal(done.status, 204, show(done));
      assert.equal(done.headers.get('token-revocation'), 'pending');
      assert.deepEqual(await world.accounts(user), []);
      assert.deepEqual(requests, []);

      await deploy(entry('a'));
      await eventually('it is revoked', () => requests.includes(`a revoke ${refresh}`), 30);
      assert.ok(!requests.some((one) => one.startsWith('b ')));
    });
  }

  for (const [what, written] of Object.entries({ 'another provider': () => entry('b'), 'no connection': () => undefined })) {
    test(`a connect in flight waits under ${what}: its code goes only to the registration it began with`, async () => {
      await deploy(entry('a'));
      const login = `in-flight-${what.replaceAll(' ', '-')}`;
      const user = await world.signIn(login);
      const started = await world.startConnect(user, { connection });
      const code = (await world.visit(started, { login })).searchParams.get('connect_code');
      await deploy(written());
      const refused = await world.api.complete(user.me_token, started, code);
      assertProblem(refused, 503);
      assert.deepEqual(requests, []);

      await deploy(entry('a'));
      const done = await world.api.complete(user.me_token, started, code);
      assert.equal(done.status, 201, show(done));
      assert.deepEqual(requests, ['a code']);
    });
  }

  /** The registrations of the grants in each vault on disk. */
  function registrations() {
    return databases(world.workerd.state, 'VAULT', (database, has) => (
      has('owner') && database.prepare('SELECT connection FROM owner').get().connection === connection
        ? database.prepare('SELECT authority, client_id FROM "grant"').all()
        : []
    )).flat();
  }

  test('a grant of before is bound when the registry lists it under what is configured', async () => {
    await world.close();
    world = await World.start({
      upstream: ['vault-one', 'vault-two'].map((client_id) => ({ connection, client_id })),
      connections: () => ({ [connection]: entry('a') }),
    });
    const { user } = await connected('earlier');
    await world.stopVault();
    assert.equal(toVersion(3, world.workerd.state), 1);
    await deploy(entry('a'));
    // An exchange alone binds nothing; it migrates the tables, which adds the job that binds.
    await assertReleased(user, 'a');
    await eventually('it is bound', () => registrations().some((one) => one.authority === `${server.origin}/a/token`));
    assert.deepEqual(registrations().map(({ client_id: id }) => id), ['vault-one']);
    assert.deepEqual(requests, []);
    await deploy(entry('b'));
    await assertMisconfigured(user);
  });

  test('a grant of before that the registry does not list is bound by its first successful refresh', async () => {
    await deploy(entry('a'));
    const [user] = [await world.signIn('earlier')];
    await world.stopVault();
    databases(world.workerd.state, 'REGISTRY', (database, has) => has('holder') && database.exec('DELETE FROM holder'));
    assert.equal(toVersion(3, world.workerd.state), 1);
    await deploy(entry('a'));
    await assertReleased(user, 'a');
    await eventually('the registry was asked', () => databases(world.workerd.state, 'VAULT', (database, has) => (
      has('jobs') ? database.prepare('SELECT payload FROM jobs').all() : []
    )).flat().some(({ payload }) => payload.includes('"bind"') && payload.includes('"attempt":1')));
    assert.deepEqual(registrations().map(({ authority }) => authority), [null]);
    await world.advance(LIFE);
    await assertReleased(user, 'a');
    assert.deepEqual(registrations().map(({ authority }) => authority), [`${server.origin}/a/token`]);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
