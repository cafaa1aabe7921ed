// SPDX-License-Identifier: Apache-2.0
// Five minutes of mixed load: exchanges, refreshes, connects, deletions, callers that go away, and faults of the
// provider. Memory must stay flat, and the state must be one vault per user, whatever happens to it meanwhile.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { databases } from '../e2e/earlier-versions.mjs';
import { FAULTS } from './faults.mjs';
import { MODES } from './provider.mjs';
import { numbers } from './random.mjs';
import { FaultWorld, SLOTS, connectionOf, inSlots } from './world.mjs';

const SEED = 20_261_129;

const MINUTES = 5;
const MINUTE = 60_000;

/** Users of each slot and each kind of rotation. */
const USERS = 2;

/** The lifetime of the access tokens, in seconds: each user is renewed about twice a minute. */
const SHORT_LIFE = 30;

/** When a caller that goes away closes its connection, in milliseconds. */
const GONE = 5;

/** How much the memory may grow between the second minute and the last, in MiB. */
const MOST_GROWTH = 64;

/** How many bytes a vault's database may have at the end, without a log, on average. */
const MOST_BYTES = 64 * 1024;

/** How long nobody comes at the end, in milliseconds: a deletion is told to the registry again after a minute. */
const REST = 75_000;

/** The most jobs that may be left after that, of all vaults. */
const MOST_JOBS = 0;

/** The faults of the load: those that end soon. */
const SHORT_FAULTS = FAULTS.filter(({ title, act, outlasts, ends }) => act && !outlasts && !ends && !/\d s$|stays open/.test(title));

const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;

/** Resident memory of a process, in MiB. */
const resident = (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/**
 * The databases on disk, by class of objects: their number, their bytes, and those of their write-ahead logs, which
 * the runtime empties when they have 4 MiB.
 *
 * @typedef {Record<string, {count: number, bytes: number, log: number}>} Databases
 * @returns {Databases}
 */
function databasesOf(state) {
  /** @type {Databases} */
  const found = {};
  for (const { name, parentPath } of readdirSync(state, { recursive: true, withFileTypes: true })) {
    const kind = /e2e-(\w+)/.exec(parentPath)?.[1];
    if (!kind || !/\.sqlite(-wal)?$/.test(name) || name.startsWith('metadata')) continue;
    found[kind] ??= { count: 0, bytes: 0, log: 0 };
    const size = statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0;
    const isLog = name.endsWith('-wal');
    found[kind].count += isLog ? 0 : 1;
    found[kind][isLog ? 'log' : 'bytes'] += size;
  }
  return found;
}

/** The rows in the tables of all vaults together. */
function rowsOf(state) {
  const rows = {};
  databases(state, 'VAULT', (database, has) => {
    for (const table of ['account', 'grant', 'access_token', 'jobs', 'redemption']) {
      rows[table] = (rows[table] ?? 0) + (has(table) ? database.prepare(`SELECT count(*) AS all_of_them FROM "${table}"`).get().all_of_them : 0);
    }
  });
  return rows;
}

/**
 * What a user and its applications do, with how often they do it of a hundred times.
 *
 * @type {[number, string, (faulty: any, cell: any, next: () => number) => any][]}
 */
const ACTS = [
  [76, 'exchanges', (faulty, cell) => faulty.exchange(cell.user, cell.connection)],
  [8, 'faults', async (faulty, cell, next) => {
    const fault = SHORT_FAULTS[Math.floor(next() * SHORT_FAULTS.length)];
    faulty.provider.faults.set(cell.user.login, fault);
    return faulty.exchange(cell.user, cell.connection);
  }],
  [6, 'callers gone', ({ world }, { user, connection }) => (
    world.api.exchange(world.clients.backend, user.access_token, connection, { signal: AbortSignal.timeout(GONE) }).catch(() => {})
  )],
  [5, 'listings', ({ world }, { user }) => world.accounts(user)],
  [3, 'connects', (faulty, cell) => reconnect(faulty, cell)],
  [2, 'deletions', async (faulty, cell) => {
    const { world } = faulty;
    for (const { id } of await world.accounts(cell.user)) await world.api.remove(cell.user.me_token, id);
    await reconnect(faulty, cell);
  }],
];

async function reconnect(faulty, cell) {
  faulty.connects += 1;
  await faulty.connect(cell.user, cell.connection).catch((error) => faulty.complaints.push(error.message));
}

function choose(next) {
  let left = next() * 100;
  return ACTS.find(([share]) => {
    left -= share;
    return left < 0;
  }) ?? ACTS[0];
}

/** Uses the users of one slot until the time is over. A user whose grant was lost connects again. */
async function use(faulty, cells, next, until, counts) {
  while (Date.now() < until) {
    const cell = cells[Math.floor(next() * cells.length)];
    const [, name, act] = choose(next);
    const answer = await act(faulty, cell, next);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    if (answer?.status === 400) await reconnect(faulty, cell);
  }
}

/** @returns {Promise<{rows?: string[][], failed: number}>} */
export async function load() {
  const faulty = Object.assign(await FaultWorld.start(), { connects: 0 });
  const { world, provider } = faulty;
  try {
    provider.expiresIn = SHORT_LIFE;
    const slots = Array.from({ length: SLOTS }, (_, slot) => Object.keys(MODES).flatMap((mode) => Array.from({ length: USERS }, (__, number) => (
      { connection: connectionOf(mode), user: faulty.user(`${slot}-${mode}-${number}`) }
    ))));
    const users = slots.flat();
    console.log(`    ${users.length} users: connecting…`);
    await inSlots(users, (cell) => reconnect(faulty, cell));
    const counts = new Map();
    const minutes = [];
    const look = (minute) => {
      faulty.searchLog();
      // What is kept of so many requests would fill this process's own memory.
      world.workerd.log = '';
      world.api.answers.length = 0;
      const state = databasesOf(world.workerd.state);
      minutes.push({ memory: resident(world.workerd.pid), state });
      const words = Object.entries(state).map(([kind, { count, bytes, log }]) => `${kind} ${count} (${kib(bytes / count)} and ${kib(log / count)} of log each)`);
      console.log(`    minute ${minute}: ${minutes.at(-1).memory.toFixed(0)} MiB; databases: ${words.join(', ')}; connects: ${faulty.connects}`);
    };
    look(0);
    const until = Date.now() + MINUTES * MINUTE;
    await Promise.all([
      ...slots.map((cells, slot) => use(faulty, cells, numbers(SEED + slot), until, counts)),
      (async () => {
        for (let minute = 1; minute <= MINUTES; minute += 1) {
          await sleep(until - Date.now() - (MINUTES - minute) * MINUTE);
          look(minute);
        }
      })(),
    ]);
    console.log('    a minute without requests…');
    await sleep(REST);
    look('after it');
    const last = minutes.at(-1);
    const grown = last.memory - minutes[2].memory;
    if (grown > MOST_GROWTH) faulty.complaints.push(`the memory grew by ${grown.toFixed(0)} MiB since the second minute`);
    const vaults = last.state.VAULT;
    if (vaults.count > users.length) faulty.complaints.push(`${vaults.count} vaults of ${users.length} users`);
    if (last.state.CONNECT_SESSION.count > faulty.connects) faulty.complaints.push(`${last.state.CONNECT_SESSION.count} sessions of ${faulty.connects} connects`);
    await world.stopVault();
    const rows = rowsOf(world.workerd.state);
    const stopped = databasesOf(world.workerd.state).VAULT;
    console.log(`    at the end, without logs: ${kib(stopped.bytes / stopped.count)} each vault; rows of all: ${Object.entries(rows).map(([table, count]) => `${table} ${count}`).join(', ')}`);
    if (stopped.bytes / stopped.count > MOST_BYTES) faulty.complaints.push(`a vault has ${kib(stopped.bytes / stopped.count)}`);
    for (const table of ['account', 'grant', 'access_token']) {
      if (rows[table] > users.length) faulty.complaints.push(`${rows[table]} rows in ${table} of ${users.length} users`);
    }
    if (rows.jobs > MOST_JOBS) faulty.complaints.push(`${rows.jobs} jobs are left`);
    if (rows.redemption > faulty.connects) faulty.complaints.push(`${rows.redemption} redemptions of ${faulty.connects} connects`);
    for (const complaint of faulty.complaints) console.log(`not ok - ${complaint}`);
    const failed = faulty.complaints.length;
    const requests = [...provider.grants.values()].reduce((sum, grant) => sum + grant.requests.length, 0);
    console.log(`${failed > 0 ? 'not ok' : 'ok'} - load: ${[...counts].map(([name, count]) => `${count} ${name}`).join(', ')}; ${requests} refresh requests of the last grants; ${grown.toFixed(0)} MiB more than after two minutes`);
    return { failed };
  } finally {
    await faulty.close();
  }
}
