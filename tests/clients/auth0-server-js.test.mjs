// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the npm package `@auth0/auth0-server-js`, with which Auth0's SDKs for frameworks keep
// the sessions of a server's users.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { ServerClient } from '@auth0/auth0-server-js';
import { CookieJar, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { formsOf, visit as send } from '../e2e/relying-party.mjs';
import { Compatibility, npmVersion } from './compatibility.mjs';
import { REFRESH_TOKEN_LIFE, assertLogHasNoSecret, rejection, whileDown, whileRefused } from './failing.mjs';
import { BYE, CALLBACK, ME_SCOPE, ORDERS, connect, startVault, visit } from './vault.mjs';

const NAME = '@auth0/auth0-server-js';
const SCOPE = 'openid profile email offline_access';
const LIST = 'openid read:me:connected_accounts';

/** Sessions in memory: those of one browser are a `Map`, which is the store's option. */
class Store {
  #all = new Set();

  async get(identifier, browser) {
    return browser.sessions.get(identifier);
  }

  async set(identifier, data, _, browser) {
    this.#all.add(browser);
    browser.sessions.set(identifier, structuredClone(data));
  }

  async delete(identifier, browser) {
    browser.sessions.delete(identifier);
  }

  async deleteByLogoutToken({ sid }) {
    for (const { sessions } of this.#all) {
      for (const [identifier, data] of sessions) if (data.internal?.sid === sid) sessions.delete(identifier);
    }
  }
}

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let host;
  let receiver;
  let sdk;
  const store = new Store();

  before(async () => {
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      await sdk.handleBackchannelLogout(new URLSearchParams(body).get('logout_token'));
      response.writeHead(200).end();
    });
    await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', () => resolve(undefined)); });
    const address = `http://127.0.0.1:${receiver.address().port}/`;
    ({ world, web, host } = await startVault(undefined, undefined, { backchannel_logout_uri: address }));
    sdk = client();
  });
  after(async () => {
    await world?.close();
    receiver?.closeAllConnections();
    receiver?.close();
  });

  const client = (more = {}) => new ServerClient({
    domain: host,
    clientId: web.client_id,
    clientSecret: web.client_secret,
    authorizationParams: { redirect_uri: CALLBACK, scope: SCOPE, audience: `${world.vault}/` },
    stateStore: store,
    transactionStore: store,
    ...more,
  });

  async function signIn(login) {
    const browser = { sessions: new Map(), jar: new CookieJar() };
    const address = await sdk.startInteractiveLogin({ appState: { returnTo: '/inbox' } }, browser);
    const { back } = await visit(address, login, { jar: browser.jar });
    const { appState } = await sdk.completeInteractiveLogin(back, browser);
    assert.deepEqual(appState, { returnTo: '/inbox' });
    await remember(browser);
    return browser;
  }

  /** Adds the tokens of a session to the secrets that must not be logged; returns the session. */
  async function remember(browser) {
    const session = await sdk.getSession(browser);
    for (const one of [session.idToken, session.refreshToken, ...session.tokenSets.map((set) => set.accessToken)]) world.secrets.add(one);
    return session;
  }

  const meToken = (browser, scope = ME_SCOPE) => sdk.getAccessToken({ audience: `${world.vault}/me/`, scope }, browser);

  async function connected(login) {
    const browser = await signIn(login);
    const { accessToken } = await meToken(browser);
    const done = await connect(world, accessToken, login);
    assert.equal(done.status, 201);
    await remember(browser);
    return browser;
  }

  /** What the application sees if it asks for the provider's token. */
  async function refused(browser, error, { connection = 'demo', by = sdk } = {}) {
    const thrown = await rejection(by.getAccessTokenForConnection({ connection }, browser));
    assert.deepEqual([thrown.code, thrown.cause?.error], ['token_for_connection_error', error], thrown.stack);
    return `\`TokenForConnectionError\`, \`cause.error\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: npmVersion(NAME),
    settings: ['`domain` is the host of the vault', '`audience` is the vault’s address with a slash at the end'],
  });

  tested.tries('login', async () => {
    const user = await sdk.getUser(await signIn('anna'));
    assert.deepEqual([user.sub, user.email], ['demo|anna', 'anna@example.com']);
  });

  tested.tries('me', async () => {
    const browser = await signIn('berta');
    const token = await meToken(browser, LIST);
    assert.equal(token.scope, LIST);
    assert.equal(claimsOf(token.accessToken).aud, `${world.vault}/me/`);
  });

  tested.without('connect', 'It has no function for it. An application calls the API with the token that the package gets.');
  tested.without('list', 'It has no function for it. An application calls the API with the token that the package gets.');

  test('gets a token with which the application connects and lists accounts', async () => {
    const browser = await connected('carla');
    const { accessToken } = await meToken(browser, LIST);
    world.secrets.add(accessToken);
    const { body } = await world.api.accounts(accessToken);
    assert.deepEqual(body.accounts.map(({ connection }) => connection), ['demo']);
  });

  tested.tries('byRefreshToken', async () => {
    const browser = await connected('dora');
    const token = await sdk.getAccessTokenForConnection({ connection: 'demo', loginHint: 'dora' }, browser);
    assert.equal(await world.owner(token.accessToken), 'dora');
  });

  tested.without('byAccessToken', 'It exchanges the refresh token of its session only.');

  tested.tries('audiences', async () => {
    const browser = await signIn('emma');
    const { refreshToken } = await remember(browser);
    const orders = await sdk.getAccessToken({ audience: ORDERS, scope: 'openid read:orders' }, browser);
    const me = await meToken(browser, LIST);
    const vault = await sdk.getAccessToken({ audience: `${world.vault}/`, scope: SCOPE }, browser);
    assert.deepEqual(
      [orders, me, vault].map(({ accessToken }) => [claimsOf(accessToken).aud].flat()),
      [[ORDERS], [`${world.vault}/me/`], [`${world.vault}/`]],
    );
    const session = await remember(browser);
    assert.notEqual(session.refreshToken, refreshToken);
  });

  tested.tries('refreshTwice', async () => {
    const browser = await signIn('fiona');
    const seen = new Set([(await remember(browser)).refreshToken]);
    for (const scope of ['openid', 'openid read:orders']) {
      await sdk.getAccessToken({ audience: ORDERS, scope }, browser);
      seen.add((await remember(browser)).refreshToken);
    }
    assert.equal(seen.size, 3);
  });

  tested.tries('logout', async () => {
    const browser = await signIn('gerda');
    const before = { sessions: new Map(browser.sessions) };
    const address = await sdk.logout({ returnTo: BYE }, browser);
    assert.equal(`${address.origin}${address.pathname}`, `${world.vault}/oidc/logout`);
    assert.equal(await sdk.getSession(browser), undefined);
    // It sends no id_token_hint, so the vault asks the user.
    const { page, url } = await browse(address, { login: 'nobody', jar: browser.jar, stop: startsAt(BYE) });
    const [form] = formsOf(page?.text);
    const done = await send(browser.jar, new URL(form.action, url).href, { form: form.fields, origin: world.vault });
    assert.deepEqual([done.status, done.headers.get('location')], [303, BYE]);
    // It has revoked the refresh token.
    const thrown = await rejection(sdk.getAccessToken({ audience: ORDERS, scope: 'openid' }, before));
    assert.equal(thrown.cause?.error, 'invalid_grant');
  });

  tested.tries('backChannelLogout', async () => {
    const browser = await signIn('heidi');
    const { idToken } = await remember(browser);
    const address = new URL(`${world.vault}/oidc/logout`);
    address.search = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: BYE }).toString();
    await browse(address, { login: 'nobody', jar: browser.jar, stop: startsAt(BYE) });
    await eventually('the end of the session', async () => await sdk.getSession(browser) === undefined);
  });

  tested.tries('notConnected', async () => (
    refused(await signIn('ida'), 'federated_connection_refresh_token_not_found')
  ));

  tested.tries('unknownConnection', async () => (
    refused(await signIn('julia'), 'unauthorized_client', { connection: 'unknown' })
  ));

  tested.without('missingScopes', 'It names no scopes in an exchange.');

  tested.tries('wrongSecret', async () => (
    refused(await signIn('klara'), 'invalid_client', { by: client({ clientSecret: 'wrong' }) })
  ));

  tested.tries('revokedRefreshToken', async () => {
    const browser = await connected('lena');
    await sdk.revokeRefreshToken({}, browser);
    return refused(browser, 'invalid_grant');
  });

  // The tests from here on move the vault's clock.
  tested.tries('providerDown', async () => {
    const maria = await connected('maria');
    return whileDown(world, async () => {
      const thrown = await rejection(sdk.getAccessTokenForConnection({ connection: 'demo' }, maria));
      // The package reads no error from a response with a status of 500 or above.
      assert.deepEqual([thrown.code, thrown.cause.error], ['token_for_connection_error', '']);
      return '`TokenForConnectionError`, `cause.error` is empty';
    });
  });

  tested.tries('reconnectRequired', async () => {
    const nora = await connected('nora');
    return whileRefused(world, () => refused(nora, 'federated_connection_refresh_token_flow_failed'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const olga = await connected('olga');
    await world.advance(REFRESH_TOKEN_LIFE);
    return refused(olga, 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
