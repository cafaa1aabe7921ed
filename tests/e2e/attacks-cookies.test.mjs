// SPDX-License-Identifier: Apache-2.0
// Attacks with the cookies of a vault whose address is https. The requests themselves go without TLS.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { claimsOf } from '../../xtask/js/browser.mjs';
import { APP_ORIGIN } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { BYE, PARTNER_CALLBACK, RelyingParty, formsOf } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

const SESSION = '__Host-session';
const SIGN_IN = '__Host-sign-in';

describe('attacks with cookies', { timeout: 240_000 }, () => {
  let party;
  let world;
  let hostile;
  /** The `Set-Cookie` lines of all answers. */
  const lines = [];

  before(async () => {
    hostile = await HostileServer.start();
    hostile.on('/token', answer(200, { access_token: random(), token_type: 'Bearer', expires_in: 600 }));
    hostile.on('/me', answer(200, { sub: 'anna' }));
    party = await RelyingParty.start({
      connections: () => ({
        other: {
          kind: 'oauth2',
          client_id: 'vault-other',
          client_authentication: 'none',
          authorization_endpoint: `${hostile.origin}/authorize`,
          token_endpoint: `${hostile.origin}/token`,
          userinfo_endpoint: `${hostile.origin}/me`,
          identity: { permanent: true },
        },
      }),
    }, { connections: ['other'], cross_site: true });
    world = party.world;
    await world.stopVault();
    const secure = JSON.stringify(world.bindings).replaceAll(world.vault, world.vault.replace('http:', 'https:'));
    world.bindings = JSON.parse(secure);
    await world.startVault();
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  /**
   * Sends a request with these cookies; keeps in them what the answer sets.
   *
   * @param {Record<string, string>} cookies
   * @param {string} url
   * @param {{form?: Record<string, string>, origin?: string}} [options]
   */
  async function send(cookies, url, { form, origin } = {}) {
    const cookie = Object.entries(cookies).map((pair) => pair.join('=')).join('; ');
    const response = await fetch(url.replace('https:', 'http:'), {
      method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form), redirect: 'manual', headers: { cookie, ...(origin && { origin }) },
    });
    for (const line of response.headers.getSetCookie()) {
      lines.push(line);
      const [name, value] = line.split(';')[0].split('=');
      if (/max-age=0(;|$)/i.test(line)) delete cookies[name];
      else cookies[name] = value;
    }
    return { status: response.status, headers: response.headers, location: response.headers.get('location'), text: await response.text() };
  }

  /** Signs a user in; returns the browser's cookies and the tokens. */
  async function signIn(cookies = {}) {
    const verifier = random();
    const out = await send(cookies, party.request(verifier, { prompt: 'login' }).href);
    const upstream = new URL(out.location).searchParams;
    const query = new URLSearchParams({ code: random(), state: upstream.get('state') });
    const back = await send(cookies, `${upstream.get('redirect_uri')}?${query}`);
    const { body } = await party.redeem(new URL(back.location).searchParams.get('code'), verifier);
    return { cookies, tokens: body };
  }

  /** How a silent sign-in with these cookies ends. */
  async function silently(cookies, more = {}) {
    const { location } = await send(cookies, party.request(random(), { prompt: 'none', ...more }).href);
    const { searchParams } = new URL(location);
    return searchParams.get('error') ?? (searchParams.get('code') && 'code');
  }

  /** The cookies that a browser sends along with requests of other sites' pages. */
  const crossSite = (cookies) => {
    const [name] = Object.keys(cookies).filter((one) => one.startsWith('__Host-session-'));
    return { [name]: cookies[name] };
  };

  test('cookie tossing: each cookie has the prefix __Host-, and without it none is read', async () => {
    const { cookies, tokens } = await signIn();
    assert.equal(claimsOf(tokens.id_token).sub, 'other|anna');
    assert.equal(await silently(cookies), 'code');
    for (const line of lines) {
      assert.match(line, /^__Host-[^=]+=[^;]*;/);
      for (const attribute of [/; Secure(;|$)/, /; HttpOnly(;|$)/, /; Path=\/(;|$)/]) assert.match(line, attribute);
      assert.doesNotMatch(line, /domain=/i);
      assert.match(line, line.startsWith('__Host-session-') ? /; SameSite=None(;|$)/ : /; SameSite=Lax(;|$)/);
    }
    // A sibling domain can set cookies of other names alone.
    for (const name of ['session', '__Secure-session', '__host-session', '__Host-Session', 'session-cross-site']) {
      assert.equal(await silently({ [name]: cookies[SESSION] }), 'login_required', name);
    }
    const out = await send({ 'sign-in': 'x'.repeat(43) }, party.request(random(), { prompt: 'login' }).href);
    assert.ok(!out.headers.getSetCookie().some((line) => line.includes('x'.repeat(43))));
  });

  test('cookie tossing: a sign-in cookie that is none of the vault’s form is replaced', async () => {
    for (const value of ['x', 'x'.repeat(42), 'x'.repeat(44), '']) {
      const cookies = { [SIGN_IN]: value };
      await send(cookies, party.request(random(), { prompt: 'login' }).href);
      assert.match(cookies[SIGN_IN], /^[\w-]{43}$/);
      assert.notEqual(cookies[SIGN_IN], value);
    }
  });

  test('CSRF: the cookie for other sites signs in silently and by GET, and does nothing else', async () => {
    const { cookies, tokens } = await signIn();
    const only = crossSite(cookies);
    assert.equal(await silently({ ...only }), 'code');
    const parameters = Object.fromEntries(party.request(random(), { prompt: 'none' }).searchParams);
    const posted = await send({ ...only }, `${world.vault}/authorize`, { form: parameters, origin: 'https://evil.example' });
    assert.equal(new URL(posted.location).searchParams.get('error'), 'login_required');
    for (const prompt of [null, 'consent', 'login', 'select_account']) {
      const out = await send({ ...only }, party.request(random(), { prompt }).href);
      assert.ok(out.location.startsWith(hostile.origin), `${prompt} ${out.location}`);
    }
    const partner = { client_id: 'partner', redirect_uri: PARTNER_CALLBACK, code_challenge: null, code_challenge_method: null };
    const silent = await send({ ...only }, party.request(random(), { ...partner, prompt: 'none' }).href);
    assert.equal(new URL(silent.location).searchParams.get('error'), 'consent_required');
    // It signs nobody out, with an ID token neither.
    for (const path of [
      `/oidc/logout?id_token_hint=${tokens.id_token}`, `/v2/logout?client_id=app&returnTo=${encodeURIComponent(BYE)}`, '/oidc/logout',
    ]) {
      const out = await send({ ...only }, `${world.vault}${path}`);
      assert.deepEqual(out.headers.getSetCookie(), [], path);
      assert.equal(await silently({ ...only }), 'code', path);
    }
    const message = await send({ ...only }, party.request(random(), { prompt: 'none', response_mode: 'web_message' }).href);
    assert.match(message.headers.get('content-security-policy'), new RegExp(`frame-ancestors ${APP_ORIGIN}(;|$)`));
  });

  test('a sign-out deletes each cookie of the session, and none is of use afterwards', async () => {
    const { cookies, tokens } = await signIn();
    const copy = { ...cookies };
    const page = await send(cookies, `${world.vault}/oidc/logout`);
    const [form] = formsOf(page.text);
    const own = world.vault.replace('http:', 'https:');
    const refused = await send(cookies, `${world.vault}${form.action}`, { form: form.fields, origin: world.vault });
    assert.equal(formsOf(refused.text).length, 1);
    await send(cookies, `${world.vault}${form.action}`, { form: form.fields, origin: own });
    assert.deepEqual(Object.keys(cookies).filter((name) => name.startsWith(SESSION)), []);
    assert.equal(await silently(copy), 'login_required');
    assert.equal(await silently(crossSite(copy)), 'login_required');
    await party.assertEnded(tokens.refresh_token);
  });

  test('session fixation: each sign-in of a user changes the cookie, and the one before is of no use', async () => {
    const { cookies } = await signIn();
    const before = { ...cookies };
    const { tokens } = await signIn(cookies);
    assert.notEqual(cookies[SESSION], before[SESSION]);
    assert.equal(await silently(before), 'login_required');
    assert.equal(await silently(crossSite(before)), 'login_required');
    assert.equal(await silently(cookies), 'code');
    assert.equal((await party.refresh(tokens.refresh_token)).status, 200);
  });
});
