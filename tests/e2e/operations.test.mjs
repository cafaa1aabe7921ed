// SPDX-License-Identifier: Apache-2.0
// The procedures of docs/operations.md, with its commands as they stand there.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Cloudflare } from './cloudflare.mjs';
import { commands } from './documents.mjs';
import { PROVIDER_TOKEN_SECONDS, World, assertRefused, describe as show, eventually } from './harness.mjs';

const PAGE = 'docs/operations.md';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORKER = 'vault-of-the-tests';
const execute = promisify(execFile);

/** Why these tests are left out, or false. */
const skip = spawnSync('jq', ['--version']).error ? 'no jq found: the commands of the page need it' : false;

describe('the procedures for operators', { timeout: 240_000, skip }, () => {
  let world;
  let cloudflare;
  /** What `cargo xtask deploy` writes. */
  let files;

  before(async () => {
    world = await World.start();
    files = { KEY_RING: JSON.stringify(world.keyRing), OBJECT_NAME_KEY: world.bindings.text.OBJECT_NAME_KEY };
    writeFileSync(join(world.directory, 'keys.json'), JSON.stringify(files));
    cloudflare = await Cloudflare.start();
  });
  after(async () => {
    await cloudflare?.close();
    await world?.close();
  });

  /** Runs the block of the page that begins so; returns what it prints. */
  async function run(start, environment = {}) {
    const path = [join(ROOT, 'node_modules/.bin'), process.env.PATH].join(delimiter);
    const env = /** @type {any} */ ({ ...process.env, ...environment, PATH: path });
    const text = commands(PAGE, start)
      // The wrangler of this checkout.
      .replaceAll('npx wrangler', 'wrangler')
      // The command belongs to the checkout, whose configuration is another one.
      .replace('cargo xtask user-hash', `cd '${ROOT}' && cargo xtask user-hash --issuer ${world.issuer} --config none.toml`)
      .replace('--keys keys.json', `--keys '${join(world.directory, 'keys.json')}'`);
    const { stdout } = await execute('bash', ['-euo', 'pipefail', '-c', text], { cwd: world.directory, env });
    return stdout;
  }

  async function restart(ring) {
    await world.stopVault();
    await world.startVault({ KEY_RING: ring });
  }

  test('a user’s accounts are deleted with a token of the user, and each outcome is printed', async () => {
    const user = await world.signIn('rosa');
    const ids = [];
    for (const login of ['rosa-one', 'rosa-two']) ids.push((await world.connect(user, login)).id);
    const other = await world.signIn('sven');
    await world.connect(other);
    const printed = await run('API=', { VAULT: world.vault, ME_TOKEN: user.me_token });
    assert.deepEqual(printed.trim().split('\n').sort(), ids.map((id) => `${id} revoked`).sort());
    assert.deepEqual(await world.accounts(user), []);
    assert.equal((await world.accounts(other)).length, 1);
  });

  test('a new key seals from the next refresh on, and what it sealed needs the old key no more', async () => {
    const used = await world.signIn('ulla');
    const idle = await world.signIn('ida');
    for (const user of [used, idle]) await world.connect(user);
    writeFileSync(join(world.directory, 'wrangler.toml'), `name = "${WORKER}"\nmain = "worker.js"\ncompatibility_date = "2026-10-01"\n`);
    cloudflare.put(WORKER, files);
    await run('export K2=');
    const [both, fresh] = ['keys-both.json', 'keys-new.json'].map((name) => JSON.parse(readFileSync(join(world.directory, name), 'utf8')));
    const rings = [both, fresh].map(({ KEY_RING: ring }) => JSON.parse(ring));
    for (const { keys } of rings) world.secrets.add(keys.k2);
    assert.deepEqual(rings.map(({ write }) => write), ['k1', 'k2']);
    for (const { keys } of rings) assert.equal(keys.k1, world.keyRing.keys.k1);
    for (const file of [both, fresh]) assert.equal(file.OBJECT_NAME_KEY, files.OBJECT_NAME_KEY);

    for (const [file, { KEY_RING: ring }] of [['keys-both.json', both], ['keys-new.json', fresh]]) {
      await run(`jq -r .KEY_RING ${file}`, { ...cloudflare.environment, CI: '1' });
      const set = cloudflare.workers.get(WORKER).secrets;
      // wrangler removes the line break at the end.
      assert.deepEqual(Object.fromEntries(set), { KEY_RING: ring, OBJECT_NAME_KEY: files.OBJECT_NAME_KEY });
      await restart(set.get('KEY_RING'));
      for (const user of [used, idle]) await world.exchange(user);
    }
    await world.advance(PROVIDER_TOKEN_SECONDS);
    await world.exchange(used);

    const { keys: { k2 } } = rings[1];
    await restart(JSON.stringify({ write: 'k2', keys: { k2 } }));
    await world.exchange(used);
    const refused = await world.api.exchange(world.clients.backend, idle.access_token, 'demo');
    assertRefused(refused, 503, 'key_unavailable');
    await eventually('the log names the key', () => world.workerd.log.includes('"event":"key_unavailable"'));

    await restart(fresh.KEY_RING);
    for (const user of [used, idle]) await world.exchange(user);
  });

  test('the log is counted by what went wrong, and selected by user', async () => {
    const LOG = join(world.directory, 'log');
    const user = await world.signIn('nina');
    const answer = await world.api.exchange(world.clients.backend, user.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_target');
    const line = await eventually('it is logged', () => world.requestLines().findLast((one) => one.reason === 'not_connected'));
    writeFileSync(LOG, world.workerd.log);
    const counted = await run('grep -oh \'{"event".*}\' "$LOG" | jq -r', { LOG });
    assert.match(counted, /^ +\d+ request 400 invalid_target not_connected demo backend$/m, show({ body: counted }));
    assert.match(counted, /^ +\d+ key_unavailable /m);
    assert.doesNotMatch(counted, / request 200 /);
    const mine = (await run('USER_HASH=', { LOG, SUBJECT: 'nina' })).trim().split('\n').map((text) => JSON.parse(text));
    assert.ok(mine.some((one) => one.reason === 'not_connected'), show({ body: mine }));
    assert.ok(mine.every((one) => one.user === line.user));
  });

  test('nothing secret was logged', () => world.assertLogHasNoSecret());
});
