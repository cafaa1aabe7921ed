// SPDX-License-Identifier: Apache-2.0
// A client whose `scope_policy` is `exact` receives only tokens with exactly the scopes that it names,
// whatever the provider issues.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused } from './harness.mjs';
import { GitHub } from './providers/github.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Notion } from './providers/notion.mjs';
import { Shaped } from './providers/shaped.mjs';
import { basic, parameters } from './providers/simulator.mjs';

/** A provider that narrows the token if a refresh requests fewer scopes, or that always grants all. */
class Narrowing extends Shaped {
  constructor(host, narrows) {
    super({ authorize: `${host}/authorize`, token: `${host}/token`, auth: 'basic', life: 3600 });
    this.narrows = narrows;
    this.entry = {
      kind: 'oauth2', authorization_endpoint: `https://${host}/authorize`, token_endpoint: `https://${host}/token`,
      rotation: 'none', down_scoping: true, scopes: ['read', 'write'],
    };
  }

  answer(request) {
    const answer = super.answer(request);
    const params = basic(request) && parameters(request, 'form');
    if (!this.narrows || params?.grant_type !== 'refresh_token' || !params.scope || answer.status !== 200) return answer;
    return { ...answer, body: JSON.stringify({ ...JSON.parse(answer.body), scope: params.scope }) };
  }
}

describe('a client that gets the scopes it names and no others', { timeout: 180_000 }, () => {
  let world;
  const wide = new Narrowing('wide.example.net', false);
  const narrow = new Narrowing('narrow.example.net', true);
  const providers = {
    wide: { entry: wide.entry, simulator: wide },
    narrow: { entry: narrow.entry, simulator: narrow },
    github: { entry: { provider: 'github', scopes: ['user', 'gist'] }, simulator: new GitHub({}) },
    notion: { entry: { provider: 'notion' }, simulator: new Notion({}) },
  };

  before(async () => {
    world = await startWorld(providers);
    world.bindings.json.CLIENTS.backend.scope_policy = 'exact';
    await world.stopVault();
    await world.startVault();
  });
  after(async () => {
    await world?.close();
    await world?.internet.close();
  });

  const go = (connection) => new Journey(world, connection, providers[connection].simulator);

  const assertTooWide = (answer) => {
    assertRefused(answer, 400, 'invalid_scope');
    assert.deepEqual(answer.body.connection_state, { state: 'misconfigured', reason: 'cannot_narrow' });
  };

  test('a token that came wider than it was asked for is not given, and not asked for again before its end', async () => {
    const journey = go('wide');
    const user = world.arrive('anna');
    await journey.connect(user);
    assert.equal((await journey.token(user, { scope: 'read write' })).scope, 'read write');
    assert.equal(wide.count('refresh_token'), 0);
    for (let time = 0; time < 3; time += 1) assertTooWide(await journey.exchange(user, { scope: 'read' }));
    assert.equal(wide.count('refresh_token'), 1);
    await world.advance(3601);
    assertTooWide(await journey.exchange(user, { scope: 'read' }));
    assert.equal(wide.count('refresh_token'), 2);
    // The grant is unaffected.
    assert.equal((await journey.token(user, { scope: 'read write' })).owner, user.login);
  });

  test('a token that came narrower is given', async () => {
    const journey = go('narrow');
    const user = world.arrive('bert');
    await journey.connect(user);
    const token = await journey.token(user, { scope: 'read' });
    assert.equal(token.scope, 'read');
    assert.equal((await journey.token(user, { scope: 'read' })).access_token, token.access_token);
  });

  test('a scope counts with those that it includes', async () => {
    const journey = go('github');
    const user = world.arrive('carl');
    await journey.connect(user);
    assert.equal((await journey.token(user, { scope: 'gist user user:email' })).owner, user.login);
    assertTooWide(await journey.exchange(user, { scope: 'gist user:email' }));
  });

  test('a request that names no scope is told to name some, in both grants', async () => {
    const journey = go('github');
    const user = world.arrive('dora');
    await journey.connect(user);
    const { backend } = world.clients;
    for (const answer of [await journey.exchange(user), await world.api.exchangeAuth0(backend, user.access_token, 'github')]) {
      assertRefused(answer, 400, 'invalid_scope');
      assert.match(answer.body.error_description, /name them in scope/);
    }
  });

  test('where there are no scopes there is none to name', async () => {
    const journey = go('notion');
    const user = world.arrive('emma');
    await journey.connect(user);
    assert.equal((await journey.token(user)).owner, user.login);
  });

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
