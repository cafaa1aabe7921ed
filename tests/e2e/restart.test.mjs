// SPDX-License-Identifier: Apache-2.0
// The storage on disk survives a restart and is unreadable without the keys. A missing or wrong key causes an
// outage, and users never find an empty vault.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { APP, PROVIDER_TOKEN_SECONDS, World, assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';
import { databases, toVersion } from './earlier-versions.mjs';

/** The number of holders in the registry. */
function holders(state) {
  const count = (database, has) => (has('holder') ? database.prepare('SELECT count(*) AS all_of_them FROM holder').get().all_of_them : 0);
  return databases(state, 'REGISTRY', count).reduce((sum, one) => sum + one, 0);
}

const newKey = () => randomBytes(32).toString('base64url');

describe('restart', { timeout: 120_000 }, () => {
  let world;
  let alice;

  before(async () => {
    world = await World.start();
    alice = await world.signIn('alice');
    await world.connect(alice);
  });
  after(() => world?.close());

  async function restart(text) {
    await world.stopVault();
    await world.startVault(text);
  }

  /** Asserts that exchanges with both grant types fail as an outage, without information on the account. */
  async function assertOutage() {
    for (const grant of ['exchange', 'exchangeAuth0']) {
      const answer = await world.api[grant](world.clients.backend, alice.access_token, 'demo');
      assertRefused(answer, 503, 'key_unavailable');
      assert.equal(answer.body.connection_state, undefined, show(answer));
    }
  }

  test('accounts and tokens survive a restart, and the refresh goes on', async () => {
    const accounts = await world.accounts(alice);
    const token = (await world.exchange(alice)).access_token;

    await restart();
    assert.deepEqual(await world.accounts(alice), accounts);
    assert.equal((await world.exchange(alice)).access_token, token);
    assert.equal(world.tokenRequests('refresh_token'), 0);

    await world.advance(PROVIDER_TOKEN_SECONDS + 60);
    const refreshed = (await world.exchange(alice)).access_token;
    assert.notEqual(refreshed, token);
    assert.equal(await world.owner(refreshed), 'alice');

    await restart();
    assert.equal((await world.exchange(alice)).access_token, refreshed);
    assert.equal(world.tokenRequests('refresh_token'), 1);
  });

  /** The keys of which the vaults have a check value. */
  function stamped() {
    const keys = 'SELECT id FROM key_stamp ORDER BY id';
    return databases(world.workerd.state, 'VAULT', (database, has) => (has('key_stamp') ? database.prepare(keys).all().map(({ id }) => id) : [])).flat();
  }

  for (const version of [1, 2, 3, 4, 5]) {
    test(`a vault that was written by version ${version} goes on`, async () => {
      const [accounts, { access_token: token }] = [await world.accounts(alice), await world.exchange(alice)];
      await world.stopVault();
      assert.equal(holders(world.workerd.state), 1);
      assert.equal(toVersion(version, world.workerd.state), 1);
      assert.equal(holders(world.workerd.state), version < 3 ? 0 : 1);
      await world.startVault();
      assert.deepEqual(await world.accounts(alice), accounts);
      assert.deepEqual(accounts.map(({ user_id: id, label }) => [id, label]), [['alice', 'alice@example.com']]);
      assert.equal((await world.exchange(alice)).access_token, token);
      assert.deepEqual(stamped(), version < 5 ? [] : ['k1']);
      const refreshes = world.tokenRequests('refresh_token');
      await world.advance(PROVIDER_TOKEN_SECONDS + 60);
      assert.equal(await world.owner((await world.exchange(alice)).access_token), 'alice');
      assert.equal(world.tokenRequests('refresh_token'), refreshes + 1);
      assert.deepEqual(stamped(), ['k1']);
      // Until then, another user's deletion could revoke this grant too.
      await eventually('the registry knows of it', () => holders(world.workerd.state) === 1);
      await world.connect(alice);
      assert.equal((await world.accounts(alice)).length, accounts.length);
    });
  }

  test('writes that belong together are undone when one of them fails', async () => {
    const user = await world.signIn('undone');
    await world.connect(user);
    const [accounts, { access_token: token }] = [await world.accounts(user), await world.exchange(user)];
    const inVaults = async (statement) => {
      await world.stopVault();
      databases(world.workerd.state, 'VAULT', (database, has) => has('grant') && database.exec(statement));
      await world.startVault();
    };
    // The plan of a consent writes the account and its access token before the grant.
    await inVaults('CREATE TRIGGER full BEFORE INSERT ON "grant" BEGIN SELECT RAISE(ABORT, \'full\'); END');
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: user.login });
    const complete = () => world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    assertProblem(await complete(), 503);
    assert.deepEqual(await world.accounts(user), accounts);
    assert.equal((await world.exchange(user)).access_token, token);

    await inVaults('DROP TRIGGER full');
    const done = await complete();
    assert.equal(done.status, 201, show(done));
    assert.notEqual((await world.exchange(user)).access_token, token);
  });

  test('an invalid configuration is logged while the isolate starts, once, and all requests get 503', async () => {
    await world.stopVault();
    const { length } = world.workerd.log;
    // Without the harness, which sends a request to set the clock.
    const { bindings } = world;
    await world.workerd.start({ ...bindings, text: { ...bindings.text, KEY_RING: '{}' } });
    const events = () => world.workerd.log.slice(length).split('\n').filter((line) => line.includes('"event":"configuration_error"'));
    await eventually('the event is there', () => events().length > 0);
    for (const path of ['/health', '/oauth/token']) assert.equal((await fetch(`${world.vault}${path}`)).status, 503);
    await eventually('both requests are logged', () => world.workerd.log.slice(length).split('"reason":"configuration_error"').length === 3);
    assert.equal(events().length, 1);
    await restart();
    assert.equal(await world.owner((await world.exchange(alice)).access_token), 'alice');
  });

  for (const [when, request] of Object.entries({
    'at once': {},
    'after a wait': { method: 'POST', body: 'x' },
  })) {
    test(`after a trap of the wasm ${when} the next request works`, async () => {
      const trapped = await fetch(`${world.vault}/test-trap`, { ...request, signal: AbortSignal.timeout(20_000) });
      await trapped.body?.cancel();
      assert.equal(trapped.status, 500);
      await world.advance(0); // sets the clock again, which was lost with the process
      assert.equal(await world.owner((await world.exchange(alice)).access_token), 'alice');
    });
  }

  test('a vault that is killed while the provider answers takes the refresh up again', async () => {
    const user = await world.signIn('killed');
    await world.connect(user);
    await world.advance(PROVIDER_TOKEN_SECONDS);
    const before = world.tokenRequests('refresh_token');
    const [asked, released] = [Promise.withResolvers(), Promise.withResolvers()];
    world.intercept(async () => {
      asked.resolve(undefined);
      await released.promise;
      return { status: 503 };
    });
    const waiting = world.api.exchange(world.clients.backend, user.access_token, 'demo').catch(() => 'cut off');
    await asked.promise;
    await world.stopVault('SIGKILL');
    assert.equal(await waiting, 'cut off');
    released.resolve(undefined);
    world.intercept();

    await world.startVault();
    // Before that, the request of the killed vault may still be on its way.
    await world.advance(10);
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'killed');
    assert.equal(world.tokenRequests('refresh_token'), before + 2);
  });

  test('a vault that is killed while a user connects redeems no code twice', async () => {
    const user = await world.signIn('halfway');
    const started = await world.startConnect(user);
    const code = (await world.visit(started, { login: 'halfway' })).searchParams.get('connect_code');
    const before = world.tokenRequests('authorization_code');
    const [asked, released] = [Promise.withResolvers(), Promise.withResolvers()];
    world.intercept(async () => {
      asked.resolve(undefined);
      await released.promise;
      return { status: 503 };
    });
    const waiting = world.api.complete(user.me_token, started, code).catch(() => 'cut off');
    await asked.promise;
    await world.stopVault('SIGKILL');
    assert.equal(await waiting, 'cut off');
    released.resolve(undefined);
    world.intercept();

    await world.startVault();
    for (let time = 0; time < 2; time += 1) assertProblem(await world.api.complete(user.me_token, started, code), 502);
    assert.equal(world.tokenRequests('authorization_code'), before + 1);
    await world.connect(user);
  });

  test('no token and no key lies readable on disk', async () => {
    await world.stopVault();
    const files = world.storedBytes();
    assert.ok(files.length > 0, 'nothing is stored');
    const { stats } = world.provider;
    const tokens = ['access_token', 'refresh_token'].flatMap((kind) => stats.tokens('edge-token-vault', kind));
    assert.ok(tokens.length >= 2, 'the provider issued nothing to look for');
    for (const text of [...tokens, ...stats.issued, ...world.secrets]) {
      const found = files.filter((bytes) => bytes.includes(text));
      assert.equal(found.length, 0, `${text.slice(0, 8)}… lies on disk`);
    }
    await world.startVault();
  });

  test('another OBJECT_NAME_KEY is an outage, not an empty vault', async () => {
    await restart({ OBJECT_NAME_KEY: newKey() });
    await assertOutage();
    const list = await world.api.accounts(alice.me_token);
    assertProblem(list, 503);

    await restart();
    assert.equal((await world.accounts(alice)).length, 1);
    await world.exchange(alice);
  });

  test('without the key check, what a vault holds is served, and no vault is taken for empty', async () => {
    const nobody = await world.signIn('nobody');
    await world.stopVault();
    const breaks = (from, to) => databases(world.workerd.state, 'REGISTRY', (database, has) => {
      for (const table of ['key_check', 'key_check_copy']) {
        if (has(table)) database.exec(`ALTER TABLE ${table} RENAME COLUMN ${from} TO ${to}`);
      }
    });
    breaks('value', 'lost');
    await world.startVault();
    assert.equal((await world.accounts(alice)).length, 1);
    await world.exchange(alice);
    const refused = await world.api.exchange(world.clients.backend, nobody.access_token, 'demo');
    assertRefused(refused, 503, 'temporarily_unavailable');
    assertProblem(await world.api.accounts(nobody.me_token), 503);
    assertProblem(await world.api.connect(nobody.me_token, { connection: 'demo', redirectUri: APP }), 503);
    assertProblem(await world.api.remove(nobody.me_token, `cac_${'0'.repeat(22)}`), 503);

    await world.stopVault();
    breaks('lost', 'value');
    await world.startVault();
    const { body } = await world.api.exchange(world.clients.backend, nobody.access_token, 'demo');
    assert.equal(body.connection_state.state, 'not_connected');
    assert.deepEqual(await world.accounts(nobody), []);
  });

  test('a copy of the key check is filled from the original, and not from the configuration', async () => {
    await world.stopVault();
    databases(world.workerd.state, 'REGISTRY', (database, has) => has('key_check_copy') && database.exec('DROP TABLE key_check_copy'));
    const copied = () => {
      const rows = 'SELECT name, value FROM key_check_copy ORDER BY name';
      return databases(world.workerd.state, 'REGISTRY', (database, has) => (has('key_check_copy') ? database.prepare(rows).all() : [])).flat();
    };
    assert.deepEqual(copied(), []);
    await world.startVault({ OBJECT_NAME_KEY: newKey() });
    await assertOutage();
    const filled = copied();
    assert.deepEqual(filled.map(({ name }) => name), ['KEY_RING.k1', 'OBJECT_NAME_KEY']);
    await restart();
    const nobody = await world.signIn('nobody-else');
    assert.deepEqual(await world.accounts(nobody), []);
    for (const row of copied()) assert.ok(filled.some(({ name, value }) => name === row.name && value === row.value));
  });

  test('a key that is missing from the ring is an outage until it is back', async () => {
    await restart({ KEY_RING: JSON.stringify({ write: 'k2', keys: { k2: newKey() } }) });
    await assertOutage();

    await restart();
    await world.exchange(alice);
  });

  test('a key with the right name and other bytes is an outage, and overwrites nothing', async () => {
    const [account] = await world.accounts(alice);
    await restart({ KEY_RING: JSON.stringify({ write: 'k1', keys: { k1: newKey() } }) });
    await assertOutage();
    assertProblem(await world.api.accounts(alice.me_token), 503);
    assertProblem(await world.api.remove(alice.me_token, account.id), 503);
    // Even if the access token has expired, the vault must not send a refresh whose result it cannot store.
    const before = world.tokenRequests('refresh_token');
    await world.advance(PROVIDER_TOKEN_SECONDS + 60);
    await assertOutage();
    assert.equal(world.tokenRequests('refresh_token'), before);

    await restart();
    const { access_token: token } = await world.exchange(alice);
    assert.equal(await world.owner(token), 'alice');
  });

  test('a second key becomes the writing key while the first still opens', async () => {
    const { keys } = world.keyRing;
    const ring = JSON.stringify({ write: 'k2', keys: { ...keys, k2: newKey() } });
    await restart({ KEY_RING: ring });
    const old = (await world.exchange(alice)).access_token;
    await world.advance(PROVIDER_TOKEN_SECONDS + 60);
    const renewed = (await world.exchange(alice)).access_token;
    assert.notEqual(renewed, old);

    await restart({ KEY_RING: ring });
    assert.equal((await world.exchange(alice)).access_token, renewed);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
