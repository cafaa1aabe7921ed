// SPDX-License-Identifier: Apache-2.0
// Behaviour that only single providers have, and consents for more or fewer scopes than before.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertProblem, assertRefused, describe as show, eventually } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { newSigningKey } from './tokens.mjs';
import { Box } from './providers/box.mjs';
import { GitHub } from './providers/github.mjs';
import { Google } from './providers/google.mjs';
import { DIRECTORY, Microsoft } from './providers/microsoft.mjs';
import { Notion } from './providers/notion.mjs';
import { Salesforce } from './providers/salesforce.mjs';
import { Shaped } from './providers/shaped.mjs';
import { Slack } from './providers/slack.mjs';

const CALENDAR = 'https://www.googleapis.com/auth/calendar';
const DRIVE = 'https://www.googleapis.com/auth/drive';
const VAULT = 'https://vault.azure.net/user_impersonation';
const MANAGE = 'https://management.azure.com/user_impersonation';

describe('quirks of providers', { timeout: 180_000 }, () => {
  let world;
  const providers = {
    github: { entry: { provider: 'github', scopes: ['repo'] }, simulator: new GitHub({}) },
    app: { entry: { provider: 'github_app' }, simulator: new GitHub({ app: true }) },
    slack: {
      entry: { provider: 'slack', scopes: ['search:read'], kinds: { bot: { scopes: ['chat:write'] } } },
      simulator: new Slack({ rotation: true }),
    },
    box: { entry: { provider: 'box' }, simulator: new Box({}) },
    google: { entry: { provider: 'google', scopes: [CALENDAR] }, simulator: new Google({}) },
    'google-silent': { entry: { provider: 'google', authorization_params: { prompt: '' } }, simulator: new Google({}) },
    workspace: {
      entry: { provider: 'google_workspace', variables: { domain: 'corp.example' } },
      simulator: new Google({ workspace: 'corp.example' }),
    },
    microsoft: { entry: { provider: 'microsoft', scopes: ['Mail.Read'] }, simulator: new Microsoft({}) },
    entra: { entry: { provider: 'entra', variables: { tenant: DIRECTORY } }, simulator: new Microsoft({ tenant: DIRECTORY }) },
    salesforce: { entry: { provider: 'salesforce', scopes: ['api'] }, simulator: new Salesforce({}) },
    notion: { entry: { provider: 'notion' }, simulator: new Notion({}) },
    nameless: {
      entry: { kind: 'oauth2', authorization_endpoint: 'https://portal.example.net/authorize', token_endpoint: 'https://portal.example.net/token' },
      simulator: new Shaped({
        authorize: 'portal.example.net/authorize', token: 'portal.example.net/token', auth: 'basic', life: 3600,
        says: ({ number }) => ({ hub_id: number }),
      }),
    },
  };

  before(async () => { world = await startWorld(providers); });
  after(async () => {
    await world?.close();
    await world?.internet.close();
  });

  /** A journey with one of the providers; of several for the same host, the last one created responds. */
  const go = (connection) => new Journey(world, connection, providers[connection].simulator);

  test('GitHub ends the old access token with a refresh, so it is not made ahead of need', async () => {
    const journey = go('app');
    const user = world.arrive('anton');
    await journey.connect(user);
    const first = await journey.token(user);
    await world.advance(28800 - 30);
    assert.equal((await journey.token(user)).access_token, first.access_token);
    await world.advance(31);
    assert.notEqual((await journey.token(user)).access_token, first.access_token);
    assert.equal(journey.simulator.owner(first.access_token), undefined);
  });

  test('elsewhere a token that is about to end is renewed before it does', async () => {
    const journey = go('box');
    const user = world.arrive('berta');
    await journey.connect(user);
    const first = await journey.token(user);
    await world.advance(3600 - 30);
    assert.notEqual((await journey.token(user)).access_token, first.access_token);
  });

  test('a user\'s token and a bot\'s are two, and each is renewed with its own refresh token', async () => {
    const journey = go('slack');
    const { simulator } = journey;
    const user = world.arrive('carla');
    const account = await journey.connect(user);
    assert.equal(journey.asked.get('user_scope'), 'search:read');
    assert.equal(journey.asked.get('scope'), 'chat:write');
    for (let time = 0; time < 3; time += 1) {
      const [own, bot] = [await journey.token(user), await journey.token(user, { token_kind: 'bot' })];
      assert.equal(own.owner, user.login);
      assert.equal(bot.owner, `bot of ${user.login}`);
      assert.deepEqual([own.scope, bot.scope], ['search:read', 'chat:write']);
      assert.equal(own.provider_data['team.id'], 'T012');
      await world.advance(43200);
    }
    assert.equal(simulator.reused, 0);
    assertRefused(await journey.exchange(user, { token_kind: 'admin' }), 400, 'invalid_target');
    // The bot token belongs to the whole workspace and stays valid when one user's account is deleted.
    const bot = await journey.token(user, { token_kind: 'bot' });
    assert.equal(await journey.remove(user, account), 'revoked');
    assert.equal(simulator.owner(bot.access_token), `bot of ${user.login}`);
  });

  test('a bot that is gone takes nothing from the user, and the other way round', async () => {
    const journey = go('slack');
    for (const gone of ['bot', 'user']) {
      const user = world.arrive(`cosima-without-${gone}`);
      await journey.connect(user);
      journey.simulator.end(gone === 'bot' ? `bot of ${user.login}` : user.login);
      const ways = { user: {}, bot: { token_kind: 'bot' } };
      const { [gone]: dead, ...rest } = ways;
      const [alive] = Object.values(rest);
      for (let time = 0; time < 2; time += 1) {
        await world.advance(43201);
        const answer = await journey.exchange(user, dead);
        assertRefused(answer, 400, 'invalid_target');
        assert.deepEqual(answer.body.connection_state, { state: 'reconnect_required', reason: 'refresh_refused' });
        assert.ok((await journey.token(user, alive)).owner, gone);
      }
    }
  });

  test('a consent that brings no token of a kind keeps the one there is', async () => {
    const journey = go('slack');
    const user = world.arrive('conrad');
    await journey.connect(user);
    const bot = await journey.token(user, { token_kind: 'bot' });
    const { redeem } = journey.simulator;
    journey.simulator.redeem = function withoutBot(params) {
      const grant = redeem.call(this, params);
      return { ...grant, query: { ...grant.query, scope: '' } };
    };
    await journey.connect(user);
    delete journey.simulator.redeem;
    assert.equal((await journey.token(user, { token_kind: 'bot' })).access_token, bot.access_token);
    await world.advance(43201);
    assert.equal((await journey.token(user, { token_kind: 'bot' })).owner, `bot of ${user.login}`);
  });

  test('a consent for less is not stored over one for more, of any kind of token', async () => {
    const journey = go('slack');
    const user = world.arrive('corinna');
    await journey.connect(user);
    const bot = await journey.token(user, { token_kind: 'bot' });
    const { redeem } = journey.simulator;
    journey.simulator.redeem = function less(params) {
      const grant = redeem.call(this, params);
      return { ...grant, query: { ...grant.query, scope: 'users:read' } };
    };
    const { done } = await journey.begin(user);
    delete journey.simulator.redeem;
    assertProblem(done, 409);
    assert.match(done.body.detail, /chat:write/);
    assert.equal((await journey.token(user, { token_kind: 'bot' })).access_token, bot.access_token);
  });

  test('an application gets what it needs beside the token', async () => {
    const journey = go('salesforce');
    const user = world.arrive('dirk');
    await journey.connect(user);
    const token = await journey.token(user);
    assert.equal(token.provider_data.instance_url, 'https://acme.my.salesforce.com');
    const [account] = await world.accounts(user);
    assert.equal(account.provider_data.instance_url, 'https://acme.my.salesforce.com');
  });

  test('missing scopes are named, and a step-up consent keeps what was granted', async () => {
    const journey = go('google');
    const user = world.arrive('edgar');
    await journey.connect(user);
    const answer = await journey.exchange(user, { scope: `${CALENDAR} ${DRIVE}` });
    assertRefused(answer, 400, 'invalid_scope');
    assert.deepEqual(answer.body.connection_state, { state: 'missing_scopes', missing_scopes: [DRIVE] });
    await journey.connect(user, { scopes: [DRIVE] });
    assert.equal(journey.asked.get('include_granted_scopes'), 'true');
    const token = await journey.token(user, { scope: `${CALENDAR} ${DRIVE} email` });
    assert.equal(token.owner, user.login);
  });

  test('where a provider does not add consent up, the vault asks for what was granted before', async () => {
    const journey = go('github');
    const user = world.arrive('frieda');
    await journey.connect(user);
    await journey.connect(user, { scopes: ['gist'] });
    assert.deepEqual(journey.asked.get('scope').split(' ').toSorted(), ['gist', 'repo']);
    assert.equal((await journey.token(user, { scope: 'gist repo' })).owner, user.login);
  });

  test('GitHub leaves out scopes that another includes, and they are granted none the less', async () => {
    const journey = go('github');
    const user = world.arrive('franziska');
    await journey.connect(user, { scopes: ['user:email'] });
    // A scope that includes others is granted in their place; nothing is lost.
    const account = await journey.connect(user, { scopes: ['user', 'gist'] });
    assert.deepEqual(account.scopes.toSorted(), ['gist', 'user']);
    const token = await journey.token(user, { scope: 'user:email read:user gist' });
    assert.equal(token.owner, user.login);
    const answer = await journey.exchange(user, { scope: 'user:email read:org' });
    assertRefused(answer, 400, 'invalid_scope');
    assert.deepEqual(answer.body.connection_state, { state: 'missing_scopes', missing_scopes: ['read:org'] });
  });

  test('a step-up keeps what was granted, whichever of several accounts it will be', async () => {
    const journey = go('github');
    const user = world.arrive('friedrich');
    await journey.connect(user, { login: 'friedrich-1', scopes: ['repo'] });
    await journey.connect(user, { login: 'friedrich-2', scopes: ['user'] });
    for (const login of ['friedrich-1', 'friedrich-2']) {
      await journey.connect(user, { login, scopes: ['gist'] });
      assert.deepEqual(journey.asked.get('scope').split(' ').toSorted(), ['gist', 'repo', 'user']);
      assert.equal((await journey.token(user, { login_hint: login, scope: 'gist' })).owner, login);
    }
  });

  test('a consent for less is not stored over one for more', async () => {
    const journey = go('github');
    const user = world.arrive('gustav');
    await journey.connect(user, { scopes: ['repo', 'gist'] });
    const first = await journey.token(user);
    const { done } = await journey.begin(user, { scopes: ['gist'], ticked: ['gist'] });
    assertProblem(done, 409);
    assert.match(done.body.detail, /repo/);
    assert.equal((await journey.token(user, { scope: 'repo gist' })).access_token, first.access_token);
    // To reduce the scopes, the user deletes the account first.
    const [account] = await world.accounts(user);
    await journey.remove(user, account);
    await journey.connect(user, { scopes: ['gist'], ticked: ['gist'] });
    assertRefused(await journey.exchange(user, { scope: 'repo' }), 400, 'invalid_scope');
  });

  test('an organisation that wants its users to sign in again ends the grant', async () => {
    const journey = go('google');
    const user = world.arrive('hanna');
    await journey.connect(user);
    await world.advance(3600);
    journey.simulator.sessionOver = true;
    try {
      const answer = await journey.exchange(user);
      assertRefused(answer, 400, 'invalid_target');
      assert.equal(answer.body.connection_state.state, 'reconnect_required');
    } finally {
      journey.simulator.sessionOver = false;
    }
  });

  const asksWho = ({ url }) => url.pathname === '/user';
  const down = { status: 503, headers: {}, body: '' };

  test('who consented is asked again where the provider falters, for the tokens come but once', async () => {
    const journey = go('github');
    const user = world.arrive('henriette');
    let failures = 0;
    const once = () => { failures += 1; return failures === 1 ? down : undefined; };
    await journey.simulator.meanwhile(asksWho, once, () => journey.connect(user));
    assert.equal(failures, 2);
    assert.equal((await journey.token(user, { login_hint: user.login })).owner, user.login);
  });

  test('tokens wait for a provider that cannot say yet whose they are', async () => {
    const journey = go('app');
    const user = world.arrive('hermine');
    const requests = journey.simulator.count();
    const { done, again } = await journey.simulator.meanwhile(asksWho, () => down, () => journey.begin(user));
    assertProblem(done, 503);
    assert.equal(done.headers.get('retry-after'), '5');
    assert.deepEqual(await world.accounts(user), []);
    assertProblem(await journey.simulator.meanwhile(asksWho, () => down, again), 503);
    assert.equal((await again()).status, 201);
    assert.equal(journey.simulator.count(), requests + 1, 'the code was sent twice');
    assert.equal((await journey.token(user, { login_hint: user.login })).owner, user.login);
    assert.deepEqual(await world.accounts(user), [(await again()).body]);
  });

  test('tokens wait for the key of their ID token, however long that lives', async () => {
    const journey = go('entra');
    const { simulator } = journey;
    await journey.connect(world.arrive('hubert'));
    const user = world.arrive('hulda');
    simulator.key = newSigningKey('RS256');
    const keys = ({ url }) => url.pathname.endsWith('/keys');
    const { done, again } = await simulator.meanwhile(keys, () => down, () => journey.begin(user));
    assertProblem(done, 503);
    await world.advance(500);
    assert.equal((await again()).status, 201);
    assert.equal((await journey.token(user)).provider_data.tid, DIRECTORY);
  });

  test('tokens that are stored again late are not put over those that were renewed meanwhile', async () => {
    const journey = go('app');
    const user = world.arrive('hedwig');
    const { again } = await journey.simulator.meanwhile(asksWho, () => down, () => journey.begin(user));
    const [asked, released] = [Promise.withResolvers(), Promise.withResolvers()];
    const slowly = async (request) => {
      const answer = GitHub.prototype.answer.call(journey.simulator, request);
      asked.resolve(undefined);
      await released.promise;
      return answer;
    };
    let [late, held] = [undefined, false];
    const first = ({ url }) => url.pathname === '/user' && !held;
    await journey.simulator.meanwhile(first, (request) => { held = true; return slowly(request); }, async () => {
      late = again();
      await asked.promise;
      assert.equal((await again()).status, 201);
      await world.advance(28801);
      assert.equal((await journey.token(user)).owner, user.login);
      released.resolve(undefined);
      assert.equal((await late).status, 201);
    });
    assert.equal((await world.accounts(user)).length, 1);
    await world.advance(28801);
    assert.equal((await journey.token(user)).owner, user.login);
    assert.equal(journey.simulator.reused, 0);
  });

  test('tokens of somebody whom the provider does not name are nobody\'s, and do not wait', async () => {
    const journey = go('app');
    const user = world.arrive('hilde');
    const nobody = () => ({ status: 200, headers: {}, body: '{}' });
    const { done, again } = await journey.simulator.meanwhile(asksWho, nobody, () => journey.begin(user));
    assertProblem(done, 502);
    assertProblem(await again(), 502);
    assert.deepEqual(await world.accounts(user), []);
  });

  test('an account of another domain is no account of this Workspace', async () => {
    const journey = go('workspace');
    const inside = world.arrive('ingo');
    await journey.connect(inside);
    assert.equal(journey.asked.get('hd'), 'corp.example');
    for (const hd of ['other.example', undefined]) {
      journey.simulator.options.workspace = hd;
      const outside = world.arrive(`jutta-${hd}`);
      assertProblem((await journey.begin(outside)).done, 502);
      assert.deepEqual(await world.accounts(outside), []);
    }
    journey.simulator.options.workspace = 'corp.example';
  });

  test('a token is for one Microsoft resource, and one refresh token gets them all', async () => {
    const journey = go('microsoft');
    const { simulator } = journey;
    const user = world.arrive('karl');
    await journey.connect(user, { scopes: [VAULT, 'Mail.Read'] });
    const mail = await journey.token(user, { scope: 'Mail.Read' });
    const vault = await journey.token(user, { scope: VAULT });
    assert.equal(simulator.resource(mail.access_token), 'https://graph.microsoft.com');
    assert.equal(simulator.resource(vault.access_token), 'https://vault.azure.net');
    assert.equal((await journey.token(user, { scope: VAULT })).access_token, vault.access_token);
    assert.equal((await journey.token(user)).access_token, mail.access_token);
    assertRefused(await journey.exchange(user, { scope: `Mail.Read ${VAULT}` }), 400, 'invalid_scope');
    // A refresh names the one of the two resources that the token is for.
    await world.advance(3701);
    assert.equal(simulator.resource((await journey.token(user)).access_token), 'https://graph.microsoft.com');
  });

  test('a code for several Microsoft resources is redeemed for one, and what it answers takes no other away', async () => {
    const journey = go('microsoft');
    const { simulator } = journey;
    const user = world.arrive('karla');
    const account = await journey.connect(user, { scopes: [VAULT, MANAGE] });
    assert.deepEqual(account.scopes.toSorted(), ['email', MANAGE, VAULT, 'offline_access', 'openid', 'profile']);
    for (let time = 0; time < 2; time += 1) {
      // Without a scope the vault releases the token that came with the code.
      for (const [scope, resource] of [[undefined, 'https://vault.azure.net'], [MANAGE, 'https://management.azure.com'], [VAULT, 'https://vault.azure.net']]) {
        const token = await journey.token(user, scope && { scope });
        assert.equal(simulator.resource(token.access_token), resource, scope);
        assert.equal(token.scope, scope ?? VAULT);
      }
      await world.advance(3701);
    }
  });

  test('a resource that the user has not consented to is a missing scope, and the grant goes on', async () => {
    const journey = go('microsoft');
    const user = world.arrive('klara');
    // The response to the code has the scopes of one resource only, so the vault does not know the others.
    await journey.connect(user, { scopes: ['Mail.Read', VAULT], ticked: ['Mail.Read', 'openid', 'offline_access', 'email', 'profile'] });
    const before = journey.simulator.count('refresh_token');
    for (let time = 0; time < 2; time += 1) {
      const answer = await journey.exchange(user, { scope: VAULT });
      assertRefused(answer, 400, 'invalid_scope');
      assert.deepEqual(answer.body.connection_state, { state: 'missing_scopes', missing_scopes: [VAULT] });
      assert.equal(journey.simulator.count('refresh_token'), before + 1, 'asked again at once');
    }
    await world.advance(3701);
    assert.equal((await journey.token(user, { scope: 'Mail.Read' })).owner, user.login);
  });

  test('Microsoft\'s codes tell a dead grant from a provider that is down', async () => {
    const journey = go('microsoft');
    const { simulator } = journey;
    for (const [refusal, state] of [[50173, 'reconnect_required'], [700082, 'reconnect_required'], [65001, 'reconnect_required'], [90033, 'unavailable'], [70000, 'unavailable'], [50196, 'unavailable']]) {
      const user = world.arrive(`lars-${refusal}`);
      await journey.connect(user);
      await world.advance(3701);
      simulator.refusal = refusal;
      try {
        const answer = await journey.exchange(user);
        if (state === 'unavailable') assertRefused(answer, 503, 'temporarily_unavailable');
        else assertRefused(answer, 400, 'invalid_target');
        assert.equal(answer.body.connection_state.state, state, `${refusal} ${show(answer)}`);
      } finally {
        simulator.refusal = undefined;
      }
      if (state === 'reconnect_required') continue;
      await world.advance(61);
      assert.equal((await journey.token(user)).owner, user.login);
    }
  });

  test('an account of another directory is refused', async () => {
    const journey = go('entra');
    journey.simulator.options.foreign = '11111111-2222-3333-4444-555555555555';
    const user = world.arrive('maria');
    assertProblem((await journey.begin(user)).done, 502);
    delete journey.simulator.options.foreign;
    await journey.connect(user);
  });

  test('a second consent without a refresh token keeps the one from before', async () => {
    const journey = go('google-silent');
    const user = world.arrive('quirin');
    await journey.connect(user);
    assert.equal(journey.asked.get('prompt'), null);
    // Google issues a refresh token only at the first consent, unless the user must consent again.
    await journey.connect(user);
    await world.advance(3600);
    assert.equal((await journey.token(user)).owner, user.login);
  });

  test('a refresh token that nobody used for sixty days is over, and its end is known before', async () => {
    const journey = go('box');
    const user = world.arrive('rolf');
    const account = await journey.connect(user);
    const days = (Date.parse(account.expires_at) / 1000 - journey.simulator.now()) / 86400;
    assert.ok(days > 59.9 && days <= 60, account.expires_at);
    await world.advance(30 * 86400);
    assert.equal((await journey.token(user)).owner, user.login);
    await world.advance(59 * 86400);
    assert.equal((await journey.token(user)).owner, user.login);
    await world.advance(61 * 86400);
    const answer = await journey.exchange(user);
    assertRefused(answer, 400, 'invalid_target');
    assert.deepEqual(answer.body.connection_state, { state: 'reconnect_required', reason: 'refresh_refused' });
  });

  test('a code that came too late connects nothing', async () => {
    const journey = go('box');
    const user = world.arrive('rosa');
    const { authorize } = journey.simulator;
    journey.simulator.authorize = function late(...asked) {
      const back = authorize.apply(this, asked);
      for (const code of this.codes.values()) code.at -= 31_000;
      return back;
    };
    try {
      assertProblem((await journey.begin(user)).done, 400);
    } finally {
      delete journey.simulator.authorize;
    }
    assert.deepEqual(await world.accounts(user), []);
  });

  test('a revocation is made up for when the provider is back', async () => {
    const journey = go('box');
    const user = world.arrive('sven');
    const account = await journey.connect(user);
    const { serve } = journey.simulator;
    journey.simulator.serve = async () => ({ status: 503, headers: {}, body: '' });
    try {
      assert.equal(await journey.remove(user, account), 'pending');
    } finally {
      journey.simulator.serve = serve;
    }
    assert.ok(journey.simulator.living(user.login) > 0);
    await eventually('it is revoked', () => journey.simulator.living(user.login) === 0, 40);
  });

  test('what two users share at a provider is not revoked for one of them', async () => {
    const journey = go('google');
    const [one, other] = [world.arrive('nora'), world.arrive('otto')];
    const account = await journey.connect(one, { login: 'team' });
    await journey.connect(other, { login: 'team' });
    assert.equal(await journey.remove(one, account), 'not_supported');
    assert.equal((await journey.token(other)).owner, 'team');
    const [last] = await world.accounts(other);
    assert.equal(await journey.remove(other, last), 'revoked');
    assert.equal(journey.simulator.living('team'), 0);
  });

  test('an account from before a provider told who consents is renewed by the next consent', async () => {
    const journey = go('nameless');
    const user = world.arrive('quentin');
    const { id } = await journey.connect(user, { login: 'portal-1' });
    const { nameless } = world.bindings.json.CONNECTIONS;
    nameless.identity = { from: 'answer', id: 'hub_id' };
    await world.stopVault();
    await world.startVault();
    assert.equal((await journey.connect(user, { login: 'portal-1' })).id, id);
    assert.notEqual((await journey.connect(user, { login: 'portal-2' })).id, id);
    assert.equal((await world.accounts(user)).length, 2);
    assert.equal((await journey.token(user)).owner, 'portal-1');
  });

  test('the list of connections names provider, scopes and kinds', async () => {
    const user = world.arrive('paul');
    const { body } = await world.api.call('GET', '/me/v1/connected-accounts/connections?take=20', { token: user.me_token });
    const of = (name) => body.connections.find((one) => one.name === name);
    assert.equal(of('slack').strategy, 'slack');
    assert.deepEqual(of('slack').token_kinds, ['bot']);
    assert.ok(of('google').scopes.includes(CALENDAR), show({ body }));
    assert.equal(of('demo').strategy, 'oidc');
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
