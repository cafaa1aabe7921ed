// SPDX-License-Identifier: Apache-2.0
// The vault as the issuer of the npm package `express-openid-connect`, in an Express application.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import express from 'express';
import openid from 'express-openid-connect';
import { CookieJar, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { Compatibility, npmVersion } from './compatibility.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, rejection, whileDown, whileRefused } from './failing.mjs';
import { copyExample } from './example.mjs';
import { BYE, CONNECTED, ME_SCOPE, ORDERS, connect, startVault } from './vault.mjs';

const { auth, requiresAuth } = openid;
const NAME = 'express-openid-connect';
const SCOPE = 'openid profile email offline_access';
const COOKIE_SECRET = 'a secret of the application for its cookies';
const REFRESH_TOKEN = 'urn:ietf:params:oauth:token-type:refresh_token';

/** Sessions in memory, in the interface of `express-session`. */
class Store {
  #sessions = new Map();

  get(id, done) {
    done(null, this.#sessions.get(id));
  }

  set(id, session, done) {
    this.#sessions.set(id, structuredClone(session));
    done(null);
  }

  destroy(id, done) {
    this.#sessions.delete(id);
    done(null);
  }
}

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let base;
  let server;
  let other;
  /** The origin of the example, and its copy. */
  let example;
  let copy;
  let exampleServer;
  /** What the next request of the application does, and what came of it. */
  let job;

  before(async () => {
    const [port, second, third] = [await freePort(), await freePort(), await freePort()];
    base = `http://localhost:${port}`;
    example = `http://localhost:${third}`;
    ({ world, web } = await startVault(undefined, undefined, {
      redirect_uris: [`${base}/callback`, CONNECTED, `${example}/callback`, `${example}/connected`],
      post_logout_redirect_uris: [base, example, BYE],
      backchannel_logout_uri: `http://127.0.0.1:${port}/backchannel-logout`,
    }));
    const store = new Store();
    const settings = (/** @type {string} */ clientSecret) => ({
      issuerBaseURL: world.vault,
      baseURL: base,
      clientID: web.client_id,
      clientSecret,
      secret: COOKIE_SECRET,
      authRequired: false,
      idpLogout: true,
      session: { store },
      backchannelLogout: true,
      authorizationParams: { response_type: 'code', scope: SCOPE, audience: `${world.vault}/` },
    });
    server = await serve(settings(web.client_secret), port);
    // The same application with a wrong secret. It reads the same sessions.
    other = await serve(settings('wrong'), second);
    copy = copyExample('express');
    const { application } = await import(`${copy.directory}/server.mjs`);
    exampleServer = application({
      vault: world.vault, origin: example, ...web, secret: COOKIE_SECRET, connection: 'demo', profile: `${world.issuer}/me`,
    }).listen(third, 'localhost');
    await once(exampleServer, 'listening');
  });
  after(async () => {
    for (const one of [server, other, exampleServer]) {
      one?.closeAllConnections();
      one?.close();
    }
    copy?.remove();
    await world?.close();
  });

  async function serve(settings, port) {
    const app = express();
    app.use(auth(settings));
    app.get('/job', requiresAuth(), async (request, response) => {
      job.result = await rejectionOr(job.run(request.oidc));
      for (const one of [request.oidc.refreshToken, request.oidc.idToken, request.oidc.accessToken?.access_token]) world.secrets.add(one);
      response.end();
    });
    app.get('/', (request, response) => response.json(request.oidc.user ?? null));
    const listening = app.listen(port, 'localhost');
    await once(listening, 'listening');
    return listening;
  }

  const rejectionOr = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));

  async function page(jar, path = '/', origin = base) {
    const response = await fetch(origin + path, { redirect: 'manual', headers: { cookie: jar.header(base), accept: 'text/html' } });
    jar.keep(base, response);
    return response;
  }

  async function signIn(login) {
    const jar = new CookieJar();
    const { url, page: shown } = await browse(`${base}/login`, { login, jar, stop: startsAt(`${base}/`) });
    assert.equal(shown, undefined, `${url} ${shown?.text}`);
    return jar;
  }

  /** Runs a function of the application in a request of the user's browser. */
  async function inRequest(jar, run, origin = base) {
    job = { run: async (oidc) => run(oidc) };
    const { status } = await page(jar, '/job', origin);
    assert.equal(status, 200);
    if (job.result.error) throw job.result.error;
    return job.result.value;
  }

  const refresh = (jar, audience, scope) => (
    inRequest(jar, (oidc) => oidc.accessToken.refresh({ tokenEndpointParams: { audience, scope } }))
  );

  async function connected(login) {
    const jar = await signIn(login);
    const me = await refresh(jar, `${world.vault}/me/`, ME_SCOPE);
    const done = await connect(world, me.access_token, login);
    assert.equal(done.status, 201);
    await refresh(jar, `${world.vault}/`, SCOPE);
    return jar;
  }

  const byAccessToken = (more = {}) => (oidc) => oidc.customTokenExchange({ audience: 'demo', ...more });
  const byRefreshToken = (more = {}) => (oidc) => (
    oidc.customTokenExchange({ audience: 'demo', subject_token: oidc.refreshToken, subject_token_type: REFRESH_TOKEN, ...more })
  );

  /** What the application sees if it asks for the provider's token. */
  async function refused(jar, run, error) {
    const thrown = await rejection(inRequest(jar, run));
    assert.deepEqual([thrown.name, thrown.status, thrown.error], ['BadRequestError', 400, error], thrown.stack);
    return `\`BadRequestError\`, \`error\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: npmVersion(NAME),
    settings: [
      '`issuerBaseURL` is the address of the vault',
      '`authorizationParams` have `response_type: \'code\'` and the vault’s address with a slash at the end as `audience`',
    ],
  });

  tested.tries('login', async () => {
    const user = await (await page(await signIn('anna'))).json();
    assert.deepEqual([user.sub, user.email], ['demo|anna', 'anna@example.com']);
  });

  test('reads userinfo', async () => {
    const user = await inRequest(await signIn('anna'), (oidc) => oidc.fetchUserInfo());
    assert.equal(user.email, 'anna@example.com');
  });

  tested.tries('me', async () => {
    const token = await refresh(await signIn('berta'), `${world.vault}/me/`, ME_SCOPE);
    assert.equal(claimsOf(token.access_token).aud, `${world.vault}/me/`);
  });

  tested.without('connect', 'It has no function for it. An application calls the API with the token that the package gets.');
  tested.without('list', 'It has no function for it. An application calls the API with the token that the package gets.');

  tested.tries('byAccessToken', async () => {
    const jar = await connected('carla');
    const token = await inRequest(jar, byAccessToken());
    assert.equal(await world.owner(token.access_token), 'carla');
  });

  tested.tries('byRefreshToken', async () => {
    const jar = await connected('dora');
    const token = await inRequest(jar, byRefreshToken({ extra: { login_hint: 'dora' } }));
    assert.equal(await world.owner(token.access_token), 'dora');
  });

  tested.tries('refreshTwice', async () => {
    const jar = await signIn('emma');
    const seen = [];
    for (let time = 0; time < 3; time += 1) {
      seen.push(await inRequest(jar, (oidc) => oidc.refreshToken));
      await inRequest(jar, (oidc) => oidc.accessToken.refresh());
    }
    assert.equal(new Set(seen).size, 3);
  });

  tested.tries('audiences', async () => {
    const jar = await signIn('fiona');
    const orders = await refresh(jar, ORDERS, 'openid read:orders');
    const me = await refresh(jar, `${world.vault}/me/`, ME_SCOPE);
    assert.deepEqual([orders, me].map((one) => [claimsOf(one.access_token).aud].flat()), [[ORDERS], [`${world.vault}/me/`]]);
  });

  tested.tries('logout', async () => {
    const jar = await signIn('gerda');
    const end = await browse(`${base}/logout`, { login: 'nobody', jar, stop: startsAt(`${base}/`) });
    assert.equal(end.page, undefined);
    assert.equal(await (await page(jar)).json(), null);
    const silent = new URL(`${world.vault}/authorize`);
    silent.search = new URLSearchParams({
      client_id: 'web', response_type: 'code', redirect_uri: CONNECTED, scope: 'openid', prompt: 'none', state: 's',
      code_challenge: 'x'.repeat(43), code_challenge_method: 'S256',
    }).toString();
    const { url } = await browse(silent, { login: 'nobody', jar, stop: startsAt(CONNECTED) });
    assert.equal(new URL(url).searchParams.get('error'), 'login_required');
  });

  tested.tries('backChannelLogout', async () => {
    const jar = await signIn('heidi');
    const address = new URL(`${world.vault}/oidc/logout`);
    const hint = await inRequest(jar, (oidc) => oidc.idToken);
    address.search = new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: BYE }).toString();
    await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    await eventually('the end of the session', async () => await (await page(jar)).json() === null);
  });

  tested.tries('notConnected', async () => refused(await signIn('ida'), byRefreshToken(), 'invalid_target'));

  tested.tries('unknownConnection', async () => (
    refused(await signIn('julia'), byRefreshToken({ audience: 'unknown' }), 'invalid_target')
  ));

  tested.tries('missingScopes', async () => (
    refused(await connected('klara'), byRefreshToken({ scope: 'calendar' }), 'invalid_scope')
  ));

  tested.tries('wrongSecret', async () => {
    const jar = await signIn('lena');
    const thrown = await rejection(inRequest(jar, byRefreshToken(), `http://localhost:${other.address().port}`));
    const message = 'server responded with a challenge in the WWW-Authenticate HTTP Header';
    assert.deepEqual([thrown.status, thrown.error, thrown.message], [400, undefined, message]);
    return `\`BadRequestError\` without \`error\`: “${message}”`;
  });

  tested.tries('revokedRefreshToken', async () => {
    const jar = await connected('maria');
    const token = await inRequest(jar, (oidc) => oidc.refreshToken);
    const revoked = await world.api.call('POST', '/oauth/revoke', { form: { token, ...web } });
    assert.equal(revoked.status, 200);
    return refused(jar, byRefreshToken(), 'invalid_request');
  });

  test('the example signs in, connects, calls the provider and signs out', async () => {
    const options = { login: 'quinn', jar: new CookieJar(), stop: () => false };
    const opened = (path) => browse(example + path, options);
    assert.match((await opened('/login')).page?.text ?? '', /Signed in/);
    const early = await opened('/profile');
    assert.equal(early.page?.status, 400);
    assert.equal(JSON.parse(early.page.text).error, 'invalid_target');
    const cancelled = await browse(`${example}/connect`, { ...options, cancel: true });
    assert.equal(cancelled.page?.status, 400, cancelled.page?.text);
    const connected = await opened('/connect');
    assert.equal(connected.url, `${example}/profile`);
    assert.equal(JSON.parse(connected.page?.text ?? '').sub, 'quinn');
    assert.match((await opened('/logout')).page?.text ?? '', /Sign in/);
  });

  test('the example completes no connect in another browser than the one that began it', async () => {
    const browsers = Object.fromEntries(['rita', 'sven'].map((login) => [login, { login, jar: new CookieJar(), stop: () => false }]));
    for (const browser of Object.values(browsers)) await browse(`${example}/login`, browser);
    const { jar } = browsers.rita;
    const begun = await fetch(`${example}/connect`, { redirect: 'manual', headers: { cookie: jar.header(example), accept: 'text/html' } });
    const link = begun.headers.get('location') ?? '';
    assert.ok(link.startsWith(`${world.vault}/connected-accounts/connect?ticket=`), link);
    const returned = await browse(link, browsers.sven);
    assert.ok(returned.url.startsWith(`${example}/connected?connect_code=`), returned.url);
    assert.deepEqual([returned.page?.status, returned.page?.text], [400, 'Begin again.']);
    for (const browser of Object.values(browsers)) {
      const profile = await browse(`${example}/profile`, browser);
      assert.equal(JSON.parse(profile.page?.text ?? '').error, 'invalid_target');
    }
  });

  // The tests from here on move the vault's clock.
  tested.tries('providerDown', async () => {
    const jar = await connected('nora');
    return whileDown(world, async () => {
      const thrown = await rejection(inRequest(jar, byRefreshToken()));
      // The package reads no error from a response with a status of 500 or above.
      const message = 'unexpected HTTP response status code';
      assert.deepEqual([thrown.status, thrown.error, thrown.message], [400, undefined, message]);
      return `\`BadRequestError\` without \`error\`: “${message}”`;
    });
  });

  tested.tries('reconnectRequired', async () => {
    const jar = await connected('olga');
    return whileRefused(world, () => refused(jar, byRefreshToken(), 'invalid_target'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const jar = await connected('petra');
    await world.advance(ACCESS_TOKEN_LIFE);
    return refused(jar, byAccessToken(), 'invalid_request');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
