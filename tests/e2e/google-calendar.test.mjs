// SPDX-License-Identifier: Apache-2.0
// The commands of docs/google-calendar.md as they stand there, against a simulator of Google.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { commands, document } from './documents.mjs';
import { describe as show } from './harness.mjs';
import { Google } from './providers/google.mjs';
import { Journey, startWorld } from './providers/journey.mjs';

const execute = promisify(execFile);
const PAGE = 'docs/google-calendar.md';

/** The scopes that the page's connection `calendar` requests. */
const scopes = JSON.parse(/\[vars\.CONNECTIONS\.calendar\][^[]*?^scopes = (\[.*\])$/m.exec(document(PAGE))[1]);

describe('Google Calendar in production', { timeout: 60_000 }, () => {
  const google = new Google({});
  let world;
  let journey;
  let own;

  before(async () => {
    world = await startWorld({ calendar: { entry: { provider: 'google', scopes }, simulator: google } });
    journey = new Journey(world, 'calendar', google);
    own = `127.0.0.1:${world.internet.port}`;
    // The commands ask Google at an address of this machine.
    world.internet.add({
      hosts: [own],
      serve: ({ url, ...request }) => google.serve({ ...request, url: new URL(url.pathname + url.search, 'https://www.googleapis.com') }),
    });
  });
  after(async () => {
    await world?.close();
    await world?.internet.close();
  });

  /** Runs the page's two commands of step 4 for a user; returns what the calendar answers. */
  async function readEvents(user) {
    const { client_id: id, client_secret: secret } = world.clients.backend;
    const text = [commands(PAGE, 'TOKEN='), commands(PAGE, 'curl -sS -G')].join('\n')
      .replaceAll('https://vault.example.com', world.vault)
      .replaceAll('https://www.googleapis.com/calendar', `http://${own}/calendar`)
      .replaceAll('service:', `${id}:`);
    const environment = { ...process.env, SECRET: secret, USER_ACCESS_TOKEN: user.access_token };
    const { stdout } = await execute('bash', ['-euc', text], { env: /** @type {any} */ (environment) });
    return JSON.parse(stdout);
  }

  test('the commands exchange the token of a user who has connected, and read the events to come', async () => {
    const user = world.arrive('anna');
    await journey.connect(user);
    const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString();
    for (const [summary, offset] of /** @type {[string, number][]} */ ([['past', -2], ['second', 3], ['first', 1]])) {
      google.write('anna', { id: randomBytes(8).toString('hex'), summary, start: { dateTime: day(offset) }, end: { dateTime: day(offset + 0.1) } });
    }
    const { items } = await readEvents(user);
    assert.deepEqual(items.map((event) => event.summary), ['first', 'second']);
    assert.equal(items[0].creator.email, 'anna@example.com');
  });

  test('the exchange of a user who has not connected fails, and the calendar refuses what comes of it', async () => {
    const { error } = await readEvents(world.arrive('berta'));
    assert.equal(error.code, 401);
  });

  test('the exchange names the scope that a user unticked', async () => {
    const user = world.arrive('carla');
    await journey.connect(user, { ticked: ['openid', 'email'] });
    const answer = await world.api.exchange(world.clients.backend, user.access_token, 'calendar', { scope: scopes[0] });
    assert.equal(answer.status, 400, show(answer));
    assert.deepEqual(answer.body.connection_state, { state: 'missing_scopes', missing_scopes: scopes });
  });
});
