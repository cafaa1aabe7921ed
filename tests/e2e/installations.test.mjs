// SPDX-License-Identifier: Apache-2.0
// Tokens of a GitHub App's installations: issued with the App's private key, and only for the owner of the
// account.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRefused, describe as show, eventually } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Tried } from './providers/tried.mjs';
import { GitHubInstallations } from './providers/github-installations.mjs';
import { json } from './providers/simulator.mjs';

const ALL = 'contents:write metadata:read';

describe('tokens of a GitHub App\'s installations', { timeout: 180_000 }, () => {
  const simulator = new GitHubInstallations({});
  // This App's user tokens do not expire, and its key has the format PKCS#8.
  const endless = new GitHubInstallations({ pkcs8: true, endless: true });
  const tried = new Tried();
  let world;
  let journey;

  before(async () => {
    world = await startWorld({
      app: { entry: { provider: 'github_app' }, simulator },
      endless: { entry: { provider: 'github_app' }, simulator: endless },
    });
    journey = new Journey(world, 'app', simulator);
    simulator.organisation('Octo-Org', {});
    simulator.install('Octo-Org');
  });
  after(async () => {
    await world?.close();
    await world?.internet.close();
    tried.compare();
  });

  /** A test whose result is listed in docs/providers/tried.md. */
  const behaviour = (name, source, run) => test(name, async () => {
    await run();
    tried.add('github_app installation', name, simulator.sources[source]);
  });

  const of = (organisation) => ({ token_kind: 'installation', ...(organisation && { resource: `https://github.com/${organisation}` }) });

  /** Performs an exchange that must succeed; returns the response, with the account that the token is for. */
  const installation = async (user, organisation, more, by = journey) => {
    const answer = await by.exchange(user, { ...of(organisation), ...more });
    assert.equal(answer.status, 200, show(answer));
    for (const secret of by.simulator.secrets) world.secrets.add(secret);
    return { ...answer.body, of: by.simulator.installationOf(answer.body.access_token) };
  };

  /** The status and the error code for each state. */
  const ANSWERS = {
    not_connected: [400, 'invalid_target'],
    reconnect_required: [400, 'invalid_target'],
    missing_scopes: [400, 'invalid_scope'],
    unavailable: [503, 'temporarily_unavailable'],
  };

  /** Performs an exchange that must fail, with the status and error code of its state; returns the state. */
  const refused = async (user, organisation, more) => {
    const answer = await journey.exchange(user, { ...of(organisation), ...more });
    const { connection_state: state } = answer.body;
    assert.ok(Object.hasOwn(ANSWERS, state?.state), show(answer));
    assertRefused(answer, ...ANSWERS[state.state]);
    return state;
  };

  /** A connected user, who has the given role in the organisation, if any. */
  const connected = async (login, role) => {
    if (role) simulator.member('octo-org', login, { role, state: 'active' });
    const user = world.arrive(login);
    await journey.connect(user);
    return user;
  };

  behaviour('own account', 'own', async () => {
    const user = await connected('anna');
    simulator.install('anna');
    const first = await installation(user);
    assert.equal(first.of, 'anna');
    assert.ok(first.expires_in > 3500 && first.expires_in <= 3600, first.expires_in);
    const requests = simulator.requests.length;
    assert.equal((await installation(user)).access_token, first.access_token);
    assert.equal(simulator.requests.length, requests, 'the provider was asked');
    // The user's own token is a different one and did not change.
    const own = await journey.token(user);
    assert.equal(own.owner, 'anna');
    await world.advance(3600 - 30);
    assert.notEqual((await installation(user)).access_token, first.access_token);
    assert.equal((await journey.token(user)).access_token, own.access_token);
  });

  test('one\'s own account may be named like any other', async () => {
    const user = await connected('Aurelia');
    simulator.install('Aurelia');
    const token = await installation(user, 'aurelia');
    assert.equal(token.of, 'Aurelia');
    assert.equal((await installation(user)).access_token, token.access_token);
  });

  behaviour('organisation', 'organisation', async () => {
    const user = await connected('berta', 'admin');
    const token = await installation(user, 'octo-org');
    assert.equal(token.of, 'Octo-Org');
    assert.equal((await installation(user, 'OCTO-ORG')).access_token, token.access_token);
    // The App is not installed on her own account.
    assert.equal((await refused(user)).reason, 'not_installed');
  });

  behaviour('no owner', 'member', async () => {
    for (const role of [undefined, 'member', 'billing_manager']) {
      const user = await connected(`carl-${role}`, role);
      const { made } = simulator;
      assert.deepEqual(await refused(user, 'octo-org'), { state: 'not_connected', reason: 'not_owner' }, role);
      const requests = simulator.requests.length;
      assert.equal((await refused(user, 'octo-org')).reason, 'not_owner');
      assert.equal(simulator.requests.length, requests, 'asked again at once');
      assert.equal(simulator.made, made);
      assert.equal((await journey.token(user)).owner, user.login);
    }
    const invited = await connected('carla');
    simulator.member('octo-org', 'carla', { role: 'admin', state: 'pending' });
    assert.equal((await refused(invited, 'octo-org')).reason, 'not_owner');
  });

  test('many organisations at once each get their token', async () => {
    const user = await connected('cosima');
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    for (const name of names) {
      simulator.organisation(name, { cosima: { role: 'admin', state: 'active' } });
      simulator.install(name);
    }
    const tokens = await Promise.all([...names, ...names].map((name) => installation(user, name)));
    assert.deepEqual(tokens.map((token) => token.of), [...names, ...names]);
  });

  test('an owner who is one no more gets no further token', async () => {
    const user = await connected('dora', 'admin');
    const last = await installation(user, 'octo-org');
    simulator.member('octo-org', 'dora', { role: 'member', state: 'active' });
    await world.advance(3601);
    assert.equal((await refused(user, 'octo-org')).reason, 'not_owner');
    assert.equal(simulator.installationOf(last.access_token), undefined);
  });

  test('once the vault knows that somebody is no owner, what it made serves nobody', async () => {
    const user = await connected('dagmar', 'admin');
    const { access_token: token } = await installation(user, 'octo-org');
    simulator.member('octo-org', 'dagmar', { role: 'member', state: 'active' });
    await world.advance(61);
    // Other scopes require a new issuance, which checks the ownership again.
    assert.equal((await refused(user, 'octo-org', { scope: 'issues:write' })).reason, 'not_owner');
    assert.equal((await refused(user, 'octo-org')).reason, 'not_owner');
    await eventually('it is revoked', () => simulator.installationOf(token) === undefined);
  });

  behaviour('not installed', 'organisation', async () => {
    simulator.organisation('late', { emil: { role: 'admin', state: 'active' } });
    const user = await connected('emil');
    assert.equal((await refused(user)).reason, 'not_installed');
    // If the App is not installed in an organisation, GitHub does not disclose who owns it.
    assert.equal((await refused(user, 'late')).reason, 'not_installed');
    simulator.install('emil');
    simulator.install('late');
    await world.advance(61);
    assert.equal((await installation(user)).of, 'emil');
    assert.equal((await installation(user, 'late')).of, 'late');
    // A new connect clears the negative cache.
    simulator.organisation('later', { emil: { role: 'admin', state: 'active' } });
    assert.equal((await refused(user, 'later')).reason, 'not_installed');
    simulator.install('later');
    await journey.connect(user);
    assert.equal((await installation(user, 'later')).of, 'later');
  });

  behaviour('suspended', 'make', async () => {
    const user = await connected('fred');
    const found = simulator.install('fred', { suspended_at: '2026-11-24T04:00:00Z' });
    assert.deepEqual(await refused(user), { state: 'not_connected', reason: 'suspended' });
    found.suspended_at = null;
    await world.advance(61);
    assert.equal((await installation(user)).of, 'fred');
  });

  behaviour('permissions', 'make', async () => {
    const user = await connected('gina', 'admin');
    assert.equal((await installation(user, 'octo-org')).scope, ALL);
    // Permission to write includes permission to read.
    assert.equal((await installation(user, 'octo-org', { scope: 'contents:read' })).of, 'Octo-Org');
    const lacking = await journey.exchange(user, { ...of('octo-org'), scope: 'contents:read issues:write' });
    assertRefused(lacking, 400, 'invalid_scope');
    assert.deepEqual(lacking.body.connection_state, { state: 'missing_scopes', missing_scopes: ['issues:write'] });
  });

  test('a permission that an owner grants later is there within a minute', async () => {
    const user = await connected('gunda');
    const found = simulator.install('gunda');
    assert.equal((await refused(user, undefined, { scope: 'issues:write' })).state, 'missing_scopes');
    found.permissions = { ...found.permissions, issues: 'write' };
    assert.equal((await refused(user, undefined, { scope: 'issues:write' })).state, 'missing_scopes');
    await world.advance(61);
    assert.equal((await installation(user, undefined, { scope: 'issues:write' })).scope, 'contents:write issues:write metadata:read');
  });

  behaviour('refresh', 'refresh', async () => {
    const user = await connected('hans', 'admin');
    await installation(user, 'octo-org');
    const before = simulator.count('refresh_token');
    await world.advance(28801);
    // The ownership check needs the user's token, which has expired, so it is renewed first.
    const tokens = await Promise.all(Array.from({ length: 20 }, () => installation(user, 'octo-org')));
    assert.deepEqual([...new Set(tokens.map((token) => token.of))], ['Octo-Org']);
    assert.equal(new Set(tokens.map((token) => token.access_token)).size, 1, 'made more than once');
    assert.equal(simulator.count('refresh_token'), before + 1);
    assert.equal(simulator.reused, 0);
    assert.equal((await journey.token(user)).owner, 'hans');
  });

  behaviour('dead grant', 'dead', async () => {
    const user = await connected('ilse', 'admin');
    const { access_token: last } = await installation(user, 'octo-org');
    simulator.end('ilse');
    // The token issued before stays valid until it expires, at the provider and in the vault.
    assert.equal((await installation(user, 'octo-org')).access_token, last);
    await world.advance(3601);
    const { made } = simulator;
    assert.deepEqual(await refused(user, 'octo-org'), { state: 'reconnect_required', reason: 'refresh_refused' });
    const requests = simulator.requests.length;
    assert.equal((await refused(user, 'octo-org')).state, 'reconnect_required');
    assert.equal(simulator.requests.length, requests, 'a dead grant was asked for again');
    assert.equal(simulator.made, made);
    await journey.connect(user);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  behaviour('outage', 'make', async () => {
    const user = await connected('jana', 'admin');
    const { access_token: token } = await installation(user, 'octo-org');
    simulator.makingIsDown = true;
    try {
      await world.advance(3600 - 30);
      assert.equal((await installation(user, 'octo-org')).access_token, token);
      await world.advance(31);
      const answer = await journey.exchange(user, of('octo-org'));
      assertRefused(answer, 503, 'temporarily_unavailable');
      assert.equal(answer.body.connection_state.state, 'unavailable');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
    } finally {
      simulator.makingIsDown = false;
    }
    await world.advance(61);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  test('trouble with one organisation is none of another\'s, nor of the user\'s own token', async () => {
    const user = await connected('jette', 'admin');
    simulator.organisation('ill', { jette: { role: 'admin', state: 'active' } });
    simulator.install('ill');
    const ill = ({ url }) => url.pathname === '/orgs/ill/installation';
    const down = () => ({ status: 503, headers: { 'retry-after': '3600' }, body: '' });
    await simulator.meanwhile(ill, down, async () => {
      assert.equal((await refused(user, 'ill')).retry_after, 3600);
      assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
      await world.advance(28801);
      simulator.requests.length = 0;
      assert.equal((await journey.token(user)).owner, 'jette');
      assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
    });
  });

  test('an organisation that does not answer keeps nobody waiting for another', async () => {
    const user = await connected('johanna', 'admin');
    const hanging = Array.from({ length: 3 }, (_, index) => `hanging-${index}`);
    for (const name of hanging) {
      simulator.organisation(name, { johanna: { role: 'admin', state: 'active' } });
      simulator.install(name);
    }
    const released = Promise.withResolvers();
    const waits = ({ url }) => url.pathname.startsWith('/orgs/hanging-');
    const hangs = async () => { await released.promise; return json(502, {}); };
    await simulator.meanwhile(waits, hangs, async () => {
      const late = hanging.map((name) => journey.exchange(user, of(name)));
      await eventually('they are asked for', () => simulator.requests.filter((one) => waits({ url: { pathname: one.path } })).length >= hanging.length);
      assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
      assert.equal((await journey.token(user)).owner, 'johanna');
      released.resolve(undefined);
      for (const answer of await Promise.all(late)) assert.equal(answer.body.connection_state.state, 'unavailable');
    });
  });

  test('a rate limit that is used up is no word on who owns what', async () => {
    const user = await connected('jule', 'admin');
    const account = (await world.accounts(user))[0];
    const limited = () => json(403, { message: 'API rate limit exceeded' }, {
      'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(simulator.now() + 500),
    });
    for (const part of ['/user/memberships/', '/orgs/', '/access_tokens']) {
      const other = await connected(`jule-at${part.replaceAll('/', '-')}`, 'admin');
      await simulator.meanwhile(({ url }) => url.pathname.includes(part), limited, async () => {
        const state = await refused(other, 'octo-org');
        assert.equal(state.state, 'unavailable', part);
        assert.ok(state.retry_after > 400 && state.retry_after <= 500, state.retry_after);
      });
    }
    const { access_token: token } = await installation(user, 'octo-org');
    await simulator.meanwhile(({ url }) => url.pathname === '/installation/token', limited, async () => {
      assert.equal(await journey.remove(user, account), 'pending');
      assert.ok(simulator.installationOf(token));
    });
  });

  test('where only one door does not take the user\'s token, nothing is renewed or ended', async () => {
    const user = await connected('justus', 'admin');
    const before = simulator.count('refresh_token');
    const refuses = () => json(401, { message: 'Bad credentials' });
    await simulator.meanwhile(({ url }) => url.pathname.includes('/memberships/'), refuses, async () => {
      for (let time = 0; time < 3; time += 1) {
        assert.equal((await refused(user, 'octo-org')).state, 'unavailable');
        await world.advance(61);
      }
    });
    assert.equal(simulator.count('refresh_token'), before);
    await world.advance(301);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  test('a token that is never accepted is renewed once and not again and again', async () => {
    const user = await connected('jakob', 'admin');
    const before = simulator.count('refresh_token');
    const refuses = () => json(401, { message: 'Bad credentials' });
    const shows = ({ url }) => url.pathname.includes('/memberships/') || url.pathname === '/user';
    await world.advance(120);
    await simulator.meanwhile(shows, refuses, async () => {
      for (let time = 0; time < 6; time += 1) {
        assert.equal((await refused(user, 'octo-org')).state, 'unavailable');
        await world.advance(61);
      }
    });
    assert.equal(simulator.count('refresh_token'), before + 1);
    await world.advance(301);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  behaviour('misconfigured client', 'signature', async () => {
    const user = await connected('karl', 'admin');
    const { publicKey } = simulator;
    simulator.publicKey = endless.publicKey;
    try {
      const answer = await journey.exchange(user, of('octo-org'));
      assertRefused(answer, 503, 'temporarily_unavailable');
      assert.equal(answer.body.connection_state.state, 'misconfigured');
      assert.match(world.workerd.log, /signature_refused/);
      // The user's own token does not need the key.
      assert.equal((await journey.token(user)).owner, 'karl');
    } finally {
      simulator.publicKey = publicKey;
    }
    await world.advance(61);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  behaviour('revoke', 'end', async () => {
    const user = await connected('lars', 'admin');
    simulator.install('lars');
    const tokens = [await installation(user), await installation(user, 'octo-org')];
    const [account] = await world.accounts(user);
    assert.equal(await journey.remove(user, account), 'revoked');
    for (const { access_token: token } of tokens) assert.equal(simulator.installationOf(token), undefined);
    assert.equal(simulator.living('lars'), 0);
    assertRefused(await journey.exchange(user, of('octo-org')), 400, 'invalid_target');
  });

  behaviour('revoke while it is down', 'end', async () => {
    const user = await connected('maria', 'admin');
    const { access_token: token } = await installation(user, 'octo-org');
    const [account] = await world.accounts(user);
    simulator.makingIsDown = true;
    try {
      assert.equal(await journey.remove(user, account), 'pending');
      assert.equal(simulator.installationOf(token), 'Octo-Org');
    } finally {
      simulator.makingIsDown = false;
    }
  });

  test('what was still to be revoked of an installation stays so when the user connects again', async () => {
    const user = await connected('mia', 'admin');
    const { access_token: token } = await installation(user, 'octo-org');
    const [account] = await world.accounts(user);
    simulator.makingIsDown = true;
    try {
      assert.equal(await journey.remove(user, account), 'pending');
    } finally {
      simulator.makingIsDown = false;
    }
    await journey.connect(user);
    await eventually('it is revoked', () => simulator.installationOf(token) === undefined, 40);
    assert.equal((await installation(user, 'octo-org')).of, 'Octo-Org');
  });

  test('without the key there are no more tokens, and those there are can be revoked', async () => {
    const user = await connected('mona', 'admin');
    const { access_token: token } = await installation(user, 'octo-org');
    await world.stopVault();
    const { app, ...others } = JSON.parse(world.bindings.text.PROVIDER_SECRETS);
    await world.startVault({ PROVIDER_SECRETS: JSON.stringify({ ...others, app: app.client_secret }) });
    try {
      assert.equal((await refused(user, 'octo-org')).reason, 'token_kind_unknown');
      const [account] = await world.accounts(user);
      assert.equal(await journey.remove(user, account), 'revoked');
      assert.equal(simulator.installationOf(token), undefined);
    } finally {
      await world.stopVault();
      await world.startVault();
    }
  });

  test('a token that is being made while its account is deleted is revoked', async () => {
    const user = await connected('max', 'admin');
    const [account] = await world.accounts(user);
    const { serve } = simulator;
    let removed;
    simulator.serve = async function slow(request) {
      const answer = await serve.call(this, request);
      if (request.url.pathname.endsWith('/access_tokens')) removed = await journey.remove(user, account);
      return answer;
    };
    try {
      await journey.exchange(user, of('octo-org'));
    } finally {
      simulator.serve = serve;
    }
    assert.equal(removed, 'revoked');
    const [token] = [...simulator.installationTokens.keys()].slice(-1);
    await eventually('it is revoked', () => simulator.installationOf(token) === undefined, 40);
  });

  test('where the user\'s tokens have no end, ownership is asked all the same', async () => {
    const by = new Journey(world, 'endless', endless);
    endless.organisation('octo-org', { nora: { role: 'admin', state: 'active' } });
    endless.install('octo-org');
    const user = world.arrive('nora');
    await by.connect(user);
    assert.equal((await installation(user, 'octo-org', {}, by)).of, 'octo-org');
    await world.advance(30 * 86400);
    assert.equal((await installation(user, 'octo-org', {}, by)).of, 'octo-org');
    // She withdraws her consent. The vault ends the grant only if the rejection persists for a while.
    endless.end('nora');
    await world.advance(3601);
    const once = await by.exchange(user, of('octo-org'));
    assert.equal(once.body.connection_state.state, 'unavailable');
    await world.advance(6);
    for (let time = 0; time < 2; time += 1) {
      const requests = endless.requests.length;
      const answer = await by.exchange(user, of('octo-org'));
      assert.deepEqual(answer.body.connection_state, { state: 'reconnect_required', reason: 'refresh_refused' });
      assert.equal(endless.requests.length, time === 0 ? requests + 2 : requests, 'a dead grant was asked for again');
    }
    // A new grant that arrives while the old one's token is rejected is not ended with the old one.
    await by.connect(user);
    await world.advance(3601);
    const refuses = () => json(401, { message: 'Bad credentials' });
    const shows = ({ url }) => url.pathname.includes('/memberships/') || url.pathname === '/user';
    await endless.meanwhile(shows, refuses, () => by.exchange(user, of('octo-org')));
    await world.advance(6);
    let connected = false;
    const whileConnecting = async () => {
      if (connected) return refuses();
      connected = true;
      const { answer } = endless;
      delete endless.answer;
      await by.connect(user);
      endless.answer = answer;
      return refuses();
    };
    await endless.meanwhile(({ url }) => url.pathname.includes('/memberships/'), whileConnecting, () => (
      endless.meanwhile(({ url }) => url.pathname === '/user' && connected, refuses, () => by.exchange(user, of('octo-org')))
    ));
    assert.ok(connected);
    await world.advance(601);
    assert.equal((await installation(user, 'octo-org', {}, by)).of, 'octo-org');
    new Journey(world, 'app', simulator);
  });

  test('a resource that is none of this provider\'s is told as such', async () => {
    const user = await connected('otto', 'admin');
    for (const more of [{ ...of(), resource: 'https://gitlab.com/octo-org' }, { resource: 'https://github.com/octo-org' }]) {
      const answer = await journey.exchange(user, more);
      assertRefused(answer, 400, 'invalid_target');
      assert.equal(answer.body.connection_state.reason, 'resource_unknown');
    }
  });

  test('a client that gets the scopes it asks for and no others gets a narrower token', async () => {
    const user = await connected('paul', 'admin');
    world.bindings.json.CLIENTS.backend.scope_policy = 'exact';
    await world.stopVault();
    await world.startVault();
    try {
      const narrow = await installation(user, 'octo-org', { scope: 'contents:read' });
      assert.equal(narrow.scope, 'contents:read');
      assert.deepEqual(simulator.installationTokens.get(narrow.access_token).permissions, { contents: 'read' });
      const wider = await journey.exchange(user, { ...of('octo-org'), scope: 'issues:write' });
      assertRefused(wider, 400, 'invalid_scope');
      assert.deepEqual(wider.body.connection_state, { state: 'missing_scopes', missing_scopes: ['issues:write'] });
    } finally {
      delete world.bindings.json.CLIENTS.backend.scope_policy;
      await world.stopVault();
      await world.startVault();
    }
  });

  test('the list of connections names the kind', async () => {
    const user = world.arrive('rosa');
    const { body } = await world.api.call('GET', '/me/v1/connected-accounts/connections?take=20', { token: user.me_token });
    assert.deepEqual(body.connections.find((one) => one.name === 'app').token_kinds, ['installation']);
  });

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
