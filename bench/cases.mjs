// SPDX-License-Identifier: Apache-2.0
// The measurements. Each runs its subjects in rounds and returns the runs of each subject, as plain numbers; times
// are in milliseconds.
import { linkSync, readdirSync, copyFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMilliseconds, drive, rested } from './load.mjs';
import { ratio, spread } from './numbers.mjs';
import { rounds } from './rounds.mjs';
import { ACTIVE_USERS, Exchange, SignedIn } from './subjects.mjs';

/** How long one slice of load lasts. */
const SLICE_SECONDS = 0.5;

/**
 * How long each load runs before its first slice: until V8 has compiled what is hot, for which it takes seconds of
 * load on a machine that others use.
 */
const WARM_UP_SECONDS = { warm: 6, firstSeen: 2, signedIn: 5, growth: 3 };

const ROUNDS = { warm: 40, firstSeen: 24, signedIn: 30, longUnused: 8, cold: 30, firstTouch: 8, connect: 30, grants: 20, growth: 12 };

/** Hard links per file; common file systems allow more. */
const LINKS_PER_FILE = 30_000;

/**
 * Drives each load in slices, in turn.
 *
 * @param {keyof typeof WARM_UP_SECONDS} group
 */
async function slices(group, loads) {
  for (const load of Object.values(loads)) await drive({ ...load, seconds: WARM_UP_SECONDS[group] });
  return rounds(loads, ROUNDS[group], (load) => drive({ ...load, seconds: SLICE_SECONDS }));
}

const load = (subject, requests) => ({ port: subject.port, pid: subject.pid, requests });
const each = (subjects, make) => Object.fromEntries(Object.entries(subjects).map(([name, one]) => [name, make(one)]));

/**
 * Times one piece of work of a Worker that has nothing else to do. The CPU time includes what the Worker does
 * after its answer.
 */
async function timed(pid, work) {
  const before = await rested(pid);
  const begun = performance.now();
  await work();
  const ms = performance.now() - begun;
  return { ms, cpu: await rested(pid) - before };
}

/**
 * Exchanges of stored tokens that are still valid, with subject tokens that the isolate has verified before.
 * Sixteen users and leases of fifteen seconds mean that hardly any leased exchange asks an object.
 */
export function warm({ hop, ...exchanges }) {
  return slices('warm', { ...each(exchanges, (one) => load(one, one.remembered)), hop: load(hop, hop.requests) });
}

/** The same with subject tokens that the isolate has not verified before, or no longer remembers. */
export function firstSeen(exchanges) {
  return slices('firstSeen', each(exchanges, (one) => load(one, one.unknown)));
}

/**
 * A process that starts, with its database on disk, and its first exchange. All of it is awaited by events, without
 * polling.
 *
 * - `cold_start` lasts from the start of the process until the response to one exchange is complete: what the
 *   operating system and the runtime need, the compilation of the Worker, the first run of its code, and the
 *   exchange itself. The configuration is compiled, as `wrangler dev` compiles it: to parse its text
 *   takes workerd longer the larger the Worker is.
 * - `first_exchange` is the part of it from the request until the response. The runtime listens by then, and has
 *   evaluated the Worker's modules. For the exchange, the Worker reads its configuration, gets the issuer's keys
 *   (the vault from an object that stores them, the JavaScript Worker from the issuer, which runs in this process)
 *   and asks an object that reads its database.
 */
export async function cold(subjects) {
  for (const subject of Object.values(subjects)) subject.compile();
  const runs = await rounds(subjects, ROUNDS.cold, async (subject) => {
    const [request] = subject.requests ?? subject.remembered;
    await subject.stop();
    const begun = performance.now();
    await subject.start();
    const listening = performance.now() - begun;
    const before = cpuMilliseconds(subject.pid);
    const { total } = await drive({ port: subject.port, requests: [request], connections: 1, count: 1 });
    const ms = performance.now() - begun;
    const cpu = await rested(subject.pid);
    return { start: { ms, cpu, listening }, exchange: { ms: total, cpu: cpu - before } };
  });
  return {
    cold_start: each(runs, (of) => of.map(({ start }) => start)),
    first_exchange: each(runs, (of) => of.map(({ exchange }) => exchange)),
  };
}

/** The first exchange of a user whose object is not in memory, in an isolate that has served others: the median. */
export function firstTouch(subjects) {
  return rounds(subjects, ROUNDS.firstTouch, async (subject) => {
    await subject.stop();
    await subject.start();
    const { port, pid } = subject;
    const [warmUp, ...requests] = subject.remembered;
    await drive({ port, requests: [warmUp], connections: 1, count: 50 });
    await rested(pid);
    const { median, cpu } = await drive({ port, pid, requests, connections: 1, count: requests.length });
    return { ms: median, cpu };
  });
}

/**
 * The connect of one account, from the application's first request until the account is stored. The time includes
 * the provider and the browser, which this process plays for both; the CPU time is the Worker's alone.
 */
export function connecting(subjects) {
  return rounds(subjects, ROUNDS.connect, async ({ world, pid }, round) => {
    const user = await world.signIn(`connects-${round}`);
    return timed(pid, () => world.connect(user));
  });
}

/** How many callers wait for one refresh, and of how many users in one go. */
const WAITING = 50;
const WAITED_FOR = 8;
const GOES = 3;

/**
 * Fifty callers wait for one refresh: the time from their requests, on connections that are open, until the last
 * of them has the token. It includes the provider, which runs in this process for both.
 */
export async function refresh() {
  const lifeSeconds = 2;
  const subjects = {};
  try {
    for (const kind of /** @type {const} */ (['vault', 'peer'])) {
      subjects[kind] = await Exchange.start(kind, { accessTokenTtl: lifeSeconds });
      await subjects[kind].connect(WAITED_FOR);
    }
    const goes = [];
    for (let go = 0; go < GOES; go += 1) {
      // Waits in real time, because a release build has no clock that can be moved.
      await sleep((lifeSeconds + 1) * 1000);
      goes.push(await rounds(subjects, WAITED_FOR, waitTogether));
    }
    return each(subjects, ({ kind }) => goes.flatMap((runs) => runs[kind]));
  } finally {
    for (const subject of Object.values(subjects)) await subject.close();
  }
}

async function waitTogether({ kind, world, port, pid, remembered }, round) {
  const before = world.tokenRequests('refresh_token');
  const cpuBefore = await rested(pid);
  const { total } = await drive({ port, requests: [remembered[round]], connections: WAITING, count: WAITING });
  const cpu = await rested(pid) - cpuBefore;
  const asked = world.tokenRequests('refresh_token') - before;
  if (asked !== 1) throw new Error(`${kind}: ${asked} refreshes for ${WAITING} callers`);
  return { ms: total, cpu };
}

/**
 * The vault as an OpenID provider: exchanges of its users' refresh tokens and of their access tokens, both leased.
 * `signed_in` uses each token again within five seconds, `long_unused` after more than five, for which the vault
 * asks the object of the refresh token again.
 */
export async function signedIn() {
  const subject = await SignedIn.start();
  try {
    const { port, pid } = subject;
    const named = ({ access, refresh }) => ({ refresh_token: load(subject, refresh), access_token: load(subject, access) });
    const known = await slices('signedIn', named(subject.exchanges(ACTIVE_USERS)));
    const all = named(subject.exchanges(subject.users.length));
    const unused = await rounds(
      all,
      ROUNDS.longUnused,
      ({ requests }) => drive({ port, pid, requests, count: requests.length }),
      () => sleep(6000),
    );
    const code = [];
    const refreshed = [];
    for (let count = 0; count < ROUNDS.grants; count += 1) {
      const times = await subject.grants(`granted-${count}`);
      code.push({ ms: times.code });
      refreshed.push({ ms: times.refresh });
    }
    return { signed_in: known, long_unused: unused, grants: { code, refresh: refreshed } };
  } finally {
    await subject.close();
  }
}

/**
 * The warm exchange while stored users and configured entries grow; each step is compared with the first. Without
 * leases, so that each exchange reaches its object.
 */
export async function growth() {
  return {
    users: await grow([1, 100, 10_000, 100_000], (count) => ({ stored: count })),
    connections: await grow([1, 10, 100], (count) => ({
      connections: (world) => entries(count - 1, (index) => [`more-${index}`, {
        kind: 'oidc',
        issuer: world.issuer,
        client_id: `more-${index}`,
        client_authentication: 'none',
        scopes: ['openid'],
      }]),
    })),
    issuers: await grow([1, 10, 100], (count) => ({
      issuers: (world) => entries(count - 1, (index) => [`more-${index}`, {
        issuer: `https://idp-${index}.example.com`,
        audiences: [`${world.vault}/`],
        algorithms: ['RS256'],
        typ: 'at+jwt',
      }]),
    })),
  };
}

const entries = (count, make) => Object.fromEntries(Array.from({ length: count }, (_, index) => make(index)));

async function grow(steps, configure) {
  const subjects = [];
  try {
    for (const step of steps) {
      const { stored = 0, ...more } = configure(step);
      const subject = await Exchange.start('vault_without_lease', more);
      subjects.push(subject);
      await subject.connect(stored ? Math.min(stored, ACTIVE_USERS) : ACTIVE_USERS);
      if (stored) await store(subject, stored - subject.users.length);
    }
    // The prefix keeps the order: names that are numbers would be sorted.
    const loads = Object.fromEntries(subjects.map((one, index) => [`at ${steps[index]}`, load(one, one.remembered)]));
    const runs = Object.values(await slices('growth', loads));
    const rates = runs.map((of) => of.map(({ perSecond }) => perSecond));
    return steps.map((step, index) => ({ step, perSecond: spread(rates[index]), to_first: ratio(rates[index], rates[0]) }));
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

/** Adds the objects of so many users to the storage: copies of one object under new names. */
async function store(subject, count) {
  await subject.stop();
  const { state } = subject.world.workerd;
  const [vaults] = readdirSync(state).filter((name) => name.endsWith('VAULT'));
  const directory = join(state, vaults);
  const [object] = readdirSync(directory).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  let source;
  for (let index = 0; index < count; index += 1) {
    const name = join(directory, `${randomBytes(32).toString('hex')}.sqlite`);
    if (index % LINKS_PER_FILE === 0) {
      copyFileSync(join(directory, object), name);
      source = name;
    } else linkSync(source, name);
  }
  await subject.start();
}
