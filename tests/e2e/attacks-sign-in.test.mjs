// SPDX-License-Identifier: Apache-2.0
// Attacks on a sign-in at the vault: each leaves the attacker without a session, a code and tokens.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar, browse, claimsOf, s256, startsAt } from '../../xtask/js/browser.mjs';
import { APP, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { BYE, CALLBACK, PARTNER_CALLBACK, REMEMBERED, RelyingParty, formsOf, plant, visit } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

describe('attacks on a sign-in', { timeout: 240_000 }, () => {
  let party;
  let world;
  let hostile;
  /** What the provider `other` says of whoever signs in there. */
  let told;

  before(async () => {
    hostile = await HostileServer.start();
    hostile.on('/authorize', (response, _body, query) => {
      const back = new URL(query.get('redirect_uri'));
      back.search = new URLSearchParams({ code: random(), state: query.get('state') }).toString();
      response.writeHead(302, { location: back.href }).end();
    });
    hostile.on('/token', answer(200, { access_token: random(), token_type: 'Bearer', expires_in: 600 }));
    hostile.on('/me', (response) => answer(200, told)(response));
    party = await RelyingParty.start({
      upstream: [{ connection: 'second', client_id: 'vault-second', client_secret: random() }],
      connections: ({ issuer }) => ({
        other: {
          kind: 'oauth2',
          client_id: 'vault-other',
          client_authentication: 'none',
          authorization_endpoint: `${hostile.origin}/authorize`,
          token_endpoint: `${hostile.origin}/token`,
          userinfo_endpoint: `${hostile.origin}/me`,
          identity: { permanent: true },
        },
        second: { kind: 'oidc', issuer, client_id: 'vault-second', client_authentication: 'client_secret_basic' },
      }),
    }, { connections: ['demo', 'other', 'second'] });
    world = party.world;
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  const demo = { connection: 'demo' };
  const signIn = (login, more = {}, jar = new CookieJar()) => party.signIn(login, { ...demo, ...more }, jar);

  /** Follows a sign-in until the provider sends the browser back to the vault; returns that address. */
  async function untilCallback(login, more, jar) {
    const stop = (url) => url.startsWith(`${world.vault}/callback/`);
    const end = await browse(party.request(random(), { ...demo, ...more }), { login, jar, stop });
    assert.ok(stop(end.url), end.url);
    return end.url;
  }

  /** What the vault keeps of sign-ins. */
  const kept = () => ['USER', 'IDENTITY', 'BROWSER_SESSION', 'REFRESH_FAMILY'].map((binding) => party.objects(binding).length);

  /** The user that a browser's session is for, or undefined. */
  async function userOf(jar) {
    const verifier = random();
    const url = party.request(verifier, { ...demo, prompt: 'none' });
    const end = await browse(url, { login: 'nobody', jar, stop: startsAt(CALLBACK) });
    const code = new URL(end.url).searchParams.get('code');
    return code ? claimsOf((await party.redeem(code, verifier)).body.id_token).sub : undefined;
  }

  test('session fixation: the cookie that an attacker planted does not become the victim’s session', async () => {
    const mallory = new CookieJar();
    await signIn('mallory', {}, mallory);
    const planted = mallory.cookie(world.vault, 'session');
    const victim = new CookieJar();
    plant(victim, world.vault, 'session', planted);
    const tokens = await signIn('alice', { prompt: 'login' }, victim);
    assert.equal(claimsOf(tokens.id_token).sub, 'demo|alice');
    assert.notEqual(victim.cookie(world.vault, 'session'), planted);
    assert.equal(await userOf(victim), 'demo|alice');
    // The attacker's session ended, and none of it goes on in the victim's.
    assert.equal(await userOf(mallory), undefined);
    assert.notEqual(claimsOf(tokens.id_token).sid, planted.split('.')[0]);
  });

  test('session fixation: a cookie that the vault did not make is no session, and makes no object', async () => {
    const { jar } = await signIn('anna');
    const good = jar.cookie(world.vault, 'session');
    const [id, secret] = good.split('.');
    const before = party.objects('BROWSER_SESSION');
    for (const forged of [random(), `${random()}.${random()}`, `${id}.${random()}`, `${id}.`, `${id}`, `${id.slice(0, -1)}A.${secret}`, `${good}.`, `${good}x`, `"${good}"`]) {
      const attacker = new CookieJar();
      plant(attacker, world.vault, 'session', forged);
      assert.equal((await party.silently(attacker)).get('error'), 'login_required', forged);
    }
    assert.deepEqual(party.objects('BROWSER_SESSION'), before);
    assert.equal(await userOf(jar), 'demo|anna');
  });

  test('cookie tossing: of two session cookies none is used', async () => {
    const { jar } = await signIn('amir');
    const { jar: other } = await signIn('mallory');
    for (const pair of [[jar, other], [other, jar]]) {
      const cookie = pair.map((one) => `session=${one.cookie(world.vault, 'session')}`).join('; ');
      const response = await fetch(party.request(random(), { ...demo, prompt: 'none' }), { redirect: 'manual', headers: { cookie } });
      assert.equal(new URL(response.headers.get('location')).searchParams.get('error'), 'login_required');
    }
  });

  test('login CSRF: a browser does not finish the attacker’s sign-in', async () => {
    const callback = await untilCallback('mallory2', {}, new CookieJar());
    const redeemed = world.tokenRequests('authorization_code');
    const before = kept();
    const fresh = new CookieJar();
    // One that is signing in itself, and has cookies of its own.
    const busy = new CookieJar();
    await untilCallback('bert', {}, busy);
    for (const victim of [fresh, busy]) {
      const page = await visit(victim, callback);
      assert.equal(page.status, 400, page.text);
      assert.equal(page.headers.get('location'), null);
      assert.equal(victim.cookie(world.vault, 'session'), undefined);
    }
    assert.equal(world.tokenRequests('authorization_code'), redeemed, 'the attacker’s code was redeemed');
    assert.deepEqual(kept(), before);
  });

  test('login CSRF: an attacker does not finish the victim’s sign-in', async () => {
    const jar = new CookieJar();
    const callback = await untilCallback('bea', {}, jar);
    const redeemed = world.tokenRequests('authorization_code');
    const before = kept();
    const attacker = new CookieJar();
    const page = await visit(attacker, callback);
    assert.equal(page.status, 400, page.text);
    assert.equal(page.headers.get('location'), null);
    assert.equal(attacker.cookie(world.vault, 'session'), undefined);
    assert.equal(world.tokenRequests('authorization_code'), redeemed);
    assert.deepEqual(kept(), before);
    // The victim's browser still can.
    const done = await visit(jar, callback);
    assert.ok(new URL(done.headers.get('location')).searchParams.get('code'));
  });

  test('login CSRF: a sign-in is not finished in a browser that has lost the cookie of its request', async () => {
    const jar = new CookieJar();
    const callback = await untilCallback('berta', {}, jar);
    const before = kept();
    plant(jar, world.vault, 'sign-in', random());
    const page = await visit(jar, callback);
    assert.equal(page.status, 400, page.text);
    assert.equal(jar.cookie(world.vault, 'session'), undefined);
    assert.deepEqual(kept(), before);
  });

  test('a used callback signs nobody in again', async () => {
    const jar = new CookieJar();
    const callback = await untilCallback('bodo', {}, jar);
    const copy = new CookieJar();
    for (const name of ['sign-in', ...jar.names(world.vault).filter((one) => one.includes('connect'))]) {
      plant(copy, world.vault, name, jar.cookie(world.vault, name));
    }
    assert.equal((await visit(jar, callback)).status, 303);
    const again = await visit(copy, callback);
    assert.equal(again.status, 400, again.text);
    assert.equal(copy.cookie(world.vault, 'session'), undefined);
  });

  test('mix-up: a response at the address of another connection, or with another issuer, ends the sign-in', async () => {
    for (const change of [
      (url) => { url.pathname = '/callback/second'; },
      (url) => { url.pathname = '/callback/other'; },
      (url) => { url.searchParams.set('iss', 'https://evil.example/'); },
      (url) => { url.searchParams.set('iss', `${world.vault}/`); },
      (url) => { url.searchParams.delete('iss'); },
    ]) {
      const jar = new CookieJar();
      const callback = new URL(await untilCallback('carl', {}, jar));
      const good = callback.href;
      change(callback);
      const before = [world.tokenRequests('authorization_code'), hostile.count('/token'), ...kept()];
      for (const url of [callback.href, good]) {
        const page = await visit(jar, url);
        assert.equal(page.status, 400, `${url} ${page.text}`);
        assert.equal(page.headers.get('location'), null);
      }
      assert.equal(jar.cookie(world.vault, 'session'), undefined);
      assert.deepEqual([world.tokenRequests('authorization_code'), hostile.count('/token'), ...kept()], before);
    }
  });

  test('cross-flow: the code of a sign-in connects nothing', async () => {
    const user = await party.meToken(await signIn('dora'));
    const started = await world.startConnect(user, { redirectUri: APP });
    const jar = new CookieJar();
    const stop = (url) => url.startsWith(`${world.vault}/callback/`);
    const connect = new URL((await browse(world.api.connectLink(started), { login: 'dora', jar, stop })).url);
    const login = new URL(await untilCallback('mallory', {}, jar));
    connect.searchParams.set('code', login.searchParams.get('code'));
    const back = await visit(jar, connect.href);
    const connectCode = new URL(back.headers.get('location')).searchParams.get('connect_code');
    world.secrets.add(connectCode);
    const done = await world.api.complete(user.me_token, started, connectCode);
    assertProblem(done, 400);
    assert.deepEqual(await world.accounts(user), []);
    assert.equal(jar.cookie(world.vault, 'session'), undefined);
  });

  test('cross-flow: a sign-in connects no account', async () => {
    const vaults = party.objects('VAULT');
    const tokens = await signIn('doro');
    assert.deepEqual(party.objects('VAULT'), vaults);
    assert.deepEqual(await world.accounts(await party.meToken(tokens)), []);
    assertRefused(await world.api.exchange(party.service(), tokens.access_token, 'demo'), 400, 'invalid_target');
  });

  test('cross-flow: the code of a connect signs nobody in', async () => {
    const user = await party.meToken(await signIn('dirk'));
    const started = await world.startConnect(user, { redirectUri: APP });
    const jar = new CookieJar();
    const stop = (url) => url.startsWith(`${world.vault}/callback/`);
    const connect = new URL((await browse(world.api.connectLink(started), { login: 'dirk', jar, stop })).url);
    const login = new URL(await untilCallback('mallory3', {}, jar));
    const before = kept();
    login.searchParams.set('code', connect.searchParams.get('code'));
    const back = await visit(jar, login.href);
    assert.notEqual(back.status, 303, back.headers.get('location'));
    assert.equal(jar.cookie(world.vault, 'session'), undefined);
    assert.deepEqual(kept(), before);
  });

  test('cross-flow: the handles of a sign-in complete no connect, and those of a connect are no code', async () => {
    const user = await party.meToken(await signIn('dina'));
    const started = await world.startConnect(user, { redirectUri: APP });
    const login = new URL(await untilCallback('dina', {}, new CookieJar()));
    const { code: vaultCode } = await party.begin('dina', demo);
    for (const handle of [login.searchParams.get('state'), login.searchParams.get('code'), vaultCode]) {
      assertProblem(await world.api.complete(user.me_token, started, handle), 400);
      const state = { body: { ...started.body, auth_session: handle }, verifier: started.verifier, redirectUri: APP };
      assertProblem(await world.api.complete(user.me_token, state, handle), 400);
    }
    assert.deepEqual(await world.accounts(user), []);
    for (const handle of [started.body.auth_session, started.body.connect_params.ticket, login.searchParams.get('state')]) {
      assertRefused(await party.redeem(handle, random()), 400, 'invalid_grant');
      assertRefused(await party.refresh(handle), 400, 'invalid_grant');
    }
    const ticket = await visit(new CookieJar(), `${world.vault}/connected-accounts/connect?ticket=${login.searchParams.get('state')}`);
    assert.equal(ticket.status, 400);
    assert.equal(ticket.headers.get('location'), null);
  });

  test('code injection: a victim’s code is of no use in the attacker’s own flow', async () => {
    const { code, verifier } = await party.begin('emil', demo);
    const before = party.objects('REFRESH_FAMILY');
    // The attacker's application sends the verifier of the attacker's own request.
    assertRefused(await party.redeem(code, random()), 400, 'invalid_grant');
    assertRefused(await party.redeem(code, verifier), 400, 'invalid_grant');
    assert.deepEqual(party.objects('REFRESH_FAMILY'), before);
  });

  test('code injection: a code without a challenge is good only with its redirect URI', async () => {
    const jar = new CookieJar();
    const { form } = await consentPage(jar, 'erna');
    const allowed = await visit(jar, form.action, { form: form.fields, origin: world.vault });
    const code = new URL(allowed.headers.get('location')).searchParams.get('code');
    const redeemed = await party.token({ grant_type: 'authorization_code', ...party.partner(), code });
    assertRefused(redeemed, 400, 'invalid_grant');
  });

  test('replayed code: it ends what it gave', async () => {
    const tokens = await signIn('fred');
    const next = (await party.refresh(tokens.refresh_token)).body;
    assertRefused(await party.redeem(tokens.code, tokens.verifier), 400, 'invalid_grant');
    await party.assertEnded(next.refresh_token);
    await party.assertEnded(tokens.refresh_token);
    await world.advance(REMEMBERED);
    for (const token of [tokens.access_token, next.access_token]) await party.assertUseless(token);
    assertRefused(await party.redeem(tokens.code, tokens.verifier), 400, 'invalid_grant');
  });

  test('replayed code: of twenty redemptions at once at most one gives tokens, and its refresh token is ended', async () => {
    const { code, verifier } = await party.begin('finn', demo);
    const answers = await Promise.all(Array.from({ length: 20 }, () => party.redeem(code, verifier)));
    const good = answers.filter((one) => one.status === 200);
    assert.ok(good.length <= 1, `${good.length} redemptions succeeded`);
    for (const one of answers.filter((each) => each.status !== 200)) assertRefused(one, 400, 'invalid_grant');
    await world.advance(REMEMBERED);
    for (const { body } of good) {
      await party.assertEnded(body.refresh_token);
      await party.assertUseless(body.access_token);
    }
  });

  test('PKCE downgrade: a public client cannot leave out the challenge, nor use the method plain', async () => {
    const before = party.objects('AUTHORIZATION');
    for (const change of [
      { code_challenge: null, code_challenge_method: null },
      { code_challenge: '', code_challenge_method: '' },
      { code_challenge_method: 'plain' },
      { code_challenge_method: 's256' },
      { code_challenge_method: null },
      { code_challenge: null },
      { code_challenge: 'x' },
      { code_challenge: `${s256('v')}=` },
    ]) {
      const page = await visit(new CookieJar(), party.request('v', { ...demo, ...change }).href);
      const back = new URL(page.headers.get('location'));
      assert.equal(`${back.origin}${back.pathname}`, CALLBACK);
      assert.equal(back.searchParams.get('error'), 'invalid_request', JSON.stringify(change));
      const form = Object.fromEntries(party.request('v', { ...demo, ...change }).searchParams);
      assertRefused(await world.api.call('POST', '/oauth/par', { form }), 400, 'invalid_request');
    }
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
  });

  test('PKCE downgrade: a code with a challenge needs the verifier, and one without takes none', async () => {
    for (const change of [{ code_verifier: '' }, { code_verifier: s256('v') }]) {
      const { code, verifier } = await party.begin('gerd', demo);
      assertRefused(await party.redeem(code, verifier, change), 400, 'invalid_grant');
    }
    const jar = new CookieJar();
    const { form } = await consentPage(jar, 'gesa');
    const allowed = await visit(jar, form.action, { form: form.fields, origin: world.vault });
    const code = new URL(allowed.headers.get('location')).searchParams.get('code');
    const more = { grant_type: 'authorization_code', ...party.partner(), code, redirect_uri: PARTNER_CALLBACK };
    assertRefused(await party.token({ ...more, code_verifier: random() }), 400, 'invalid_grant');
    assertRefused(await party.token(more), 400, 'invalid_grant');
  });

  test('redirect URI look-alikes: none gets a redirect, an error or a pushed request', async () => {
    const { jar } = await signIn('hans');
    const before = party.objects('AUTHORIZATION');
    for (const uri of [
      'http://127.0.0.1:3000/callback/', 'http://127.0.0.1:3000/callback/../evil', 'http://127.0.0.1:3000/Callback',
      'http://127.0.0.1:3000/callback?x=1', 'http://127.0.0.1:3000/callback#x', 'http://127.0.0.1:3000/callback%00',
      'http://127.0.0.1:3000/callback%2f', 'http://127.0.0.1:3000/./callback', 'http://127.0.0.1:3000//callback',
      'http://127.0.0.1:3001/callback', 'http://localhost:3000/callback', 'https://127.0.0.1:3000/callback',
      'HTTP://127.0.0.1:3000/callback', 'http://127.1:3000/callback', 'http://127.0.0.1:3000@evil.example/callback',
      'http://evil.example@127.0.0.1:3000/callback', 'http://127.0.0.1:3000\\@evil.example/callback',
      'http://127.0.0.1:3000.evil.example/callback', ' http://127.0.0.1:3000/callback', 'http://127.0.0.1:3000/callback ',
      'http://127.0.0.1:3000/callback\r\nx: y', 'http://１２７.0.0.1:3000/callback', '//127.0.0.1:3000/callback', '/callback',
      'javascript:alert(1)', 'data:text/html,x', 'null', PARTNER_CALLBACK, BYE, world.page,
    ]) {
      for (const prompt of [null, 'none']) {
        const page = await visit(jar, party.request(random(), { ...demo, prompt, redirect_uri: uri }).href);
        assert.equal(page.status, 400, uri);
        assert.equal(page.headers.get('location'), null, uri);
      }
      const form = Object.fromEntries(party.request('v', { ...demo, redirect_uri: uri }).searchParams);
      assertRefused(await world.api.call('POST', '/oauth/par', { form }), 400, 'invalid_request');
    }
    assert.equal((await visit(jar, party.request(random(), { ...demo, redirect_uri: null }).href)).status, 400);
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
  });

  test('redirect URI look-alikes: a code is not redeemed with another redirect URI than its own', async () => {
    for (const uri of [APP, `${CALLBACK}/`, 'http://127.0.0.1:3000/Callback', PARTNER_CALLBACK]) {
      const { code, verifier } = await party.begin('heidi', demo);
      assertRefused(await party.redeem(code, verifier, { redirect_uri: uri }), 400, 'invalid_grant');
      assertRefused(await party.redeem(code, verifier), 400, 'invalid_grant');
    }
  });

  test('parameter pollution: a parameter that stands twice is refused, and nobody is redirected', async () => {
    const { jar } = await signIn('ida');
    const before = party.objects('AUTHORIZATION');
    for (const [name, value] of [
      ['redirect_uri', 'https://evil.example/'], ['client_id', 'partner'], ['scope', 'openid'], ['state', 'x'],
      ['response_mode', 'web_message'], ['code_challenge', s256('x')], ['prompt', 'none'], ['audience', 'x'], ['anything', '1'],
    ]) {
      for (const order of ['before', 'after']) {
        const url = party.request(random(), { ...demo, anything: '0', prompt: 'login', response_mode: 'query', audience: `${world.vault}/` });
        const added = new URLSearchParams([[name, value]]).toString();
        const own = url.search.slice(1);
        url.search = order === 'before' ? `${added}&${own}` : `${own}&${added}`;
        const page = await visit(jar, url.href);
        assert.equal(page.status, 400, url.search);
        assert.equal(page.headers.get('location'), null);
      }
    }
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
  });

  test('e-mail match: another provider’s user with the same e-mail is another user', async () => {
    const victim = await signIn('jana');
    const own = await party.meToken(victim);
    await world.connect(own, 'jana');
    told = { sub: 'stranger', email: 'jana@example.com', email_verified: true, name: 'Jana' };
    const stranger = await party.signIn('nobody', { connection: 'other' });
    assert.equal(claimsOf(stranger.id_token).sub, 'other|stranger');
    const theirs = await party.meToken(stranger);
    assert.deepEqual(await world.accounts(theirs), []);
    assertRefused(await world.api.exchange(party.service(), stranger.access_token, 'demo'), 400, 'invalid_target');
    assert.equal((await world.accounts(own)).length, 1);
  });

  test('e-mail match: another issuer’s user with the same sub and e-mail is another user', async () => {
    const own = await party.meToken(await signIn('jill'));
    await world.connect(own, 'jill');
    const other = await world.signIn('demo|jill');
    assert.equal(other.sub, 'demo|jill');
    assert.deepEqual(await world.accounts(other), []);
    assertRefused(await world.api.exchange(world.clients.backend, other.access_token, 'demo'), 400, 'invalid_target');
  });

  test('confused user ids: an id that spells another connection’s user is another user', async () => {
    await signIn('jens');
    const subjects = [];
    for (const sub of ['jens', 'demo|jens', '|jens', 'demo%7Cjens', 'Jens', 'jens~abcdefgh', '../jens', 5]) {
      told = { sub, email: 'jens@example.com', name: 'Jens' };
      subjects.push(claimsOf((await party.signIn('x', { connection: 'other' })).id_token).sub);
    }
    assert.equal(new Set(subjects).size, 8, subjects.join(' '));
    for (const one of subjects) assert.ok(one.startsWith('other|'), one);
  });

  test('confused user ids: each sub is visible ASCII of at most 255 characters, whatever the id is', async () => {
    const ids = ['jens\u0000', 'ｊens', 'je ns', 'jens\r\nx: y', '\u202Ejens', 'a'.repeat(300), `${'a'.repeat(299)}b`];
    const subjects = [];
    for (const sub of ids) {
      told = { sub, name: 'Jens' };
      subjects.push(claimsOf((await party.signIn('x', { connection: 'other' })).id_token).sub);
    }
    for (const one of subjects) assert.match(one, /^other\|[!-~]{1,249}$/);
    assert.equal(new Set(subjects).size, ids.length);
    const before = kept();
    for (const sub of ['', null, ['jens'], { id: 'jens' }]) {
      told = { sub, email: 'jens@example.com', name: 'Jens' };
      const jar = new CookieJar();
      const { page } = await browse(party.request(random(), { connection: 'other' }), { login: 'x', jar, stop: startsAt(CALLBACK) });
      assert.notEqual(page, undefined, JSON.stringify(sub));
      assert.equal(jar.cookie(world.vault, 'session'), undefined);
    }
    assert.deepEqual(kept(), before);
  });

  test('race: ten first sign-ins at once are of one user', async () => {
    const begun = await Promise.all(Array.from({ length: 10 }, async () => {
      const jar = new CookieJar();
      const verifier = random();
      const stop = (url) => url.startsWith(`${world.vault}/callback/`);
      const { url } = await browse(party.request(verifier, demo), { login: 'jule', jar, stop });
      return { jar, verifier, url };
    }));
    const [users, identities] = kept();
    const subjects = await Promise.all(begun.map(async ({ jar, verifier, url }) => {
      const back = await visit(jar, url);
      const answered = await party.redeem(new URL(back.headers.get('location')).searchParams.get('code'), verifier);
      return claimsOf(answered.body.id_token).sub;
    }));
    assert.deepEqual(subjects, Array(10).fill('demo|jule'));
    assert.deepEqual(kept().slice(0, 2), [users + 1, identities + 1]);
  });

  test('a forged authorization id makes no object', async () => {
    const jar = new CookieJar();
    const page = await visit(jar, party.request(random()).href);
    const [form] = formsOf(page.text);
    const before = party.objects('AUTHORIZATION');
    const good = form.fields.authorization;
    for (const authorization of [random(), `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`, good.slice(1), `${good}A`, '', '../x', 'x'.repeat(5000)]) {
      const answered = await visit(jar, new URL(form.action, world.vault).href, { form: { ...form.fields, authorization }, origin: world.vault });
      assert.equal(answered.status, 400, authorization);
      const pushed = await visit(jar, `${world.vault}/authorize?client_id=app&request_uri=${encodeURIComponent(`urn:ietf:params:oauth:request_uri:${authorization}.${random()}`)}`);
      assert.equal(pushed.status, 400, authorization);
      assertRefused(await party.redeem(`${authorization}.${random()}`, random()), 400, 'invalid_grant');
    }
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
    assertRefused(await party.redeem(`${good}.${random()}`, random()), 400, 'invalid_grant');
  });

  test('a form of another origin, or of another browser, signs nobody in', async () => {
    const jar = new CookieJar();
    const page = await visit(jar, party.request(random()).href);
    const [form] = formsOf(page.text);
    const url = new URL(form.action, world.vault).href;
    for (const origin of [undefined, 'null', 'https://evil.example', `${world.vault}.evil.example`, world.vault.replace('127.0.0.1', 'localhost'), world.issuer]) {
      const answered = await visit(jar, url, { form: form.fields, origin });
      assert.equal(answered.status, 400, origin);
      assert.equal(answered.headers.get('location'), null);
    }
    const answered = await visit(new CookieJar(), url, { form: form.fields, origin: world.vault });
    assert.equal(answered.status, 400);
    for (const change of [{ connection: 'nobody' }, { connection: '' }, { action: 'allow' }, { action: 'deny' }]) {
      const refused = await visit(jar, url, { form: { ...form.fields, ...change }, origin: world.vault });
      assert.equal(refused.status, 400, JSON.stringify(change));
    }
    assert.equal((await visit(jar, url, { form: form.fields, origin: world.vault })).status, 303);
  });

  /** The page on which a user consents to the client `partner`: its form that allows. */
  async function consentPage(jar, login, more = {}) {
    const url = new URL(`${world.vault}/authorize`);
    url.search = new URLSearchParams({
      ...demo, client_id: 'partner', redirect_uri: PARTNER_CALLBACK, response_type: 'code', scope: 'openid offline_access', state: 's', ...more,
    }).toString();
    const { page } = await browse(url, { login, jar, stop: startsAt(PARTNER_CALLBACK) });
    assert.equal(page?.status, 200);
    const [form] = formsOf(page.text).filter(({ fields }) => fields.action === 'allow');
    return { page, form: { ...form, action: new URL(form.action, world.vault).href } };
  }

  test('consent bypass: somebody else’s application gets no code without the user’s own click', async () => {
    const jar = new CookieJar();
    await signIn('karl', {}, jar);
    const url = new URL(`${world.vault}/authorize`);
    const parameters = { ...demo, client_id: 'partner', redirect_uri: PARTNER_CALLBACK, response_type: 'code', scope: 'openid', state: 's' };
    for (const change of [{}, { prompt: 'login' }, { prompt: 'login consent' }, { max_age: '0' }, { prompt: 'select_account' }]) {
      url.search = new URLSearchParams({ ...parameters, ...change }).toString();
      const end = await browse(url, { login: 'karl', jar, stop: startsAt(PARTNER_CALLBACK) });
      assert.equal(end.page?.status, 200, end.url);
    }
    url.search = new URLSearchParams({ ...parameters, prompt: 'none' }).toString();
    const silent = await visit(jar, url.href);
    assert.equal(new URL(silent.headers.get('location')).searchParams.get('error'), 'consent_required');
    const { form } = await consentPage(jar, 'karl');
    for (const origin of [undefined, 'null', 'https://evil.example']) {
      assert.equal((await visit(jar, form.action, { form: form.fields, origin })).status, 400);
    }
    const other = new CookieJar();
    await signIn('mallory', {}, other);
    assert.equal((await visit(other, form.action, { form: form.fields, origin: world.vault })).status, 400);
    const denied = await visit(jar, form.action, { form: { ...form.fields, action: 'deny' }, origin: world.vault });
    assert.equal(new URL(denied.headers.get('location')).searchParams.get('error'), 'access_denied');
    assert.equal((await visit(jar, form.action, { form: form.fields, origin: world.vault })).status, 400);
  });

  test('race: of ten consents at once one gives a code, and of ten callbacks at once one signs in', async () => {
    const jar = new CookieJar();
    const { form } = await consentPage(jar, 'leo');
    const allowed = await Promise.all(Array.from({ length: 10 }, () => visit(jar, form.action, { form: form.fields, origin: world.vault })));
    assert.deepEqual(allowed.map((one) => one.status).sort(), [303, ...Array(9).fill(400)]);
    const other = new CookieJar();
    const callback = await untilCallback('leo', {}, other);
    const redeemed = world.tokenRequests('authorization_code');
    const returned = await Promise.all(Array.from({ length: 10 }, () => visit(other, callback)));
    assert.deepEqual(returned.map((one) => one.status).sort(), [303, ...Array(9).fill(400)]);
    assert.equal(world.tokenRequests('authorization_code'), redeemed + 1);
  });

  test('client confusion: a code is not redeemed by another client, and then by nobody', async () => {
    const { code: own, verifier } = await party.begin('lars', demo);
    const theirs = { grant_type: 'authorization_code', code: own, code_verifier: verifier, redirect_uri: CALLBACK };
    assertRefused(await party.token({ ...theirs, ...party.service() }), 400, 'unauthorized_client');
    assertRefused(await party.token({ ...theirs, ...party.partner() }), 400, 'invalid_grant');
    assertRefused(await party.redeem(own, verifier), 400, 'invalid_grant');
    const jar = new CookieJar();
    const { form } = await consentPage(jar, 'lea');
    const allowed = await visit(jar, form.action, { form: form.fields, origin: world.vault });
    const code = new URL(allowed.headers.get('location')).searchParams.get('code');
    assertRefused(await party.token({ grant_type: 'authorization_code', client_id: 'partner', code, redirect_uri: PARTNER_CALLBACK }), 401, 'invalid_client');
  });

  test('a pushed request is good once, for its own client alone, and its address is nothing else', async () => {
    const push = async () => {
      const form = Object.fromEntries(party.request(random(), demo).searchParams);
      const pushed = await world.api.call('POST', '/oauth/par', { form });
      assert.equal(pushed.status, 201, show(pushed));
      return pushed.body.request_uri;
    };
    const open = (parameters) => visit(new CookieJar(), `${world.vault}/authorize?${new URLSearchParams(parameters)}`);
    const uri = await push();
    const handle = uri.slice('urn:ietf:params:oauth:request_uri:'.length);
    for (const client of ['partner', 'service', 'nobody', '', 'App']) {
      assert.equal((await open({ client_id: client, request_uri: uri })).status, 400, client);
    }
    assert.equal((await open({ request_uri: uri })).status, 400);
    assert.equal((await open({ client_id: 'app', request_uri: `${uri}x` })).status, 400);
    assertRefused(await party.redeem(handle, random()), 400, 'invalid_grant');
    assertRefused(await party.refresh(handle), 400, 'invalid_grant');
    const many = await Promise.all(Array.from({ length: 10 }, () => open({ client_id: 'app', request_uri: uri })));
    assert.equal(many.filter((one) => one.status === 303).length, 1);
    assert.equal(many.filter((one) => one.status === 400).length, 9);
    // What stands beside it counts for nothing (RFC 9126 §4).
    const beside = await visit(new CookieJar(), `${world.vault}/authorize?${new URLSearchParams({ client_id: 'app', request_uri: await push(), redirect_uri: 'https://evil.example/', response_mode: 'form_post', prompt: 'none' })}`);
    assert.equal(beside.status, 303);
    assert.ok(beside.headers.get('location').startsWith(world.issuer), beside.headers.get('location'));
    // A pushed request pushes no other, and no other address is read.
    const form = { ...Object.fromEntries(party.request(random(), demo).searchParams), request_uri: await push() };
    assertRefused(await world.api.call('POST', '/oauth/par', { form }), 400, 'request_uri_not_supported');
    const requests = hostile.requests.length;
    const fetched = await visit(new CookieJar(), party.request(random(), { ...demo, request_uri: `${hostile.origin}/request.jwt` }).href);
    assert.equal(new URL(fetched.headers.get('location')).searchParams.get('error'), 'request_uri_not_supported');
    assert.equal(hostile.requests.length, requests);
  });

  test('a pushed request expires', async () => {
    const form = Object.fromEntries(party.request(random(), demo).searchParams);
    const { body } = await world.api.call('POST', '/oauth/par', { form });
    await world.advance(body.expires_in);
    const page = await visit(new CookieJar(), `${world.vault}/authorize?${new URLSearchParams({ client_id: 'app', request_uri: body.request_uri })}`);
    assert.equal(page.status, 400);
  });

  test('re-pointed connection: the users of the new provider are not those of the old one', async () => {
    const victim = await signIn('mona');
    const own = await party.meToken(victim);
    await world.connect(own, 'mona');
    const { CONNECTIONS } = world.bindings.json;
    const demoWas = CONNECTIONS.demo;
    CONNECTIONS.demo = { ...CONNECTIONS.other, client_authentication: 'client_secret_basic' };
    told = { sub: 'mona', email: 'mona@example.com', name: 'Mona' };
    await world.stopVault();
    await world.startVault();
    try {
      const stranger = await signIn('nobody');
      const { sub } = claimsOf(stranger.id_token);
      assert.notEqual(sub, 'demo|mona');
      assert.deepEqual(await world.accounts(await party.meToken(stranger)), []);
      const exchanged = await world.api.exchange(party.service(), stranger.access_token, 'demo');
      assertRefused(exchanged, 400, 'invalid_target');
    } finally {
      CONNECTIONS.demo = demoWas;
      await world.stopVault();
      await world.startVault();
    }
    assert.equal(claimsOf((await signIn('mona')).id_token).sub, 'demo|mona');
  });

  test('a browser that was sent to a connection which was taken away meanwhile is not signed in', async () => {
    const jar = new CookieJar();
    const callback = await untilCallback('nora', {}, jar);
    const before = kept();
    const { SIGN_IN } = world.bindings.json;
    const { connections } = SIGN_IN;
    SIGN_IN.connections = ['other'];
    await world.stopVault();
    await world.startVault();
    try {
      const page = await visit(jar, callback);
      assert.equal(page.status, 400);
      assert.equal(jar.cookie(world.vault, 'session'), undefined);
      assert.deepEqual(kept(), before);
    } finally {
      SIGN_IN.connections = connections;
      await world.stopVault();
      await world.startVault();
    }
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
