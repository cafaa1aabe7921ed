// SPDX-License-Identifier: Apache-2.0
// Kills the runtime (SIGKILL) at random moments of refreshes, and starts it again. A grant may be lost only if the
// provider had replaced its refresh token and the vault was killed before it could store the new one.
import { setTimeout as sleep } from 'node:timers/promises';
import { whole } from './faults.mjs';
import { MODES } from './provider.mjs';
import { numbers } from './random.mjs';
import { FaultWorld, connectionOf, inSlots } from './world.mjs';

/** The seed of the moments. */
const SEED = 20_261_128;

const ROUNDS = 8;

/** Users of each kind in a round. */
const USERS = 2;

/** The latest moment of a kill after the first request of a round, and the longest delays of the provider, in seconds. */
const LATEST_KILL = 2.5;
const LONGEST_DELAY = 1;

/** The lifetime of the access tokens, in seconds: short, because a runtime that starts again loses the test clock. */
const SHORT_LIFE = 2;

/** How long a vault follows up by itself what no caller asks for, in seconds. */
const FOLLOWED_UP = 40;

/** Time in which a reply that was sent must have been stored, in milliseconds. */
const STORED = 1000;

/** The least time that callers come again, in milliseconds. */
const COMING = 20_000;

/** Exchanges once; what it says does not count, because the vault may be killed meanwhile. */
const attempt = ({ world }, { user, connection }) => (
  world.api.exchange(world.clients.backend, user.access_token, connection, { signal: AbortSignal.timeout(20_000) }).catch(() => undefined)
);

async function comeAgain(faulty, cell) {
  for (const until = Date.now() + COMING; Date.now() < until;) {
    const answer = await attempt(faulty, cell);
    if (answer && answer.status !== 503) return;
    await sleep(1000);
  }
}

/** Whether the vault was killed while a request was on its way, or before it must have stored the reply. */
const wasInFlight = ({ requests }, kills, time = 0) => requests.some(({ at, sent }) => (
  // What arrives before the vault runs again was sent by the one that was killed.
  kills.some(({ killed, started }) => at <= started && (sent === undefined || killed < sent + time))
));

/** Whether the provider may have replaced the refresh token by a reply that the vault was killed with. */
const isExcused = ({ mode }, grant, kills) => MODES[mode].rotates && MODES[mode].leeway === 0 && wasInFlight(grant, kills, STORED);

/**
 * Runs all rounds; returns the number of grants that were lost and should have been kept.
 *
 * @returns {Promise<{rows?: string[][], failed: number}>}
 */
export async function kill() {
  const next = numbers(SEED);
  const faulty = await FaultWorld.start();
  const { world, provider } = faulty;
  try {
    provider.expiresIn = SHORT_LIFE;
    const all = Array.from({ length: ROUNDS }, (_, round) => Object.keys(MODES).flatMap((mode) => [true, false].flatMap((again) => (
      Array.from({ length: USERS }, (__, number) => ({
        round, mode, again, connection: connectionOf(mode), user: faulty.user(`${round}-${mode}-${again ? 'again' : 'alone'}-${number}`),
      }))
    )))).flat();
    console.log(`    ${all.length} grants: connecting…`);
    await inSlots(all, (cell) => faulty.connect(cell.user, cell.connection));
    await sleep(SHORT_LIFE * 1000);

    const kills = [];
    const callers = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const mine = all.filter((cell) => cell.round === round);
      for (const { user } of mine) {
        const [before, later] = [next() * LONGEST_DELAY, next() * LONGEST_DELAY * 1000];
        provider.faults.set(user.login, { title: '', commits: true, before, act: (response, body) => setTimeout(() => whole(response, body), later) });
      }
      const calls = mine.map((cell) => attempt(faulty, cell));
      await sleep(next() * LATEST_KILL * 1000);
      const killed = Date.now();
      await world.stopVault('SIGKILL');
      await Promise.all(calls);
      await world.startVault();
      kills.push({ killed, started: Date.now() });
      callers.push(...mine.filter(({ again }) => again).map((cell) => comeAgain(faulty, cell)));
    }
    console.log(`    killed ${kills.length} times; watching for ${FOLLOWED_UP} s…`);
    await Promise.all([...callers, sleep(FOLLOWED_UP * 1000)]);
    const alone = all.filter(({ again }) => !again).map(({ user }) => provider.grants.get(user.login));
    const cutOff = alone.filter((grant) => wasInFlight(grant, kills));
    for (const { login, requests } of cutOff) if (requests.length === 1) faulty.complaints.push(`${login}: the vault did not ask again by itself`);

    let [kept, excused] = [0, 0];
    await inSlots(all, async (cell) => {
      let answer;
      for (let tries = 0; tries < 30 && (!answer || answer.status === 503); tries += 1) {
        if (tries > 0) await sleep(1000);
        answer = await faulty.exchange(cell.user, cell.connection);
      }
      const grant = provider.grants.get(cell.user.login);
      if (answer?.status === 200) kept += 1;
      else if (grant.ended === 'reuse' && isExcused(cell, grant, kills)) excused += 1;
      else faulty.complaints.push(`${cell.user.login}: lost: ${answer?.status} ${JSON.stringify(answer?.body)}; asked ${JSON.stringify(grant.requests)}, killed ${JSON.stringify(kills)}`);
    });
    faulty.searchLog();
    for (const complaint of faulty.complaints) console.log(`not ok - ${complaint}`);
    const failed = faulty.complaints.length;
    console.log(`${failed > 0 ? 'not ok' : 'ok'} - kill -9: of ${all.length} grants ${kept} kept, ${excused} lost whose rotated token the vault was killed with; ${cutOff.length} were taken up again without a caller`);
    return { failed };
  } finally {
    await faulty.close();
  }
}
