// SPDX-License-Identifier: Apache-2.0
// What the vault does with a grant over days: it tells a grant that has ended without an error code from an
// outage, and keeps a grant alive that nobody uses.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused, describe as show, eventually } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Box } from './providers/box.mjs';

const LIFE = 3600;
const DAY = 86_400;

describe('grants over days', { timeout: 120_000 }, () => {
  let world;
  const providers = {
    box: { entry: { provider: 'box' }, simulator: new Box({}) },
    idle: { entry: { provider: 'box', keep_alive_days: 40 }, simulator: new Box({}) },
  };

  before(async () => { world = await startWorld(providers); });
  after(async () => {
    await world?.close();
    await world?.internet.close();
  });

  const go = (connection) => new Journey(world, connection, providers[connection].simulator);

  test('five refusals without a body over a day ask for a reconnect, and the grant lives again when the provider takes it', async () => {
    const journey = go('box');
    const { simulator } = journey;
    const user = world.arrive('anna');
    await journey.connect(user);
    const before = simulator.count('refresh_token');
    await world.advance(LIFE);
    simulator.outage = { status: 400, headers: {}, body: '' };
    for (let count = 1; count < 5; count += 1) {
      const answer = await journey.exchange(user);
      assertRefused(answer, 503, 'temporarily_unavailable');
      assert.equal(answer.body.connection_state.state, 'unavailable', show(answer));
      await world.advance(DAY / 4);
    }
    for (const asked of [5, 5]) {
      const answer = await journey.exchange(user);
      assertRefused(answer, 400, 'invalid_target');
      assert.deepEqual(answer.body.connection_state, { state: 'reconnect_required', reason: 'refresh_refused' });
      assert.equal(simulator.count('refresh_token'), before + asked);
    }

    simulator.outage = undefined;
    await world.advance(DAY);
    // Another account in the same vault sets the alarm anew, which the test's clock does not move.
    await journey.connect(user, { login: 'berta' });
    await eventually('the grant lives', async () => (await journey.exchange(user)).status === 200);
    assert.equal((await journey.token(user)).owner, 'anna');
    assert.equal(simulator.count('refresh_token'), before + 6);
  });

  test('a grant that nobody uses is refreshed before three quarters of keep_alive_days are over', async () => {
    const journey = go('idle');
    const { simulator } = journey;
    const user = world.arrive('carla');
    await journey.connect(user);
    const before = simulator.count('refresh_token');
    await world.advance(19 * DAY);
    // Further accounts in the same vault set the alarm anew, which the test's clock does not move.
    await journey.connect(user, { login: 'dora' });
    await world.advance(11 * DAY);
    await journey.connect(user, { login: 'emma' });
    await eventually('the grant is refreshed', () => simulator.count('refresh_token') > before);
    assert.equal((await journey.token(user)).owner, 'carla');
    // That token is the one of the job, and Dora's grant was not idle for so long.
    assert.equal(simulator.count('refresh_token'), before + 1);
  });

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
