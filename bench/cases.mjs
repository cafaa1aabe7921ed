// SPDX-License-Identifier: Apache-2.0
// The measurements. Each is a function that returns plain numbers; ratios come from alternating runs.
import { linkSync, mkdirSync, readdirSync, copyFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { drive } from './load.mjs';
import { ratio, spread } from './numbers.mjs';
import { ACTIVE_USERS, Exchange, SignedIn } from './subjects.mjs';

const RUNS = 5;

/** Hard links per file; common file systems allow more. */
const LINKS_PER_FILE = 30_000;

/** Drives each subject in turn, for several runs; times are in milliseconds. */
async function inTurn(subjects, seconds) {
  for (const subject of Object.values(subjects)) await drive({ ...subject, seconds: 1 });
  const runs = Object.fromEntries(Object.keys(subjects).map((name) => [name, []]));
  for (let run = 0; run < RUNS; run += 1) {
    for (const [name, subject] of Object.entries(subjects)) runs[name].push(await drive({ ...subject, seconds }));
  }
  return runs;
}

const of = (runs, member) => runs.map((run) => run[member]);

const summary = (runs) => ({
  per_second: spread(of(runs, 'perSecond')),
  median_ms: spread(of(runs, 'median')),
  p99_ms: spread(of(runs, 'p99')),
  cpu_ms: spread(of(runs, 'cpu')),
});

/** Exchanges of stored tokens that are still valid, with subject tokens that are cached or not. */
export async function warm({ vault, peer, hop }, seconds) {
  const load = ({ port, pid }, requests) => ({ port, pid, requests });
  const known = await inTurn({
    vault: load(vault, vault.remembered),
    peer: load(peer, peer.remembered),
    hop: load(hop, hop.requests),
  }, seconds);
  const unknown = await inTurn({ vault: load(vault, vault.unknown), peer: load(peer, peer.unknown) }, seconds);
  const rate = (runs) => of(runs, 'perSecond');
  return {
    remembered: Object.fromEntries(Object.entries(known).map(([name, runs]) => [name, summary(runs)])),
    unknown: Object.fromEntries(Object.entries(unknown).map(([name, runs]) => [name, summary(runs)])),
    ratios: {
      remembered_to_peer: ratio(rate(known.vault), rate(known.peer)),
      remembered_to_hop: ratio(rate(known.vault), rate(known.hop)),
      unknown_to_peer: ratio(rate(unknown.vault), rate(unknown.peer)),
    },
  };
}

/** A process that has just started: the time until it responds, and its first exchange after that. */
export async function cold({ vault, peer, hop }) {
  const result = {};
  for (const [name, subject] of Object.entries({ vault, peer, hop })) {
    const [starts, firsts] = [[], []];
    const [request] = subject.requests ?? subject.remembered;
    for (let run = 0; run < RUNS; run += 1) {
      const begun = performance.now();
      await subject.restart();
      starts.push(performance.now() - begun);
      firsts.push((await drive({ port: subject.port, requests: [request], connections: 1, count: 1 })).median);
    }
    result[name] = { start_ms: spread(starts), first_exchange_ms: spread(firsts) };
  }
  return result;
}

/** The first exchange of a user whose object is not in memory. */
export async function firstTouch({ vault, peer }, users) {
  const result = {};
  for (const [name, subject] of Object.entries({ vault, peer })) {
    const runs = [];
    for (let run = 0; run < RUNS; run += 1) {
      await subject.restart();
      const [warmUp, ...requests] = subject.remembered.slice(0, users + 1);
      await drive({ port: subject.port, requests: [warmUp], connections: 1, count: 50 });
      runs.push((await drive({ port: subject.port, requests, connections: 1, count: requests.length })).median);
    }
    result[name] = { median_ms: spread(runs) };
  }
  return result;
}

/** The connect of one account. The time includes the provider's, which is the same for both. */
export async function connecting({ vault, peer }) {
  const runs = { vault: [], peer: [] };
  for (let run = 0; run < RUNS * 4; run += 1) {
    for (const [name, { world }] of Object.entries({ vault, peer })) {
      const user = await world.signIn(`connects-${run}`);
      const begun = performance.now();
      await world.connect(user);
      runs[name].push(performance.now() - begun);
    }
  }
  return { vault: { ms: spread(runs.vault) }, peer: { ms: spread(runs.peer) } };
}

/** Fifty callers wait for one refresh: the time until the last of them has the token. */
export async function refresh() {
  const lifeSeconds = 2;
  const result = {};
  for (const kind of ['vault', 'peer']) {
    const subject = await Exchange.start(kind, { accessTokenTtl: lifeSeconds });
    try {
      await subject.connect(1);
      const times = [];
      for (let run = 0; run < RUNS; run += 1) {
        // Waits in real time, because a release build has no clock that can be moved.
        await sleep((lifeSeconds + 1) * 1000);
        const before = subject.world.tokenRequests('refresh_token');
        const begun = performance.now();
        await drive({ port: subject.port, requests: subject.remembered, connections: 50, count: 50 });
        times.push(performance.now() - begun);
        const asked = subject.world.tokenRequests('refresh_token') - before;
        if (asked !== 1) throw new Error(`${kind}: ${asked} refreshes for fifty callers`);
      }
      result[kind] = { ms: spread(times) };
    } finally {
      await subject.close();
    }
  }
  return result;
}

/**
 * The vault as an OpenID provider: exchanges of its users' refresh tokens relative to those of their access
 * tokens, and its own grants.
 */
export async function signedIn(seconds) {
  const subject = await SignedIn.start();
  try {
    const { port, pid } = subject;
    const { access, refresh } = subject.exchanges(ACTIVE_USERS);
    const known = await inTurn({
      access: { port, pid, requests: access },
      refresh: { port, pid, requests: refresh },
    }, seconds);
    // A refresh token is remembered for five seconds, so each is used once, after a pause that is longer.
    const all = subject.exchanges(subject.users.length);
    const rates = { access: [], refresh: [] };
    for (let run = 0; run < RUNS; run += 1) {
      await sleep(6000);
      for (const kind of ['access', 'refresh']) {
        rates[kind].push((await drive({ port, pid, requests: all[kind], count: all[kind].length })).perSecond);
      }
    }
    const grants = { code: [], refresh: [] };
    for (let run = 0; run < RUNS * 4; run += 1) {
      const { code, refresh: refreshed } = await subject.grants(`granted-${run}`);
      grants.code.push(code);
      grants.refresh.push(refreshed);
    }
    const rate = (runs) => of(runs, 'perSecond');
    return {
      remembered: Object.fromEntries(Object.entries(known).map(([name, runs]) => [name, summary(runs)])),
      unknown: { access: { per_second: spread(rates.access) }, refresh: { per_second: spread(rates.refresh) } },
      code_ms: spread(grants.code),
      refresh_ms: spread(grants.refresh),
      ratios: {
        refresh_token_remembered: ratio(rate(known.refresh), rate(known.access)),
        refresh_token_unknown: ratio(rates.refresh, rates.access),
      },
    };
  } finally {
    await subject.close();
  }
}

/** The warm exchange while stored users and configured entries grow; each step is compared with the first. */
export async function growth(seconds) {
  return {
    users: await grow([1, 100, 10_000, 100_000], (count) => ({ stored: count }), seconds),
    connections: await grow([1, 10, 100], (count) => ({
      connections: (world) => entries(count - 1, (index) => [`more-${index}`, {
        kind: 'oidc',
        issuer: world.issuer,
        client_id: `more-${index}`,
        client_authentication: 'none',
        scopes: ['openid'],
      }]),
    }), seconds),
    issuers: await grow([1, 10, 100], (count) => ({
      issuers: (world) => entries(count - 1, (index) => [`more-${index}`, {
        issuer: `https://idp-${index}.example.com`,
        audiences: [`${world.vault}/`],
        algorithms: ['RS256'],
        typ: 'at+jwt',
      }]),
    }), seconds),
  };
}

const entries = (count, make) => Object.fromEntries(Array.from({ length: count }, (_, index) => make(index)));

async function grow(steps, configure, seconds) {
  const subjects = [];
  try {
    for (const step of steps) {
      const { stored = 0, ...more } = configure(step);
      const subject = await Exchange.start('vault', more);
      subjects.push(subject);
      await subject.connect(stored ? Math.min(stored, 16) : 16);
      if (stored) await store(subject, stored - subject.users.length);
    }
    const loads = Object.fromEntries(subjects.map(({ port, pid, remembered }, index) => (
      [`at ${steps[index]}`, { port, pid, requests: remembered }]
    )));
    const runs = Object.values(await inTurn(loads, seconds));
    return steps.map((step, index) => ({
      step,
      per_second: spread(of(runs[index], 'perSecond')),
      to_first: ratio(of(runs[index], 'perSecond'), of(runs[0], 'perSecond')),
    }));
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

/** Adds the objects of so many users to the storage: copies of one object under new names. */
async function store(subject, count) {
  await subject.world.stopVault();
  const { state } = subject.world.workerd;
  const [vaults] = readdirSync(state).filter((name) => name.endsWith('VAULT'));
  const directory = join(state, vaults);
  const [object] = readdirSync(directory).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  mkdirSync(directory, { recursive: true });
  let source;
  for (let index = 0; index < count; index += 1) {
    const name = join(directory, `${randomBytes(32).toString('hex')}.sqlite`);
    if (index % LINKS_PER_FILE === 0) {
      copyFileSync(join(directory, object), name);
      source = name;
    } else linkSync(source, name);
  }
  await subject.world.startVault();
}
