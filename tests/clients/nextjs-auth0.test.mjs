// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the npm package `@auth0/nextjs-auth0`: what its proxy and its functions do with the
// requests of a browser; and `examples/nextjs`, served by Next.js.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Auth0Client } from '@auth0/nextjs-auth0/server';
import { NextRequest, NextResponse } from 'next/server.js';
import { CookieJar, authorize, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { Compatibility, npmVersion } from './compatibility.mjs';
import { ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE, assertLogHasNoSecret, rejection, whileDown, whileRefused } from './failing.mjs';
import { copyExample } from './example.mjs';
import { BYE, ORDERS, startVault } from './vault.mjs';

const NAME = '@auth0/nextjs-auth0';
/** Nothing listens there: the tests give the requests to the package. */
const APP = 'http://localhost:3000';
const CALLBACK = `${APP}/auth/callback`;
const SERVER = fileURLToPath(new URL('next-server.mjs', import.meta.url));
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let sdk;
  let receiver;
  let ca;
  let stateful;
  /** The origin of the example. */
  let example;
  const sessions = new Map();

  before(async () => {
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      const { status } = await stateful.middleware(new NextRequest(`${APP}/auth/backchannel-logout`, { method: 'POST', body }));
      response.writeHead(status).end();
    });
    await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', () => resolve(undefined)); });
    const port = await freePort();
    example = `http://localhost:${port}`;
    ({ world, web, made: { ca } } = await startVault(undefined, undefined, {
      redirect_uris: [CALLBACK, `${example}/auth/callback`],
      post_logout_redirect_uris: [APP, example, BYE],
      backchannel_logout_uri: `http://127.0.0.1:${receiver.address().port}/`,
    }));
    sdk = client();
    stateful = client({
      sessionStore: {
        get: async (id) => sessions.get(id) ?? null,
        set: async (id, session) => { sessions.set(id, session); },
        delete: async (id) => { sessions.delete(id); },
        deleteByLogoutToken: async ({ sid }) => {
          for (const [id, session] of sessions) if (session.internal.sid === sid) sessions.delete(id);
        },
      },
    });
  });
  after(async () => {
    await world?.close();
    receiver?.closeAllConnections();
    receiver?.close();
  });

  const secret = randomBytes(32).toString('hex');
  const client = (more = {}) => new Auth0Client({
    domain: world.vault,
    allowInsecureRequests: true,
    clientId: web.client_id,
    clientSecret: web.client_secret,
    appBaseUrl: APP,
    secret,
    authorizationParameters: { audience: `${world.vault}/` },
    enableConnectAccountEndpoint: true,
    ...more,
  });

  const request = (jar, path) => new NextRequest(new URL(path, APP), { headers: { cookie: jar.header(APP) } });

  /** What the package answers when the browser asks for a path of the application. */
  async function get(jar, path, by = sdk) {
    const response = await by.middleware(request(jar, path));
    jar.keep(APP, response);
    return response;
  }

  /** Follows what the package redirects to, until the browser is back at the application and there redirected. */
  async function through(jar, path, login, by) {
    const sent = await get(jar, path, by);
    const text = await sent.text();
    assert.equal(sent.status, 307, text);
    const back = await authorize(sent.headers.get('location'), { login, jar, redirectUri: CALLBACK });
    const response = await get(jar, back.href, by);
    assert.equal(response.status, 307, await response.text());
    return response.headers.get('location');
  }

  /** Calls a function of the package for a request of the browser, which gets the response's cookies. */
  async function inRequest(jar, run) {
    const response = new NextResponse();
    try {
      return await run(request(jar, '/'), response);
    } finally {
      jar.keep(APP, response);
      await remember(jar);
    }
  }

  async function remember(jar) {
    const session = await sdk.getSession(request(jar, '/'));
    if (!session) return undefined;
    const { accessToken, refreshToken, idToken } = session.tokenSet;
    for (const one of [accessToken, refreshToken, idToken]) if (one) world.secrets.add(one);
    return session;
  }

  async function signIn(login, by = sdk) {
    const jar = new CookieJar();
    assert.equal(await through(jar, '/auth/login?returnTo=/inbox', login, by), `${APP}/inbox`);
    if (by === sdk) await remember(jar);
    return jar;
  }

  async function connected(login) {
    const jar = await signIn(login);
    assert.equal(await through(jar, '/auth/connect?connection=demo&returnTo=/done', login), `${APP}/done`);
    await remember(jar);
    return jar;
  }

  const token = (jar, audience, scope) => inRequest(jar, (from, to) => sdk.getAccessToken(from, to, { audience, scope }));
  const exchange = (jar, more = {}, by = sdk) => (
    inRequest(jar, (from, to) => by.getAccessTokenForConnection({ connection: 'demo', ...more }, from, to))
  );

  /** What the application sees if it asks for the provider's token. */
  async function refused(promise, error) {
    const thrown = await rejection(promise);
    assert.deepEqual([thrown.name, thrown.code, thrown.cause?.code], ['AccessTokenForConnectionError', 'failed_to_exchange_refresh_token', error], thrown.stack);
    return `\`AccessTokenForConnectionError\`, \`cause.code\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: npmVersion(NAME),
    settings: [
      '`domain` is the address of the vault',
      '`audience` is the vault’s address with a slash at the end',
      '`allowInsecureRequests`, only where the vault’s host has a port or is below `localhost`, as here',
    ],
  });

  tested.tries('login', async () => {
    const jar = await signIn('anna');
    const user = await (await get(jar, '/auth/profile')).json();
    assert.deepEqual([user.sub, user.email], ['demo|anna', 'anna@example.com']);
  });

  tested.tries('me', async () => {
    const scope = 'openid read:me:connected_accounts';
    const me = await token(await signIn('berta'), `${world.vault}/me/`, scope);
    assert.equal(claimsOf(me.token).aud, `${world.vault}/me/`);
  });

  tested.tries('connect', async () => {
    const jar = await connected('carla');
    const taken = await exchange(jar);
    assert.equal(await world.owner(taken.token), 'carla');
  });

  test('the application sees that a user cancels a connect', async () => {
    const jar = await signIn('carla');
    const sent = await get(jar, '/auth/connect?connection=demo');
    const back = await authorize(sent.headers.get('location'), { login: 'carla', jar, redirectUri: CALLBACK, cancel: true });
    assert.equal(back.searchParams.get('error'), 'access_denied');
    const response = await get(jar, back.href);
    assert.equal(response.status, 500);
    assert.equal(await response.text(), 'The request to complete the connect account flow failed with status 400.');
  });

  tested.tries('list', async () => {
    const jar = await connected('dora');
    const accounts = await inRequest(jar, (from, to) => sdk.getConnectedAccounts(from, to));
    assert.deepEqual(accounts.map(({ connection }) => connection), ['demo']);
    await inRequest(jar, (from, to) => sdk.disconnectAccount({ connection: 'demo' }, from, to));
    assert.deepEqual(await inRequest(jar, (from, to) => sdk.getConnectedAccounts(from, to)), []);
  });

  tested.tries('byRefreshToken', async () => {
    const taken = await exchange(await connected('emma'), { login_hint: 'emma' });
    assert.equal(await world.owner(taken.token), 'emma');
  });

  tested.tries('byAccessToken', async () => {
    const taken = await exchange(await connected('fiona'), { subject_token_type: ACCESS_TOKEN });
    assert.equal(await world.owner(taken.token), 'fiona');
  });

  tested.tries('refreshTwice', async () => {
    const jar = await signIn('gerda');
    const seen = new Set();
    for (let time = 0; time < 3; time += 1) {
      seen.add((await remember(jar)).tokenSet.refreshToken);
      await inRequest(jar, (from, to) => sdk.getAccessToken(from, to, { refresh: true }));
    }
    assert.equal(seen.size, 3);
  });

  tested.tries('audiences', async () => {
    const jar = await signIn('heidi');
    const orders = await token(jar, ORDERS, 'read:orders');
    const me = await token(jar, `${world.vault}/me/`, 'read:me:connected_accounts');
    assert.deepEqual([orders, me].map((one) => [claimsOf(one.token).aud].flat()), [[ORDERS], [`${world.vault}/me/`]]);
  });

  tested.tries('logout', async () => {
    const jar = await signIn('ida');
    const sent = await get(jar, '/auth/logout');
    const address = new URL(sent.headers.get('location'));
    assert.equal(`${address.origin}${address.pathname}`, `${world.vault}/oidc/logout`);
    const end = await browse(address, { login: 'nobody', jar, stop: startsAt(`${APP}/`) });
    assert.equal(end.page, undefined);
    assert.equal((await get(jar, '/auth/profile')).status, 401);
    const silent = await get(jar, '/auth/login?prompt=none');
    const back = await authorize(silent.headers.get('location'), { login: 'nobody', jar, redirectUri: CALLBACK });
    assert.equal(back.searchParams.get('error'), 'login_required');
  });

  tested.tries('backChannelLogout', async () => {
    const jar = await signIn('julia', stateful);
    const { tokenSet } = await stateful.getSession(request(jar, '/'));
    assert.equal((await get(jar, '/auth/profile', stateful)).status, 200);
    const address = new URL(`${world.vault}/oidc/logout`);
    address.search = new URLSearchParams({ id_token_hint: tokenSet.idToken, post_logout_redirect_uri: BYE }).toString();
    await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    await eventually('the end of the session', async () => (await get(jar, '/auth/profile', stateful)).status === 401);
  });

  tested.tries('notConnected', async () => (
    refused(exchange(await signIn('klara')), 'federated_connection_refresh_token_not_found')
  ));

  tested.tries('unknownConnection', async () => (
    refused(exchange(await signIn('lena'), { connection: 'unknown' }), 'unauthorized_client')
  ));

  tested.without('missingScopes', 'It names no scopes in an exchange.');

  tested.tries('wrongSecret', async () => (
    refused(exchange(await signIn('maria'), {}, client({ clientSecret: 'wrong' })), 'invalid_client')
  ));

  tested.tries('revokedRefreshToken', async () => {
    const jar = await connected('nora');
    const before = request(jar, '/');
    await get(jar, '/auth/logout');
    return refused(sdk.getAccessTokenForConnection({ connection: 'demo' }, before, new NextResponse()), 'invalid_grant');
  });

  test('the example signs in, connects, calls the provider and signs out', async () => {
    const copy = copyExample('nextjs');
    const settings = {
      AUTH0_DOMAIN: world.vault,
      AUTH0_CLIENT_ID: web.client_id,
      AUTH0_CLIENT_SECRET: web.client_secret,
      AUTH0_SECRET: secret,
      APP_BASE_URL: example,
      CONNECTION: 'demo',
      PROFILE: `${world.issuer}/me`,
    };
    const server = fork(SERVER, [copy.directory, new URL(example).port, ca], {
      env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let output = '';
    for (const stream of [server.stdout, server.stderr]) stream?.setEncoding('utf8').on('data', (text) => { output += text; });
    const ended = once(server, 'exit');
    try {
      await Promise.race([once(server, 'message'), ended.then(() => assert.fail(output))]);
      const options = { login: 'quinn', jar: new CookieJar(), stop: () => false };
      const opened = (path) => browse(example + path, options);
      assert.match((await opened('/auth/login')).page?.text ?? '', /Sign out/);
      const early = await opened('/profile');
      assert.equal(early.page?.status, 403);
      assert.deepEqual(JSON.parse(early.page.text), { error: 'federated_connection_refresh_token_not_found' });
      const connected = await opened('/auth/connect?connection=demo&returnTo=/profile');
      assert.equal(connected.url, `${example}/profile`);
      assert.equal(JSON.parse(connected.page?.text ?? '').sub, 'quinn');
      assert.match((await opened('/auth/logout')).page?.text ?? '', /Sign in/);
    } finally {
      server.kill('SIGKILL');
      await ended;
      copy.remove();
    }
  });

  // The tests from here on move the vault's clock.
  tested.tries('providerDown', async () => {
    const jar = await connected('olga');
    return whileDown(world, () => refused(exchange(jar), 'temporarily_unavailable'));
  });

  tested.tries('reconnectRequired', async () => {
    const jar = await connected('petra');
    return whileRefused(world, () => refused(exchange(jar), 'federated_connection_refresh_token_flow_failed'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const jar = await connected('rosa');
    await world.advance(ACCESS_TOKEN_LIFE);
    await refused(exchange(jar, { subject_token_type: ACCESS_TOKEN }), 'invalid_grant');
    await world.advance(REFRESH_TOKEN_LIFE);
    return refused(exchange(jar), 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
