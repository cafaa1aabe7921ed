// SPDX-License-Identifier: Apache-2.0
// What Cloudflare bills for: requests to the Worker and to objects, and rows. Each operation is counted, and
// docs/operations.md has the counts, which this file writes with WRITE_DOCS, together with the costs that follow from them:
// a change that makes an operation cost more is to be seen.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { countsTable, counts as documented } from '../../bench/model/cost.mjs';
import { writeDocuments } from '../../bench/model/documents.mjs';
import { replace } from '../../bench/model/text.mjs';
import { PROVIDER_TOKEN_SECONDS, World, describe as show, eventually } from './harness.mjs';
import { OBJECTS } from './workerd.mjs';

/** The entry of the counting Worker: the vault, whose objects count what they are asked and what they read and write. */
const COUNTING = `
import vault, * as classes from './vault.js';
export * from './vault.js';

const counts = { worker: 0, objects: 0, alarms: 0 };
let cursors = [];
const owners = new WeakMap();

function patch(storage) {
  const sql = Object.getPrototypeOf(storage.sql);
  if (sql.counting) return;
  const { exec } = sql;
  sql.counting = true;
  sql.exec = function (...query) {
    const cursor = exec.apply(this, query);
    // The registry has 64 objects whatever the number of users, so that few users make tables there.
    if (owners.get(this) !== 'Registry' || !query[0].startsWith('CREATE')) cursors.push(cursor);
    cursor.of = owners.get(this) + ': ' + query[0].split(' ').slice(0, query[0].startsWith('UPDATE') ? 2 : 3).join(' ').replaceAll('"', '');
    return cursor;
  };
  const kind = Object.getPrototypeOf(storage);
  const { setAlarm } = kind;
  kind.setAlarm = function (...time) {
    counts.alarms += 1;
    return setAlarm.apply(this, time);
  };
}

const counted = (name) => class extends classes[name] {
  constructor(state, env) {
    patch(state.storage);
    owners.set(state.storage.sql, name);
    super(state, env);
  }

  fetch(request) {
    counts.objects += 1;
    return super.fetch(request);
  }

  alarm(info) {
    counts.objects += 1;
    return super.alarm(info);
  }
};

NAMES

export default {
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname === '/counts') {
      const statements = () => cursors.filter((cursor) => cursor.rowsWritten).map((cursor) => cursor.rowsWritten + ' ' + cursor.of);
      const sum = (field) => cursors.reduce((total, cursor) => total + cursor[field], 0);
      const answer = Response.json({ ...counts, read: sum('rowsRead'), written: sum('rowsWritten'), statements: statements() });
      Object.assign(counts, { worker: 0, objects: 0, alarms: 0 });
      cursors = [];
      return answer;
    }
    counts.worker += 1;
    return vault.fetch(request, env, ctx);
  },
};
`;

/** Makes a build whose objects count, of the build under test; returns its directory. */
function countingBuild() {
  const build = /** @type {string} */ (process.env.E2E_BUILD);
  const directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-counting-'));
  for (const name of readdirSync(build).filter((file) => /\.(js|wasm)$/.test(file))) {
    copyFileSync(join(build, name), join(directory, name === 'entry.js' ? 'vault.js' : name));
  }
  const names = Object.values(OBJECTS).map((name) => `const ${name} = counted('${name}');\nexport { ${name} };`);
  writeFileSync(join(directory, 'entry.js'), COUNTING.replace('NAMES', names.join('\n')));
  return directory;
}

const PAGE = new URL('../../docs/operations.md', import.meta.url);

/** How much the rows that are read may differ: what else lies in an object of the registry depends on chance. */
const READ_MORE_OR_LESS = 10;

describe('the cost of', { timeout: 120_000 }, () => {
  let build;
  let world;
  let alice;
  /** @type {Record<string, import('../../bench/model/cost.mjs').Counts>} */
  const counted = {};

  before(async () => {
    build = countingBuild();
    world = await World.start({ build });
    alice = await world.signIn('alice');
    // The first request of an isolate fetches keys and checks those of the configuration.
    await world.connect(await world.signIn('somebody'));
    await counts();
  });
  after(async () => {
    await world?.close();
    if (build) rmSync(build, { recursive: true, force: true });
  });

  /** The statements that wrote rows since the last operation began, with the number of the rows. */
  let statements = [];

  async function counts() {
    const { worker, objects, alarms, read, written, ...more } = await (await fetch(`${world.vault}/counts`)).json();
    // An alarm that is set is billed as a row that is written.
    statements.push(...more.statements, ...(alarms ? [`${alarms} setAlarm`] : []));
    return [worker, objects, read, written + alarms];
  }

  /** What is counted until nothing goes on. */
  async function settled() {
    let sum = [0, 0, 0, 0];
    await eventually('nothing goes on', async () => {
      const more = await counts();
      sum = sum.map((number, index) => number + more[index]);
      return more.every((number) => number === 0);
    });
    return sum;
  }

  /** Counts an operation, with what goes on after its response. */
  async function count(operation, run) {
    await settled();
    statements = [];
    await run();
    const [worker, objects, read, written] = await settled();
    counted[operation] = { worker, objects, read, written };
  }

  test('a user’s first connect', () => count('first connect of a user', () => world.connect(alice)));

  test('a connect that renews an account', () => count('connect again', () => world.connect(alice)));

  test('an exchange of an object that is not in memory, and of one that is', async () => {
    await world.stopVault();
    await world.startVault();
    const bob = await world.signIn('bob');
    await world.api.exchange(world.clients.backend, bob.access_token, 'demo'); // so that the isolate has the issuer's keys
    await count('exchange, object not in memory', () => world.exchange(alice));
    await count('exchange', () => world.exchange(alice, { headers: { 'cache-control': 'no-cache' } }));
    await count('exchange by lease', () => world.exchange(alice));
  });

  test('an exchange with a refresh', async () => {
    await world.advance(PROVIDER_TOKEN_SECONDS);
    // Once in half an hour the issuer's documents are fetched, whatever is asked.
    await world.api.exchange(world.clients.backend, (await world.signIn('carol')).access_token, 'demo');
    await count('exchange with a refresh', () => world.exchange(alice));
    // The intent with the time of its follow-up, and an alarm for that; then the tokens. An index that does not change
    // would be a row more for each.
    assert.deepEqual(statements.toSorted(), [
      '1 Vault: INSERT INTO access_token',
      '1 Vault: INSERT INTO grant',
      '1 Vault: UPDATE grant',
      '1 setAlarm',
    ]);
  });

  test('a list of accounts', () => count('list of accounts', () => world.accounts(alice)));

  test('a deletion with a revocation', async () => {
    const [account] = await world.accounts(alice);
    await count('deletion', async () => {
      const answer = await world.api.remove(alice.me_token, account.id);
      assert.equal(answer.status, 204, show(answer));
    });
  });

  test('all of them is what docs/operations.md says', () => {
    const page = readFileSync(PAGE, 'utf8');
    if (process.env.WRITE_DOCS) {
      writeFileSync(PAGE, replace(page, 'counts', countsTable(counted)));
      writeDocuments();
      return;
    }
    const told = documented(page);
    assert.deepEqual(Object.keys(told), Object.keys(counted));
    for (const [operation, { read, ...exact }] of Object.entries(counted)) {
      const { read: toldRead, ...toldExact } = told[operation];
      assert.deepEqual(toldExact, exact, operation);
      assert.ok(Math.abs(toldRead - read) <= READ_MORE_OR_LESS, `${operation}: ${read} rows are read`);
    }
  });
});
