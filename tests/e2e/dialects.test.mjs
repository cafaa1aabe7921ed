// SPDX-License-Identifier: Apache-2.0
// Eight providers with all documented behaviour: connect, exchange, refresh, rotation, revocation, an ended
// grant, an outage, a rejected client, and a denied consent.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused, describe as show } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Tried } from './providers/tried.mjs';
import { Box } from './providers/box.mjs';
import { GitHub } from './providers/github.mjs';
import { Google } from './providers/google.mjs';
import { DIRECTORY, Microsoft } from './providers/microsoft.mjs';
import { Notion } from './providers/notion.mjs';
import { Salesforce } from './providers/salesforce.mjs';
import { Slack } from './providers/slack.mjs';
import { X } from './providers/x.mjs';
import { json } from './providers/simulator.mjs';

const GRAPH = ['Mail.Read', 'User.Read'];
const REPO = ['repo', 'read:user'];

/**
 * Connection → the expected behaviour, independent of the vault's catalogue. `life`: the lifetime of an
 * access token in seconds, if it expires; `once`: a refresh token serves only once; `revoked`: the outcome
 * of a deletion; `unsaid`: no documentation says what the end of an access token does to its refresh token.
 */
const DIALECTS = {
  github: {
    entry: { provider: 'github', scopes: REPO },
    simulator: new GitHub({}),
    revoked: 'revoked',
    granted: REPO,
    hints: ['id', 'email', 'login'],
  },
  github_app: {
    entry: { provider: 'github_app' },
    simulator: new GitHub({ app: true }),
    life: 28800,
    once: true,
    revoked: 'revoked',
    granted: [],
    hints: ['id', 'email', 'login'],
  },
  slack: {
    entry: { provider: 'slack', scopes: ['search:read'], kinds: { bot: { scopes: ['chat:write'] } } },
    simulator: new Slack({ rotation: true }),
    unsaid: true,
    life: 43200,
    once: true,
    revoked: 'revoked',
    granted: ['search:read'],
    hints: [],
  },
  slack_without_rotation: {
    entry: { provider: 'slack', scopes: ['search:read', 'users:read'] },
    simulator: new Slack({}),
    revoked: 'revoked',
    granted: ['search:read', 'users:read'],
    hints: [],
  },
  box: {
    entry: { provider: 'box', scopes: ['root_readonly'] },
    simulator: new Box({}),
    life: 3600,
    once: true,
    revoked: 'revoked',
    granted: ['root_readonly'],
    hints: ['id', 'email', 'name'],
  },
  google: {
    entry: { provider: 'google', scopes: ['https://www.googleapis.com/auth/calendar'] },
    simulator: new Google({}),
    life: 3599,
    revoked: 'revoked',
    granted: ['https://www.googleapis.com/auth/calendar', 'https://www.googleapis.com/auth/userinfo.email', 'openid'],
    hints: ['id', 'email'],
  },
  google_workspace: {
    entry: { provider: 'google_workspace', variables: { domain: 'example.com' }, scopes: ['https://www.googleapis.com/auth/calendar'] },
    simulator: new Google({ workspace: true }),
    life: 3599,
    revoked: 'revoked',
    granted: ['https://www.googleapis.com/auth/calendar', 'https://www.googleapis.com/auth/userinfo.email', 'openid'],
    hints: ['id', 'email'],
  },
  microsoft: {
    entry: { provider: 'microsoft', scopes: GRAPH },
    simulator: new Microsoft({}),
    life: 3700,
    revoked: 'not_supported',
    granted: [...GRAPH, 'email', 'openid', 'profile'],
    hints: ['email'],
  },
  entra: {
    entry: { provider: 'entra', variables: { tenant: DIRECTORY }, scopes: GRAPH },
    simulator: new Microsoft({ tenant: DIRECTORY }),
    life: 3700,
    revoked: 'not_supported',
    granted: [...GRAPH, 'email', 'openid', 'profile'],
    hints: ['email'],
  },
  salesforce: {
    entry: { provider: 'salesforce', scopes: ['api'] },
    simulator: new Salesforce({}),
    life: 900,
    revoked: 'revoked',
    granted: ['api', 'refresh_token'],
    hints: [],
  },
  notion: {
    entry: { provider: 'notion' },
    simulator: new Notion({ refresh: true }),
    life: 3600,
    once: true,
    revoked: 'revoked',
    granted: [],
    hints: ['email', 'name'],
  },
  notion_without_refresh: {
    entry: { provider: 'notion' },
    simulator: new Notion({}),
    revoked: 'revoked',
    granted: [],
    hints: ['email', 'name'],
  },
  x: {
    entry: { provider: 'x', scopes: ['tweet.write'] },
    simulator: new X({}),
    life: 7200,
    once: true,
    revoked: 'revoked',
    granted: ['offline.access', 'tweet.read', 'tweet.write', 'users.read'],
    hints: ['id', 'login'],
  },
};

describe('providers as their documentation describes them', { timeout: 300_000 }, () => {
  let world;
  const tried = new Tried();

  before(async () => { world = await startWorld(DIALECTS); });
  after(async () => {
    await world?.close();
    await world?.internet.close();
    tried.compare();
  });

  for (const [connection, dialect] of Object.entries(DIALECTS)) {
    describe(connection, () => {
      const { simulator, life } = dialect;
      let journey;

      before(() => { journey = new Journey(world, connection, simulator); });

      /** A test whose result is listed in docs/providers/tried.md. */
      const behaviour = (name, source, run) => test(name, async () => {
        const word = await run();
        tried.add(connection, name, simulator.sources[source] ?? simulator.sources.errors ?? simulator.sources.connect, word);
      });
      const arrive = (login) => world.arrive(`${login}-${connection}`);

      behaviour('connect', 'connect', async () => {
        const user = await arrive('anna');
        const account = await journey.connect(user);
        assert.deepEqual(account.scopes.toSorted(), dialect.granted.toSorted());
        const facts = simulator.user(user.login);
        for (const hint of dialect.hints) {
          assert.equal((await journey.token(user, { login_hint: facts[hint] })).owner, user.login, hint);
        }
        assert.equal((await world.accounts(user)).length, 1);
      });

      behaviour('exchange', 'connect', async () => {
        const user = await arrive('bert');
        await journey.connect(user);
        const requests = simulator.count();
        const first = await journey.token(user);
        assert.equal(first.owner, user.login);
        assert.deepEqual(first.scope.split(' ').filter(Boolean).toSorted(), dialect.granted.toSorted());
        // For a token that does not expire, the vault responds with 600: clients need a number.
        assert.ok(life ? first.expires_in > life - 60 && first.expires_in <= life : first.expires_in === 600, show({ body: first.expires_in }));
        if (!life) await world.advance(30 * 86400);
        assert.equal((await journey.token(user)).access_token, first.access_token);
        assert.equal(simulator.count(), requests, 'the provider was asked');
      });

      if (life) {
        behaviour('refresh twice', 'refresh', async () => {
          const user = await arrive('carl');
          await journey.connect(user);
          const seen = new Set([(await journey.token(user)).access_token]);
          const before = simulator.count('refresh_token');
          for (const time of [1, 2]) {
            await world.advance(life + 1);
            const token = await journey.token(user);
            assert.equal(token.owner, user.login);
            seen.add(token.access_token);
            assert.equal(simulator.count('refresh_token'), before + time);
          }
          assert.equal(seen.size, 3);
        });

        behaviour(dialect.once ? 'rotate' : 'keep the refresh token', 'refresh', async () => {
          const user = await arrive('dora');
          await journey.connect(user);
          for (let time = 0; time < 3; time += 1) {
            await world.advance(life + 1);
            // Concurrent exchanges: a single-use refresh token must be sent only once.
            const tokens = await Promise.all(Array.from({ length: 10 }, () => journey.token(user)));
            assert.equal(new Set(tokens.map((token) => token.access_token)).size, 1);
          }
          assert.equal(simulator.reused, 0);
        });

        behaviour('dead grant', 'dead', async () => {
          const user = await arrive('emma');
          await journey.connect(user);
          simulator.end(user.login);
          await world.advance(life + 1);
          const requests = simulator.count();
          for (let time = 0; time < 2; time += 1) {
            const answer = await journey.exchange(user);
            assertRefused(answer, 400, 'invalid_target');
            assert.deepEqual(answer.body.connection_state, { state: 'reconnect_required', reason: 'refresh_refused' });
          }
          assert.equal(simulator.count(), requests + 1, 'a dead grant was asked for again');
          // Another connect restores the access.
          await journey.connect(user);
          assert.equal((await journey.token(user)).owner, user.login);
        });

        behaviour('outage', 'errors', async () => {
          const user = await arrive('fred');
          await journey.connect(user);
          const { access_token: token } = await journey.token(user);
          simulator.outage = { status: 503, headers: { 'retry-after': '40' }, body: '<html>down</html>' };
          try {
            assert.equal((await journey.token(user)).access_token, token);
            await world.advance(life + 1);
            const answer = await journey.exchange(user);
            assertRefused(answer, 503, 'temporarily_unavailable');
            assert.equal(answer.body.connection_state.state, 'unavailable');
            const wait = Number(answer.headers.get('retry-after'));
            assert.ok(wait > 30 && wait <= 40, `${wait} s`);
            const requests = simulator.count();
            assertRefused(await journey.exchange(user), 503, 'temporarily_unavailable');
            assert.equal(simulator.count(), requests, 'asked before the time the provider told');
          } finally {
            simulator.outage = undefined;
          }
          await world.advance(41);
          assert.equal((await journey.token(user)).owner, user.login);
        });
      }

      behaviour('misconfigured client', 'misconfigured', async () => {
        const user = await arrive('gina');
        const logged = world.workerd.log.length;
        if (life) await journey.connect(user);
        simulator.expired = true;
        try {
          if (life) {
            await world.advance(life + 1);
            const answer = await journey.exchange(user);
            assertRefused(answer, 503, 'temporarily_unavailable');
            assert.equal(answer.body.connection_state.state, 'misconfigured');
            assert.ok(!show(answer).includes('AADSTS'), show(answer));
          } else {
            const { done } = await journey.begin(user);
            assert.equal(done.status, 502, show(done));
            assert.deepEqual(await world.accounts(user), []);
          }
        } finally {
          simulator.expired = false;
        }
        // The log has an event with the provider's error code.
        const told = life ? `"refresh_refused","reason":"[\\w.]+","connection":"${connection}"` : '"code_not_redeemed","reason":"[\\w.]+"';
        assert.match(world.workerd.log.slice(logged), new RegExp(told));
        if (!life) return;
        await world.advance(3600);
        assert.equal((await journey.token(user)).owner, user.login);
      });

      behaviour('revoke', 'revoke', async () => {
        const user = await arrive('hans');
        const account = await journey.connect(user);
        const { access_token: token } = await journey.token(user);
        assert.equal(await journey.remove(user, account), dialect.revoked);
        const dead = dialect.revoked === 'revoked';
        assert.equal(simulator.owner(token), dead ? undefined : user.login);
        if (!dialect.unsaid) assert.equal(simulator.living(user.login) > 0, !dead);
        assertRefused(await journey.exchange(user), 400, 'invalid_target');
        return dead ? 'yes' : 'told that it cannot';
      });

      if (dialect.revoked === 'revoked') {
        behaviour('revoke while it is down', 'revoke', async () => {
          const user = await arrive('ilse');
          const account = await journey.connect(user);
          const down = json(503, {});
          const { serve } = simulator;
          simulator.serve = async () => down;
          try {
            assert.equal(await journey.remove(user, account), 'pending');
          } finally {
            simulator.serve = serve;
          }
        });
      }

      behaviour('denied consent', 'connect', async () => {
        const user = await arrive('jana');
        const requests = simulator.count();
        const { back, done } = await journey.begin(user, { consent: false });
        assert.equal(done, undefined);
        assert.equal(back.searchParams.get('error'), 'access_denied');
        assert.deepEqual(await world.accounts(user), []);
        assert.equal(simulator.count(), requests);
      });
    });
  }

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
