// SPDX-License-Identifier: Apache-2.0
// Tries each fault with each kind of rotation, with callers that come again and with none, all at the same time.
// What became of a grant is what the provider's records say after the last exchange.
import { setTimeout as sleep } from 'node:timers/promises';
import { DOOR_SECONDS, FAULTS, OUTCOME, expected } from './faults.mjs';
import { LIFE, MODES } from './provider.mjs';
import { FaultWorld, connectionOf, inSlots } from './world.mjs';

/** How long it is watched what the vault and the callers do after a fault, in seconds: a flight takes up to 120. */
const WATCHED = 160;

/** When a caller that goes away closes its connection, in milliseconds. */
const GONE = 500;

/** The most refresh requests that one fault may cost the provider. */
const MOST_REQUESTS = 15;

/** The time between two calls of a caller that comes again, in milliseconds. */
const AGAIN = 1000;

/** @returns {any[]} */
const cells = () => FAULTS.flatMap((fault, index) => Object.keys(MODES).flatMap((mode) => [true, false].map((again) => ({
  fault, mode, again, login: `${index}-${mode}-${again ? 'again' : 'alone'}`, connection: connectionOf(mode, fault.door),
}))));

/** The first caller, and those that come again until they have a token or are told to connect anew. */
async function call(faulty, cell, until) {
  const { fault, again, user, connection } = cell;
  if (fault.gone) {
    const { world } = faulty;
    await world.api.exchange(world.clients.backend, user.access_token, connection, { signal: AbortSignal.timeout(GONE) }).catch(() => {});
  } else {
    cell.first = await faulty.exchange(user, connection);
  }
  for (let answer = cell.first; again && answer?.status !== 200 && Date.now() < until;) {
    if (answer && answer.status !== 503) break;
    await sleep(AGAIN);
    answer = await faulty.exchange(user, connection);
  }
}

/** Exchanges once more with an expired access token; returns what became of the grant. */
async function outcome(faulty, { user, connection }) {
  const { provider } = faulty;
  const { ended } = provider.grants.get(user.login);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const answer = await faulty.exchange(user, connection);
    if (answer?.status === 200) return OUTCOME.kept;
    if (answer && answer.status !== 503) {
      const why = provider.grants.get(user.login).ended;
      if (why === 'reuse') return OUTCOME.lost;
      return why === 'user' ? OUTCOME.ended : `refused, and the grant ${why ? `ended ${why}` : 'is alive'}: ${JSON.stringify(answer.body)}`;
    }
    await sleep(AGAIN);
  }
  return `no token after all (${ended ?? 'the grant is alive'})`;
}

/** What is wrong with a cell, in words; nothing if it is as expected. */
function flaws(cell, started) {
  const { fault, mode, again, requests, found } = cell;
  const wrong = [];
  const wanted = expected(fault, MODES[mode]);
  if (found !== wanted) wrong.push(`expected: ${wanted}`);
  if (requests.length > MOST_REQUESTS) wrong.push(`${requests.length} requests to the provider`);
  const [at, next] = requests;
  // The vault counts in whole seconds.
  if (fault.quiet && next - at < (fault.quiet - 1) * 1000) wrong.push(`asked again after ${next - at} ms`);
  if (!again && !fault.door) {
    const asked = requests.length > 1;
    if (fault.unclear && !asked) wrong.push('the vault did not ask again by itself');
    if (!fault.unclear && asked) wrong.push('the vault asked again without need');
  }
  if (fault.door && requests.length === 0) wrong.push('the vault did not ask again by itself');
  if (fault.door && requests[0] < started + DOOR_SECONDS * 1000) wrong.push('the way to the provider had not failed');
  return wrong;
}

/**
 * Runs all cells; returns the rows of the table, and the number of cells that are not as expected.
 *
 * @returns {Promise<{rows?: string[][], failed: number}>}
 */
export async function table() {
  const faulty = await FaultWorld.start();
  try {
    const all = cells().map((cell) => ({ ...cell, user: faulty.user(cell.login) }));
    console.log(`    ${all.length} cells: connecting…`);
    await inSlots(all, (cell) => faulty.connect(cell.user, cell.connection));
    await faulty.world.advance(LIFE);
    for (const { fault, login } of all) if (fault.act) faulty.provider.faults.set(login, fault);

    console.log(`    the faults, and ${WATCHED} s of what comes of them…`);
    const doors = Object.values(faulty.doors);
    for (const door of doors) await door.fail();
    const started = Date.now();
    const until = started + WATCHED * 1000;
    await Promise.all([
      ...all.map((cell) => call(faulty, cell, until)),
      sleep(DOOR_SECONDS * 1000).then(async () => { for (const door of doors) await door.heal(); }),
      sleep(WATCHED * 1000),
    ]);
    for (const cell of all) cell.requests = faulty.provider.grants.get(cell.login).requests.map(({ at }) => at);

    console.log('    an exchange of each, whose access token has expired…');
    await faulty.world.advance(LIFE);
    await inSlots(all, async (cell) => { cell.found = await outcome(faulty, cell); });
    faulty.searchLog();
    return report(all, faulty.complaints, started);
  } finally {
    await faulty.close();
  }
}

function report(all, complaints, started) {
  let failed = 0;
  for (const cell of all) {
    const wrong = flaws(cell, started);
    failed += wrong.length > 0 ? 1 : 0;
    const callers = cell.again ? 'callers come again' : 'nobody comes';
    const times = cell.requests.map((at) => `${((at - started) / 1000).toFixed(1)}`).join(', ');
    console.log(`${wrong.length > 0 ? 'not ok' : 'ok'} - ${cell.mode}, ${callers}: ${cell.fault.title}: ${cell.found} [asked at ${times} s]${wrong.map((one) => `; ${one}`).join('')}`);
  }
  for (const complaint of complaints) console.log(`not ok - ${complaint}`);
  const rows = FAULTS.map((fault) => [fault.title, ...Object.keys(MODES).map((mode) => {
    const found = all.filter((cell) => cell.fault === fault && cell.mode === mode).map((cell) => cell.found);
    return [...new Set(found)].join(' / ');
  }), fault.unclear ? 'yes' : '']);
  const count = (outcome) => all.filter(({ found }) => found === outcome).length;
  console.log(`    ${all.length} grants: ${count(OUTCOME.kept)} kept, ${count(OUTCOME.lost)} lost, ${count(OUTCOME.ended)} ended by their user; ${failed} not as expected, ${complaints.length} complaints`);
  return { rows, failed: failed + complaints.length };
}
