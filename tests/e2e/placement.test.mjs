// SPDX-License-Identifier: Apache-2.0
// Where objects are created. workerd accepts a hint and ignores it, so what is tested is the hint that the Worker and
// its objects send: a module around theirs writes down each request for an object, and passes it on unchanged.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { World, assertRefused, describe as show, eventually } from './harness.mjs';
import { RelyingParty } from './relying-party.mjs';
import { OBJECTS } from './workerd.mjs';

const ASKED = 'asked for an object: ';

/** The entry of the Worker, with bindings that print which object is asked for, and with which options. */
const RECORDING = `
import vault, * as classes from './vault.js';

const bindings = ${JSON.stringify(Object.keys(OBJECTS))};
const known = new WeakMap();

function recording(env) {
  if (!known.has(env)) known.set(env, { ...env, ...Object.fromEntries(bindings.map((binding) => [binding, {
    getByName(name, options) {
      console.log(${JSON.stringify(ASKED)} + JSON.stringify({ binding, name, ...options }));
      return env[binding].getByName(name, options);
    },
  }])) });
  return known.get(env);
}

const construct = (target, [state, env]) => new target(state, recording(env));

${Object.values(OBJECTS).map((name) => `export const ${name} = new Proxy(classes.${name}, { construct });`).join('\n')}

export default { fetch: (request, env, ctx) => vault.fetch(request, recording(env), ctx) };
`;

describe('the place of objects', { timeout: 120_000 }, () => {
  let build;
  /** A vault with an issuer of its own; users come by the client \`spa\`, and \`backend\` exchanges their tokens. */
  let world;
  /** A vault that signs users in to the client \`app\`, and \`service\` exchanges their tokens. */
  let party;

  before(async () => {
    build = mkdtempSync(join(tmpdir(), 'edge-token-vault-build-'));
    cpSync(/** @type {string} */ (process.env.E2E_BUILD), build, { recursive: true });
    renameSync(join(build, 'entry.js'), join(build, 'vault.js'));
    writeFileSync(join(build, 'entry.js'), RECORDING);
    world = await World.start({ build });
    await configure(world, { clients: {}, connection: 'eeur', deployment: 'wnam' });
    party = await RelyingParty.start({ build });
    await configure(party.world, { clients: { service: 'apac-se' }, connection: 'eeur', deployment: 'wnam' });
  });
  after(async () => {
    await world?.close();
    await party?.world.close();
    rmSync(build, { recursive: true, force: true });
  });

  test('a connect, exchanges, a list and a deletion create each object where the connection or the deployment says', async () => {
    const user = await world.signIn('paula');
    const account = await world.connect(user);
    await world.exchange(user);
    assert.equal((await world.accounts(user)).length, 1);
    const deleted = await world.api.remove(user.me_token, account.id);
    assert.equal(deleted.status, 204, show(deleted));
    await created(world, {
      VAULT: ['eeur'], CONNECT_SESSION: ['eeur'], DIRECTORY: ['wnam'], REGISTRY: ['wnam'], ISSUER_KEYS: ['wnam'],
    });
  });

  test('whoever asks first for a vault that holds nothing, it is created where its tokens will be exchanged', async () => {
    const before = firsts(world, 'VAULT').length;
    const user = await world.signIn('quirin');
    const refused = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(refused, 400, 'invalid_target');
    assert.deepEqual(await world.accounts(user), []);
    const hints = await eventually('the vault was asked', () => {
      const added = firsts(world, 'VAULT').slice(before);
      return added.length > 0 && added;
    });
    assert.deepEqual(hints, ['eeur']);
  });

  test('a sign-in and a connect create the objects of a client\'s users where the client is that exchanges their tokens', async () => {
    const { world: own, signIn, meToken, service } = party;
    const tokens = await signIn('rosa');
    const me = await meToken(tokens);
    own.secrets.add(me.me_token);
    const account = await own.connect({ me_token: me.me_token }, 'rosa');
    const exchanged = await own.api.exchange(service(), tokens.access_token, 'demo');
    assert.equal(exchanged.status, 200, show(exchanged));
    const deleted = await own.api.remove(me.me_token, account.id);
    assert.equal(deleted.status, 204, show(deleted));
    const [ofUsers, ofAll] = [['apac-se'], ['wnam']];
    await created(own, {
      VAULT: ofUsers, CONNECT_SESSION: ofUsers, DIRECTORY: ofUsers, AUTHORIZATION: ofUsers, REFRESH_FAMILY: ofUsers,
      BROWSER_SESSION: ofUsers, IDENTITY: ofUsers, USER: ofUsers, REGISTRY: ofAll, ISSUER_KEYS: ofAll, SIGNING_KEYS: ofAll,
    });
    assert.deepEqual(new Set(asked(own).map(({ binding }) => binding)), new Set(Object.keys(OBJECTS)), 'each class was asked');
  });

  test('no request for an object lacks a hint, whether it is the first or not', () => {
    for (const one of [world, party.world]) {
      assert.ok(asked(one).length > 10);
      assert.deepEqual(asked(one).filter(({ locationHint }) => !locationHint), []);
    }
  });

  test('without a place in the configuration no hint is sent', async () => {
    const from = asked(world).length;
    await configure(world, { clients: {} });
    const user = await world.signIn('tessa');
    await world.connect(user);
    const since = await eventually('the vault was asked', () => {
      const since = asked(world).slice(from);
      return since.some(({ binding }) => binding === 'VAULT') && since;
    });
    assert.deepEqual(since.filter(({ locationHint }) => locationHint), []);
  });
});

/**
 * Starts the vault anew, with these places. Nothing was asked of it before, or all that was is kept.
 *
 * @param {World} world
 * @param {{clients: object, connection?: string, deployment?: string}} places
 */
async function configure(world, { clients, connection, deployment }) {
  await world.stopVault();
  const { json, text } = world.bindings;
  for (const [id, location] of Object.entries(clients)) json.CLIENTS[id].location = location;
  if (connection) json.CONNECTIONS.demo.location = connection;
  else delete json.CONNECTIONS.demo.location;
  if (deployment) text.LOCATION = deployment;
  else delete text.LOCATION;
  await world.startVault();
}

/**
 * The requests for objects so far, oldest first.
 *
 * @returns {{binding: string, name: string, locationHint?: string}[]}
 */
function asked(world) {
  return world.workerd.log.split('\n').flatMap((line) => {
    const at = line.indexOf(ASKED);
    return at < 0 ? [] : [JSON.parse(line.slice(at + ASKED.length))];
  });
}

/** The hint of the first request for each object of a class. */
function firsts(world, binding) {
  const hints = new Map();
  for (const one of asked(world)) {
    if (one.binding === binding && !hints.has(one.name)) hints.set(one.name, one.locationHint);
  }
  return [...hints.values()];
}

/** Asserts with which hints the objects of each class were created. */
async function created(world, expected) {
  const found = () => Object.fromEntries(Object.keys(OBJECTS).map((binding) => (
    /** @type {[string, any[]]} */ ([binding, [...new Set(firsts(world, binding))]])
  )).filter(([, hints]) => hints.length > 0));
  const isComplete = () => Object.keys(expected).every((binding) => found()[binding]);
  await eventually('each class was asked', isComplete).catch(() => {});
  assert.deepEqual(found(), expected);
}
