// SPDX-License-Identifier: Apache-2.0
// Attacks on where the vault sends a browser, who may read its answers, and what stands in them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { APP_ORIGIN, assertRefused, describe as show } from './harness.mjs';
import { BYE, CALLBACK, PARTNER_CALLBACK, RelyingParty, formsOf, visit } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

const SCHEME = 'com.example.phone:/callback';

/** Strings that resemble the application's origin, which is registered. */
const LOOK_ALIKES = [
  'http://127.0.0.1:3001', 'https://127.0.0.1:3000', 'http://127.0.0.1', 'http://localhost:3000', 'http://127.0.0.1:3000/',
  'HTTP://127.0.0.1:3000', 'http://127.0.0.1:3000.evil.example', 'http://127.0.0.1:3000@evil.example', 'http://evil.example/?http://127.0.0.1:3000',
  'http://127.1:3000', 'http://2130706433:3000', 'null', '*', 'file://', `${APP_ORIGIN}, https://evil.example`, `https://evil.example ${APP_ORIGIN}`,
];

describe('attacks on the vault’s answers', { timeout: 240_000 }, () => {
  let party;
  let world;

  before(async () => {
    party = await RelyingParty.start({
      upstream: [{ connection: 'second', client_id: 'vault-second', client_secret: random() }],
      connections: ({ issuer }) => ({
        second: { kind: 'oidc', issuer, client_id: 'vault-second', client_authentication: 'client_secret_basic' },
      }),
    }, {
      connections: ['demo', 'second'],
      clients: {
        phone: {
          authentication: 'none',
          kind: 'native',
          grants: ['authorization_code', 'refresh_token'],
          redirect_uris: [SCHEME, 'http://127.0.0.1/callback'],
          post_logout_redirect_uris: [`${BYE}/phone`],
          connections: ['demo'],
        },
        // The same owner's, with addresses of its own.
        other: {
          authentication: 'none',
          kind: 'spa',
          grants: ['authorization_code'],
          redirect_uris: [`${CALLBACK}/other`],
          post_logout_redirect_uris: [`${BYE}/other`],
        },
      },
    });
    world = party.world;
  });
  after(() => world?.close());

  const signIn = (login, more = {}, jar = new CookieJar()) => party.signIn(login, { connection: 'demo', ...more }, jar);
  const logout = (jar, parameters, path = '/oidc/logout') => visit(jar, `${world.vault}${path}?${new URLSearchParams(parameters)}`);
  const hasSession = async (jar) => (await party.silently(jar)).has('code');

  /** Asserts that a page asks before a sign-out, and that the session and its tokens live. */
  async function assertAsked(page, jar, tokens, what) {
    assert.equal(page.status, 200, what);
    assert.equal(formsOf(page.text).length, 1, `${what} ${page.text}`);
    assert.deepEqual(page.headers.getSetCookie(), [], what);
    assert.ok(await hasSession(jar), what);
    assert.equal((await party.userinfo(tokens.access_token)).status, 200, what);
  }

  test('open redirect by logout: it returns to the registered address of the named client alone', async () => {
    const { id_token: hint } = await signIn('anna');
    for (const uri of [
      `${BYE}/`, `${BYE}?x=1`, `${BYE}#x`, `${BYE}/../evil`, `${BYE}%2f`, BYE.toUpperCase(), BYE.replace('127.0.0.1', 'localhost'), BYE.replace('3000', '3001'),
      BYE.replace('http:', 'https:'), BYE.replace('http:', ''), '/bye', '//evil.example', 'https://evil.example/', `https://evil.example/?${BYE}`,
      `${APP_ORIGIN}@evil.example/bye`, `${BYE}\r\nlocation: https://evil.example/`, `${BYE}\u0000`, ` ${BYE}`, `${BYE} `, 'javascript:alert(1)', 'data:text/html,x',
      CALLBACK, `${BYE}/phone`, `${BYE}/other`,
    ]) {
      for (const [path, parameters] of /** @type {[string, Record<string, string>][]} */ ([
        ['/oidc/logout', { id_token_hint: hint, post_logout_redirect_uri: uri }],
        ['/oidc/logout', { client_id: 'app', post_logout_redirect_uri: uri, state: uri }],
        ['/v2/logout', { client_id: 'app', returnTo: uri }],
        // Without a client no address is known.
        ['/oidc/logout', { post_logout_redirect_uri: BYE }],
        ['/v2/logout', { returnTo: BYE }],
      ])) {
        const page = await logout(new CookieJar(), parameters, path);
        assert.equal(page.status, 200, `${path} ${uri}`);
        assert.equal(page.headers.get('location'), null, `${path} ${uri}`);
        assert.ok(!page.headers.get('refresh') && !/http-equiv/i.test(page.text));
      }
    }
    const state = 'a&b=c#d\r\nx: y%00é';
    const good = await logout(new CookieJar(), { client_id: 'app', post_logout_redirect_uri: BYE, state });
    const back = new URL(good.headers.get('location'));
    assert.equal(`${back.origin}${back.pathname}`, BYE);
    assert.deepEqual([...back.searchParams], [['state', state]]);
  });

  test('open redirect by logout: the form of the question goes nowhere else either', async () => {
    const { jar } = await signIn('alma');
    const page = await logout(jar, { client_id: 'app', post_logout_redirect_uri: 'https://evil.example/', state: 's' });
    const [form] = formsOf(page.text);
    const fields = { ...form.fields, post_logout_redirect_uri: 'https://evil.example/' };
    const done = await visit(jar, new URL(form.action, world.vault).href, { form: fields, origin: world.vault });
    assert.equal(done.status, 200);
    assert.equal(done.headers.get('location'), null);
    assert.equal(await hasSession(jar), false);
  });

  test('logout by a stranger: without an ID token of this very session the user is asked', async () => {
    const jar = new CookieJar();
    const tokens = await signIn('bert', {}, jar);
    const mallory = await signIn('mallory');
    const again = await signIn('bert');
    const [header, payload, signature] = tokens.id_token.split('.');
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const hint of [
      mallory.id_token, again.id_token, tokens.access_token, tokens.refresh_token,
      `${encode({ alg: 'none' })}.${payload}.`, `${header}.${payload}.`, `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${mallory.id_token.split('.')[0]}.${payload}.${mallory.id_token.split('.')[2]}`, 'x', '', 'x'.repeat(10_000),
    ]) {
      const page = await logout(jar, { id_token_hint: hint, client_id: 'app', post_logout_redirect_uri: BYE });
      await assertAsked(page, jar, tokens, hint.slice(0, 200));
    }
    // The hint is of another client than the named one.
    for (const client of ['other', 'phone', 'nobody']) {
      const page = await logout(jar, { id_token_hint: tokens.id_token, client_id: client, post_logout_redirect_uri: BYE });
      await assertAsked(page, jar, tokens, client);
    }
    await assertAsked(await logout(jar, { logout_hint: tokens.id_token, client_id: 'app' }), jar, tokens, 'logout_hint');
    // A client that this session did not sign in to.
    for (const client of ['other', 'phone', 'partner', 'nobody', '']) {
      await assertAsked(await logout(jar, { client_id: client, returnTo: `${BYE}/${client}` }, '/v2/logout'), jar, tokens, client);
    }
    assert.equal((await party.refresh(tokens.refresh_token)).status, 200);
  });

  test('logout by a stranger: the answer to the question is taken from the vault’s own page alone', async () => {
    const jar = new CookieJar();
    const tokens = await signIn('bea', {}, jar);
    const page = await logout(jar, { client_id: 'app' });
    const [form] = formsOf(page.text);
    const url = new URL(form.action, world.vault).href;
    for (const origin of [undefined, 'null', 'https://evil.example', APP_ORIGIN, world.vault.replace('127.0.0.1', 'localhost')]) {
      await assertAsked(await visit(jar, url, { form: form.fields, origin }), jar, tokens, origin);
    }
    for (const confirm of ['', 'x', (await signIn('mallory')).jar.cookie(world.vault, 'session').split('.')[0]]) {
      await assertAsked(await visit(jar, url, { form: { ...form.fields, confirm }, origin: world.vault }), jar, tokens, confirm);
    }
    // As a link it is no answer.
    await assertAsked(await visit(jar, `${url}?${new URLSearchParams(form.fields)}`, { origin: world.vault }), jar, tokens, 'link');
  });

  test('logout by a stranger: a request to which the browser adds no cookie deletes none', async () => {
    // A browser keeps a cookie with SameSite=Lax back when a page of another site posts a form.
    const { id_token: hint } = await signIn('bodo');
    for (const path of ['/oidc/logout', '/v2/logout']) {
      for (const form of [undefined, { client_id: 'app' }, { id_token_hint: hint }]) {
        if (form && path === '/v2/logout') continue;
        const page = await visit(new CookieJar(), `${world.vault}${path}`, { form, origin: 'https://evil.example' });
        assert.equal(page.status, 200);
        assert.deepEqual(page.headers.getSetCookie(), []);
      }
    }
  });

  test('prompt=none: an origin that is not registered learns nothing of a session', async () => {
    const { jar } = await signIn('carl');
    const told = async (browser, change) => {
      const { status, headers, text } = await visit(browser, party.request('v', { prompt: 'none', ...change }).href);
      return [status, text, ...[...headers].filter(([name]) => name !== 'date').map((pair) => pair.join(': '))];
    };
    for (const change of [
      { redirect_uri: 'https://evil.example/' }, { client_id: 'nobody' }, { redirect_uri: 'https://evil.example/', response_mode: 'web_message' },
      { client_id: 'other', redirect_uri: `${CALLBACK}/other`, response_mode: 'web_message' },
      { client_id: 'phone', redirect_uri: SCHEME, response_mode: 'web_message' },
      { client_id: 'partner', redirect_uri: PARTNER_CALLBACK, response_mode: 'web_message', code_challenge: null, code_challenge_method: null },
      { audience: 'https://evil.example/' }, { response_type: 'token' }, { code_challenge: null },
    ]) {
      assert.deepEqual(await told(jar, change), await told(new CookieJar(), change), JSON.stringify(change));
    }
    // Whether there is a session is told the application's own address, and no page reads it on the way.
    for (const browser of [jar, new CookieJar()]) {
      const page = await visit(browser, party.request('v', { prompt: 'none' }).href, { origin: 'https://evil.example' });
      assert.ok(page.headers.get('location').startsWith(`${CALLBACK}?`));
      assert.equal(page.headers.get('access-control-allow-origin'), null);
    }
  });

  test('web_message to another origin: the response names the registered one, or there is none', async () => {
    const { jar } = await signIn('dora');
    const page = await visit(jar, party.request(random(), { response_mode: 'web_message' }).href, { origin: 'https://evil.example' });
    assert.match(page.headers.get('content-security-policy'), new RegExp(`frame-ancestors ${APP_ORIGIN}(;|$)`));
    assert.ok(page.text.includes(JSON.stringify(APP_ORIGIN)));
    assert.ok(!page.text.includes("'*'") && !page.text.includes('"*"'));
    for (const [client, uri] of [['other', `${CALLBACK}/other`], ['phone', SCHEME], ['phone', 'http://127.0.0.1:51000/callback']]) {
      const answer = await visit(jar, party.request(random(), { client_id: client, redirect_uri: uri, response_mode: 'web_message' }).href);
      assert.equal(answer.status, 303);
      const location = answer.headers.get('location');
      assert.ok(location.startsWith(`${uri}?error=invalid_request&`), location);
      assert.ok(!location.includes('code='));
    }
  });

  test('custom schemes: a form posts to the registered address alone, and no scheme runs a script', async () => {
    const { jar } = await signIn('emil');
    const page = await visit(jar, party.request(random(), { client_id: 'phone', redirect_uri: SCHEME, response_mode: 'form_post' }).href);
    assert.deepEqual(formsOf(page.text).map((form) => form.action), [SCHEME]);
    for (const uri of ['javascript:alert(1)//.', 'com.example.phone:/callback2', 'com.example.phone://callback', 'COM.example.phone:/callback', 'com.example.phone:/callback?x', 'com.evil.phone:/callback', 'http://127.0.0.1:51000@evil.example/callback', 'http://127.0.0.1:0051/callback', 'http://127.0.0.1:80/callback', 'http://127.0.0.2:51000/callback', 'http://localhost:51000/callback', 'http://[::1]:51000/callback', 'http://127.0.0.1:51000/callback/', 'https://127.0.0.1:51000/callback', 'http://127.0.0.1:99999/callback', 'http://x@127.0.0.1:51000/callback']) {
      for (const mode of ['query', 'form_post', 'web_message']) {
        const refused = await visit(jar, party.request(random(), { client_id: 'phone', redirect_uri: uri, response_mode: mode }).href);
        assert.equal(refused.status, 400, uri);
        assert.equal(refused.headers.get('location'), null);
        assert.deepEqual(formsOf(refused.text), []);
      }
    }
    for (const mode of ['fragment', 'jwt', 'query.jwt', 'Query', 'okta_post_message', '']) {
      const answer = await visit(jar, party.request(random(), { response_mode: mode, prompt: 'none' }).href);
      const location = new URL(answer.headers.get('location'));
      assert.equal(location.hash, '');
      assert.equal(location.searchParams.get('error'), mode ? 'invalid_request' : null, mode);
    }
    for (const type of ['token', 'id_token', 'code token', 'code id_token', 'none', 'CODE', '']) {
      const answer = await visit(jar, party.request(random(), { response_type: type }).href);
      assert.equal(new URL(answer.headers.get('location')).searchParams.get('error'), 'unsupported_response_type', type);
    }
  });

  test('redirect URI look-alikes: a connect returns to a registered address alone', async () => {
    const at = 'http://127.0.0.1:51000/callback';
    const verifier = random();
    const phone = { client_id: 'phone', redirect_uri: at };
    const end = await browse(party.request(verifier, { ...phone, connection: 'demo', audience: `${world.vault}/me/`, scope: 'create:me:connected_accounts read:me:connected_accounts' }), { login: 'erik', stop: startsAt(at) });
    const { body: tokens } = await party.redeem(new URL(end.url).searchParams.get('code'), verifier, phone);
    const connect = (redirectUri) => world.api.connect(tokens.access_token, { connection: 'demo', redirectUri });
    for (const uri of [
      'http://127.0.0.1:51000/callback/', 'http://127.0.0.1:51000/callback?x', 'http://127.0.0.1:51000/callback#x', 'http://127.0.0.1:51000@evil.example/callback',
      'http://127.0.0.1:80/callback', 'http://127.0.0.1:0051/callback', 'http://127.0.0.1:99999/callback', 'http://127.0.0.2:51000/callback',
      'http://127.1:51000/callback', 'http://localhost:51000/callback', 'http://[::1]:51000/callback', 'https://127.0.0.1:51000/callback', 'HTTP://127.0.0.1:51000/callback',
      'http://127.0.0.1:51000\\@evil.example/callback', 'com.example.phone:/callback2', 'com.evil.phone:/callback', 'javascript:alert(1)', PARTNER_CALLBACK, '',
    ]) {
      assert.equal((await connect(uri)).status, 400, uri);
    }
    const started = await connect(at);
    assert.equal(started.status, 201, show(started));
    world.secrets.add(started.body.auth_session).add(started.body.connect_params.ticket);
    assert.deepEqual((await world.api.accounts(tokens.access_token)).body.accounts, []);
  });

  test('clickjacking: each page forbids frames, and loads and runs nothing but its own', async () => {
    const { jar } = await signIn('fred');
    const consent = party.request(random(), { client_id: 'partner', redirect_uri: PARTNER_CALLBACK, code_challenge: null, code_challenge_method: null, connection: 'demo' });
    const addresses = {
      'sign-in': party.request(random(), { prompt: 'login' }).href,
      consent: consent.href,
      'sign-out': `${world.vault}/oidc/logout`,
      'sign-out as Auth0 asks': `${world.vault}/v2/logout`,
      form_post: party.request(random(), { response_mode: 'form_post' }).href,
      'unknown client': party.request(random(), { client_id: 'nobody' }).href,
      'unknown redirect URI': party.request(random(), { redirect_uri: 'https://evil.example/' }).href,
      'unknown pushed request': `${world.vault}/authorize?client_id=app&request_uri=urn:ietf:params:oauth:request_uri:x.y`,
      callback: `${world.vault}/callback/demo?state=x&code=y`,
      ticket: `${world.vault}/connected-accounts/connect?ticket=x`,
    };
    const shown = new Map();
    for (const [name, url] of Object.entries(addresses)) shown.set(name, await visit(jar, url));
    shown.set('signed out', await visit(new CookieJar(), `${world.vault}/oidc/logout`));
    shown.set('form', await visit(jar, `${world.vault}/sign-in`, { form: {} }));
    for (const [name, page] of shown) {
      assert.match(page.headers.get('content-type'), /^text\/html/, name);
      const policy = page.headers.get('content-security-policy');
      assert.match(policy, /(^|; )frame-ancestors 'none'(;|$)/, name);
      assert.match(policy, /^default-src 'none'/, name);
      assert.match(policy, /(^|; )base-uri 'none'(;|$)/, name);
      assert.doesNotMatch(policy, /unsafe|\*|http:/, name);
      assert.equal(page.headers.get('cache-control'), 'no-store', name);
      assert.equal(page.headers.get('x-content-type-options'), 'nosniff', name);
      assert.match(page.headers.get('referrer-policy'), /^(no-referrer|same-origin)$/, name);
      assert.doesNotMatch(page.text, /\son[a-z]+=|<(iframe|object|embed|base|link)\b|src="http:/i, name);
    }
  });

  test('CORS look-alikes: no page of another origin may read an answer', async () => {
    const { access_token: token } = await signIn('gerd');
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: 'x' };
    const addresses = /** @type {[string, string, {form?: object, headers?: object}][]} */ ([
      ['POST', '/oauth/token', { form }], ['POST', '/oauth/revoke', { form: { client_id: 'app', token: 'x' } }],
      ['GET', '/userinfo', { headers: { authorization: `Bearer ${token}` } }], ['POST', '/userinfo', { form: {} }],
    ]);
    for (const [method, path, more] of addresses) {
      const url = world.vault + path;
      for (const origin of LOOK_ALIKES) {
        for (const preflight of [false, true]) {
          const request = preflight
            ? { method: 'OPTIONS', url, headers: { origin, 'access-control-request-method': method } }
            : { method, url, ...more, headers: { ...more.headers, origin } };
          const answer = await call(request);
          assert.equal(answer.headers.get('access-control-allow-origin'), null, `${method} ${path} ${origin}`);
          assert.equal(answer.headers.get('access-control-allow-credentials'), null);
          assert.match(answer.headers.get('vary') ?? '', /Origin/i, `${method} ${path} ${origin}`);
        }
      }
      const good = await call({ method, url, ...more, headers: { ...more.headers, origin: APP_ORIGIN } });
      assert.equal(good.headers.get('access-control-allow-origin'), APP_ORIGIN);
      assert.equal(good.headers.get('access-control-allow-credentials'), null);
    }
    for (const [method, path] of [['POST', '/oauth/introspect'], ['POST', '/oauth/par'], ['GET', '/authorize'], ['POST', '/sign-in'], ['GET', '/oidc/logout'], ['GET', '/v2/logout']]) {
      for (const verb of [method, 'OPTIONS']) {
        const answer = await call({ method: verb, url: world.vault + path, headers: { origin: APP_ORIGIN, 'access-control-request-method': method } });
        assert.equal(answer.headers.get('access-control-allow-origin'), null, `${verb} ${path}`);
      }
    }
  });

  test('header injection: no parameter adds a header to an answer or to a request', async () => {
    const jar = new CookieJar();
    await signIn('hans', {}, jar);
    const evil = 'x\r\nset-cookie: session=evil\r\nlocation: https://evil.example/\r\n\r\n<script>';
    for (const more of [{}, { prompt: 'none', max_age: '0' }, { response_mode: 'form_post' }, { response_mode: 'web_message' }, { response_type: 'x' }]) {
      const page = await visit(jar, party.request(random(), { connection: 'demo', state: evil, nonce: evil, login_hint: evil, ui_locales: evil, ...more }).href);
      assert.ok([200, 303].includes(page.status));
      assert.ok(!page.headers.getSetCookie().some((one) => one.includes('evil')));
      assert.ok(!page.headers.get('location')?.startsWith('https://evil.example'));
    }
    const page = await visit(new CookieJar(), party.request(random(), { connection: 'demo', login_hint: evil }).href);
    const upstream = new URL(page.headers.get('location'));
    assert.equal(upstream.origin, world.issuer);
    assert.equal(upstream.searchParams.get('login_hint'), evil);
    assert.equal(upstream.searchParams.getAll('redirect_uri').length, 1);
    // A hint cannot replace a parameter of the vault's own request.
    const hinted = await visit(new CookieJar(), party.request(random(), { connection: 'demo', login_hint: 'x&client_id=evil&redirect_uri=https://evil.example/' }).href);
    const parameters = new URL(hinted.headers.get('location')).searchParams;
    assert.equal(parameters.get('client_id'), 'edge-token-vault');
    assert.deepEqual(parameters.getAll('redirect_uri'), [`${world.vault}/callback/demo`]);
  });

  test('oversized input: it is refused, and opens no sign-in', async () => {
    const before = party.objects('AUTHORIZATION');
    const post = (body, search = '') => fetch(`${world.vault}/authorize${search}`, {
      method: 'POST', body, redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    const good = party.request(random(), { connection: 'demo' });
    for (const body of [
      `${good.search.slice(1)}&x=${'x'.repeat(70_000)}`,
      `${good.search.slice(1)}${'&x'.repeat(2000)}`,
      Array.from({ length: 5000 }, (_, index) => `p${index}=1`).join('&'),
    ]) {
      // What the address says counts for nothing in a form.
      const answer = await post(body, good.search);
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('location'), null);
    }
    assert.equal((await post('', good.search)).status, 400);
    const scopes = await post(new URLSearchParams({ ...Object.fromEntries(good.searchParams), scope: 'a '.repeat(2000) }).toString());
    assert.equal(new URL(scopes.headers.get('location')).searchParams.get('error'), 'invalid_scope');
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
    for (const path of ['/oauth/token', '/oauth/par', '/oauth/revoke', '/oauth/introspect']) {
      const answer = await world.api.call('POST', path, { form: { client_id: 'app', x: 'x'.repeat(70_000) } });
      assertRefused(answer, 413, 'invalid_request');
    }
  });

  test('cookies: each of a sign-in is for this host, hidden from scripts, and not sent by other sites’ forms', async () => {
    const jar = new CookieJar();
    const seen = [];
    const remember = { header: (url) => jar.header(url), keep: (url, response) => { if (url.startsWith(world.vault)) seen.push(...response.headers.getSetCookie()); jar.keep(url, response); } };
    await browse(party.request(random(), { connection: 'demo' }), { login: 'ida', jar: /** @type {CookieJar} */ (/** @type {unknown} */ (remember)), stop: startsAt(CALLBACK) });
    assert.ok(seen.length >= 4, show({ body: seen }));
    for (const cookie of seen) {
      assert.match(cookie, /; HttpOnly/i);
      assert.match(cookie, /; SameSite=Lax/i);
      assert.doesNotMatch(cookie, /domain=/i);
    }
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
