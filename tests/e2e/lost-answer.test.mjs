// SPDX-License-Identifier: Apache-2.0
// Lost, unclear and late responses to a refresh: the vault follows up by itself, stores a new refresh token
// before it validates the rest of the response, and waits longer than its callers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';
import { databases, withJobs, withoutAlarms } from './earlier-versions.mjs';
import { HostileServer, answer, broken, cutOff } from './hostile-server.mjs';

const LIFE = 600;

describe('a lost answer', { timeout: 180_000 }, () => {
  let world;
  let server;
  let issued = 0;
  /** The refresh tokens that the provider received, and its next responses; after them it issues tokens. */
  let sent;
  let acts;
  /** The number of redeemed codes. */
  let codes = 0;

  before(async () => {
    server = await HostileServer.start();
    server.on('/token', async (response, params) => {
      const refresh = params.get('refresh_token');
      if (refresh) sent.push(refresh);
      else codes += 1;
      const act = acts.shift();
      if (act) await act(response);
      else answer(200, good())(response);
    });
    const entry = (origin, more) => ({
      kind: 'oauth2',
      authorization_endpoint: `${world?.issuer ?? origin}/auth`,
      token_endpoint: `${server.origin}/token`,
      client_authentication: 'none',
      scopes: ['openid'],
      identity: { from: 'answer', id: 'user' },
      ...more,
    });
    world = await World.start({
      upstream: ['leeway', 'unknown'].map((connection) => ({ connection, client_id: `vault-${connection}` })),
      connections: ({ issuer }) => ({
        leeway: entry(issuer, { client_id: 'vault-leeway', authorization_endpoint: `${issuer}/auth`, reuse_grace: 10 }),
        unknown: entry(issuer, { client_id: 'vault-unknown', authorization_endpoint: `${issuer}/auth` }),
      }),
    });
  });
  after(async () => {
    await world?.close();
    await server?.close();
  });

  function good(change = {}) {
    issued += 1;
    world.secrets.add(`access-${issued}-x`).add(`refresh-${issued}-x`);
    return { access_token: `access-${issued}-x`, refresh_token: `refresh-${issued}-x`, token_type: 'Bearer', expires_in: LIFE, user: 'u', ...change };
  }

  /** A user whose access token is valid for `left` seconds more, and the number of the refresh token. */
  async function nearExpiry(login, connection = 'leeway', left = 20) {
    [sent, acts] = [[], []];
    const user = await world.signIn(login);
    await world.connect(user, login, { connection });
    const number = issued;
    await world.advance(LIFE - left);
    return { user, number };
  }

  const exchange = (user, connection = 'leeway') => (
    world.api.exchange(world.clients.backend, user.access_token, connection)
  );
  const names = (...numbers) => numbers.map((number) => `refresh-${number}-x`);

  for (const [what, lose] of Object.entries({
    'breaks off': broken,
    'is unclear': answer(500, 'oops'),
  })) {
    test(`an answer that ${what} is followed up by the vault itself, though no caller comes`, async () => {
      const { user, number } = await nearExpiry(`lost-${what.replaceAll(' ', '-')}`);
      acts = [lose];
      const served = await exchange(user);
      // The caller receives the old token, which is still valid, and has no reason to retry.
      assert.equal(served.body.access_token, `access-${number}-x`, show(served));
      await eventually('it is asked again', () => sent.length === 2, 20);
      assert.deepEqual(sent, names(number, number));
      await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
      assert.equal(sent.length, 2);
    });
  }

  for (const [what, headers] of Object.entries({
    'before its last chunk': {},
    'before its announced length': { 'content-length': '10000' },
  })) {
    test(`an answer that is complete JSON when the connection closes ${what} is used`, async () => {
      const { user, number } = await nearExpiry(`cut-${what.replaceAll(' ', '-')}`);
      acts = [(response) => cutOff(200, good(), headers)(response)];
      const served = await exchange(user);
      assert.equal(served.body.access_token, `access-${number + 1}-x`, show(served));
      assert.deepEqual(sent, names(number));
    });

    test(`a code whose answer is complete JSON when the connection closes ${what} connects the account`, async () => {
      [sent, acts] = [[], [(response) => cutOff(200, good(), headers)(response)]];
      const user = await world.signIn(`code-cut-${what.replaceAll(' ', '-')}`);
      await world.connect(user, user.login, { connection: 'unknown' });
      const served = await exchange(user, 'unknown');
      assert.equal(served.body.access_token, `access-${issued}-x`, show(served));
    });
  }

  test('of an answer of which the last brace is missing, the new refresh token alone counts, and is sent next', async () => {
    const { user, number } = await nearExpiry('cut-short');
    acts = [(response) => cutOff(200, JSON.stringify(good()).slice(0, -1))(response)];
    const served = await exchange(user);
    assert.equal(served.body.access_token, `access-${number}-x`, show(served));
    await eventually('it is asked again', () => sent.length === 2, 20);
    assert.deepEqual(sent, names(number, number + 1));
  });

  for (const [what, change] of Object.entries({
    'has a token of an unknown type': { token_type: 'mac' },
    'has no access token': { access_token: undefined },
    'says error': { error: 'none' },
  })) {
    test(`the new refresh token of an answer that ${what} is sent from then on`, async () => {
      const { user, number } = await nearExpiry(`odd-${what.replaceAll(' ', '-')}`);
      acts = [(response) => answer(200, good(change))(response)];
      await exchange(user);
      const next = issued;
      await eventually('it is asked again', () => sent.length === 2, 20);
      assert.deepEqual(sent, names(number, next));
      await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
      // The old refresh token is not used any more.
      await world.advance(LIFE);
      await exchange(user);
      assert.deepEqual(sent, names(number, next, next + 1));
    });
  }

  test('a vault that is killed after such an answer goes on with the new refresh token', async () => {
    const { user, number } = await nearExpiry('killed', 'unknown', 0);
    acts = [(response) => answer(200, good({ token_type: 'mac' }))(response)];
    assertRefused(await exchange(user, 'unknown'), 503, 'temporarily_unavailable');
    const next = issued;
    await world.stopVault('SIGKILL');
    await world.startVault();
    await world.advance(60);
    const renewed = await exchange(user, 'unknown');
    assert.equal(renewed.status, 200, show(renewed));
    assert.deepEqual(sent, names(number, next));
  });

  /** The refreshes in flight of all vaults, with the times when they are followed up, and the number of jobs that do so. */
  function inFlight() {
    const read = (database, has) => {
      if (!has('grant')) return [[], 0];
      const intents = database.prepare('SELECT intent FROM "grant" WHERE intent IS NOT NULL').all();
      const jobs = database.prepare("SELECT count(*) AS number FROM jobs WHERE kind = 'recover'").get();
      return [intents.map(({ intent }) => JSON.parse(intent).follow_up).filter(Boolean), jobs.number];
    };
    const found = databases(world.workerd.state, 'VAULT', read);
    return { times: found.flatMap(([times]) => times).length, jobs: found.reduce((sum, [, jobs]) => sum + jobs, 0) };
  }

  /** Kills the vault while the provider is about to answer a refresh. */
  async function killedInFlight(login) {
    const { user, number } = await nearExpiry(login);
    /** @type {PromiseWithResolvers<void>} */
    const asked = Promise.withResolvers();
    acts = [(response) => { asked.resolve(); response.on('error', () => {}); }];
    const waiting = exchange(user).catch(() => 'cut off');
    await asked.promise;
    await world.stopVault('SIGKILL');
    await waiting;
    return { user, number };
  }

  async function takenUp({ user, number }) {
    await eventually('it is asked again', () => sent.length === 2, 20);
    assert.deepEqual(sent, names(number, number));
    await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
    assert.equal(sent.length, 2);
    await world.stopVault();
    assert.deepEqual(inFlight(), { times: 0, jobs: 0 });
    await world.startVault();
  }

  test('a refresh of a vault that is killed meanwhile is followed up, though no caller comes, without a job of its own', async () => {
    const killed = await killedInFlight('killed-in-flight');
    assert.deepEqual(inFlight(), { times: 1, jobs: 0 });
    await world.startVault();
    await takenUp(killed);
  });

  test('a refresh that the version before had in flight is followed up by its job', async () => {
    const killed = await killedInFlight('killed-before');
    assert.equal(withJobs(world.workerd.state), 1);
    assert.deepEqual(inFlight(), { times: 0, jobs: 1 });
    await world.startVault();
    await takenUp(killed);
  });

  test('a refresh in flight whose alarm the version before deleted is followed up once its vault is read', async () => {
    const killed = await killedInFlight('rolled-back');
    assert.equal(withoutAlarms(world.workerd.state), 1);
    await world.startVault();
    await world.advance(6); // past half of the leeway, where nothing happens without an alarm
    await world.accounts(killed.user);
    await takenUp(killed);
  });

  test('a new refresh token that is refused gives way to the old one', async () => {
    const { user, number } = await nearExpiry('refused');
    acts = [
      (response) => answer(200, good({ token_type: 'mac' }))(response),
      answer(400, { error: 'invalid_grant' }),
    ];
    await exchange(user);
    const next = issued;
    await eventually('the old one is sent again', () => sent.length === 3, 20);
    assert.deepEqual(sent, names(number, next, number));
    await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
  });

  /** The same user consents again, and the provider issues no refresh token this time. */
  async function connectAgain(user, login) {
    acts.push((response) => answer(200, good({ refresh_token: undefined }))(response));
    await world.connect(user, login, { connection: 'leeway' });
  }

  test('a consent that keeps the refresh token keeps what is open of it', async () => {
    const { user, number } = await nearExpiry('connects-again');
    acts = [answer(500, 'oops')];
    await exchange(user);
    await connectAgain(user, 'connects-again');
    await eventually('it is asked again', () => sent.length === 2, 20);
    assert.deepEqual(sent, names(number, number));
    await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
  });

  test('a consent that keeps the refresh token keeps the old one, too, until the new one works', async () => {
    const { user, number } = await nearExpiry('connects-again-odd');
    acts = [(response) => answer(200, good({ token_type: 'mac' }))(response)];
    await exchange(user);
    const next = issued;
    await connectAgain(user, 'connects-again-odd');
    acts = [answer(400, { error: 'invalid_grant' })];
    await eventually('the old one is sent again', () => sent.length === 3, 20);
    assert.deepEqual(sent, names(number, next, number));
    await eventually('what it brings is released', async () => (await exchange(user)).body.access_token === `access-${issued}-x`);
  });

  test('an access token that no header can carry is not released; the operator is named, and the grant goes on', async () => {
    const { user, number } = await nearExpiry('unusable', 'unknown', 0);
    acts = [(response) => answer(200, good({ access_token: 'two words' }))(response)];
    const refused = await exchange(user, 'unknown');
    assertRefused(refused, 503, 'temporarily_unavailable');
    const { state, reason } = refused.body.connection_state;
    assert.deepEqual({ state, reason }, { state: 'misconfigured', reason: 'unusable_access_token' });
    const next = issued;
    await world.advance(60);
    const renewed = await exchange(user, 'unknown');
    assert.equal(renewed.status, 200, show(renewed));
    assert.deepEqual(sent, names(number, next));
  });

  test('an answer that comes after callers were told to wait is stored and released', async () => {
    const { user, number } = await nearExpiry('late', 'unknown', 0);
    /** @type {PromiseWithResolvers<void>} */
    const told = Promise.withResolvers();
    acts = [async (response) => {
      await told.promise;
      answer(200, good())(response);
    }];
    assertRefused(await exchange(user, 'unknown'), 503, 'temporarily_unavailable');
    told.resolve();
    await eventually('it is released', async () => (await exchange(user, 'unknown')).status === 200, 30);
    assert.deepEqual(sent, names(number));
  });

  test('a code whose answer comes after callers were told to wait connects the account', async () => {
    /** @type {PromiseWithResolvers<void>} */
    const told = Promise.withResolvers();
    [sent, acts] = [[], [async (response) => {
      await told.promise;
      answer(200, good())(response);
    }]];
    const before = codes;
    const user = await world.signIn('late-code');
    const started = await world.startConnect(user, { connection: 'unknown' });
    const back = await world.visit(started, { login: 'late-code' });
    const complete = () => world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    const first = await complete();
    assertProblem(first, 503);
    assert.ok(Number(first.headers.get('retry-after')) > 0);
    // Meanwhile the code is not sent again.
    assertProblem(await complete(), 503);
    told.resolve();
    await eventually('the account is there', async () => (await world.accounts(user)).length === 1);
    await eventually('the connect is completed', async () => (await complete()).status === 201);
    assert.deepEqual(await world.accounts(user), [(await complete()).body]);
    assert.equal(codes, before + 1);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
