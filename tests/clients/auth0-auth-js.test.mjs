// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the npm package `@auth0/auth0-auth-js`, on which Auth0's SDKs for servers are built.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { AuthClient } from '@auth0/auth0-auth-js';
import { browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { formsOf, visit as send } from '../e2e/relying-party.mjs';
import { notedTests, npmVersion } from './compatibility.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { BYE, CALLBACK, ME_SCOPE, connect, startVault, visit } from './vault.mjs';

const SCOPE = 'openid profile email offline_access';

describe('@auth0/auth0-auth-js', { timeout: 120_000 }, () => {
  let world;
  let web;
  let host;
  /** The status of the vault's last response. */
  let status;

  /** Receives the logout tokens that the vault sends. */
  let receiver;
  const logouts = [];

  before(async () => {
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      logouts.push(new URLSearchParams(body).get('logout_token'));
      response.writeHead(200).end();
    });
    await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', () => resolve(undefined)); });
    const address = `http://127.0.0.1:${receiver.address().port}/`;
    ({ world, web, host } = await startVault(undefined, undefined, { backchannel_logout_uri: address }));
  });
  after(async () => {
    await world?.close();
    receiver?.closeAllConnections();
    receiver?.close();
  });

  const tries = notedTests('@auth0/auth0-auth-js', {
    version: npmVersion('@auth0/auth0-auth-js'),
    settings: ['`domain` is the host of the vault', '`audience` is the vault’s address with a slash at the end'],
  });

  const watch = async (/** @type {any} */ input, /** @type {any} */ init) => {
    const response = await fetch(input, init);
    status = response.status;
    return response;
  };

  const client = (more = {}) => new AuthClient({
    customFetch: watch,
    domain: host,
    clientId: web.client_id,
    clientSecret: web.client_secret,
    authorizationParams: { redirect_uri: CALLBACK, scope: SCOPE, audience: `${world.vault}/` },
    ...more,
  });

  function remember(tokens) {
    for (const one of [tokens.accessToken, tokens.refreshToken, tokens.idToken]) world.secrets.add(one);
    return tokens;
  }

  async function signIn(login, options = {}) {
    const auth = client();
    const { authorizationUrl, codeVerifier } = await auth.buildAuthorizationUrl(options);
    const { jar, back } = await visit(authorizationUrl, login);
    const tokens = remember(await auth.getTokenByCode(back, { codeVerifier }));
    return { auth, jar, tokens, authorizationUrl };
  }

  /** Signs a user in and connects the user's account; the refresh token is the current one. */
  async function connected(login) {
    const { auth, tokens } = await signIn(login);
    const me = remember(await auth.getTokenByRefreshToken({
      refreshToken: tokens.refreshToken, audience: `${world.vault}/me/`, scope: ME_SCOPE,
    }));
    const done = await connect(world, me.accessToken, login);
    assert.equal(done.status, 201);
    return { auth, accessToken: tokens.accessToken, refreshToken: me.refreshToken };
  }

  /** Asserts that a call fails with the SDK's own error of this code, because of this error of the vault. */
  async function fails(promise, code, expected, error) {
    await assert.rejects(promise, (/** @type {any} */ thrown) => {
      assert.deepEqual([thrown.code, thrown.cause?.error], [code, error], thrown.stack);
      return true;
    });
    assert.equal(status, expected);
  }

  for (const [way, pushed] of /** @type {[string, boolean][]} */ ([['', false], [' with a pushed request', true]])) {
    tries(`signs a user in${way}`, async () => {
      const { tokens, authorizationUrl } = await signIn('anna', { pushedAuthorizationRequests: pushed });
      assert.equal(authorizationUrl.searchParams.has('request_uri'), pushed);
      assert.equal(authorizationUrl.searchParams.has('scope'), !pushed);
      assert.deepEqual([tokens.claims.sub, tokens.claims.iss], ['demo|anna', `${world.vault}/`]);
      assert.equal(tokens.scope, SCOPE);
      assert.ok(tokens.refreshToken);
    });
  }

  tries('refreshes', async () => {
    const { auth, tokens } = await signIn('berta');
    const fresh = remember(await auth.getTokenByRefreshToken({ refreshToken: tokens.refreshToken }));
    assert.equal(fresh.scope, SCOPE);
    assert.equal(fresh.claims.sub, 'demo|berta');
    assert.notEqual(fresh.refreshToken, tokens.refreshToken);
  });

  tries('reads userinfo', async () => {
    const { auth, tokens } = await signIn('carla');
    const user = await auth.getUserInfo({ accessToken: tokens.accessToken, expectedSubject: 'demo|carla' });
    assert.equal(user.email, 'carla@example.com');
  });

  tries('exchanges a refresh token for a connection’s token, more than once', async () => {
    const { auth, refreshToken } = await connected('dora');
    for (let time = 0; time < 2; time += 1) {
      const tokens = await auth.getTokenForConnection({ connection: 'demo', refreshToken });
      assert.equal(await world.owner(tokens.accessToken), 'dora');
    }
    const hinted = await auth.getTokenForConnection({ connection: 'demo', refreshToken, loginHint: 'dora' });
    assert.equal(await world.owner(hinted.accessToken), 'dora');
    // The exchange did not use the refresh token up.
    remember(await auth.getTokenByRefreshToken({ refreshToken }));
  });

  tries('exchanges an access token for a connection’s token', async () => {
    const { auth, accessToken } = await connected('emma');
    const tokens = await auth.getTokenForConnection({ connection: 'demo', accessToken });
    assert.equal(await world.owner(tokens.accessToken), 'emma');
    const vault = await auth.exchangeToken({
      connection: 'demo', subjectToken: accessToken, subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    });
    assert.equal(await world.owner(vault.accessToken), 'emma');
  });

  tries('is told why an exchange fails', async () => {
    const { auth, tokens } = await signIn('fiona');
    const { refreshToken } = tokens;
    const failed = 'token_for_connection_error';
    const missing = 'federated_connection_refresh_token_not_found';
    await fails(auth.getTokenForConnection({ connection: 'demo', refreshToken }), failed, 401, missing);
    await fails(auth.getTokenForConnection({ connection: 'other', refreshToken }), failed, 403, 'unauthorized_client');
    await fails(auth.getTokenForConnection({ connection: 'demo', refreshToken: 'unknown' }), failed, 403, 'invalid_grant');
    await fails(auth.getTokenForConnection({ connection: 'demo', accessToken: 'unknown' }), failed, 403, 'invalid_grant');
    const stranger = client({ clientSecret: 'wrong' });
    await fails(stranger.getTokenForConnection({ connection: 'demo', refreshToken }), failed, 401, 'invalid_client');
  });

  tries('is told that a code or a refresh token is not good', async () => {
    const auth = client();
    await fails(auth.getTokenByRefreshToken({ refreshToken: 'unknown' }), 'token_by_refresh_token_error', 400, 'invalid_grant');
    const { authorizationUrl } = await auth.buildAuthorizationUrl();
    const { back } = await visit(authorizationUrl, 'gerda');
    const codeVerifier = 'x'.repeat(43);
    await fails(auth.getTokenByCode(back, { codeVerifier }), 'token_by_code_error', 400, 'invalid_grant');
  });

  tries('is told that a pushed request is not good', async () => {
    const auth = client({ authorizationParams: { redirect_uri: 'https://evil.example.com/', scope: SCOPE } });
    await fails(auth.buildAuthorizationUrl({ pushedAuthorizationRequests: true }), 'build_authorization_url_error', 400, 'invalid_request');
  });

  tries('revokes a refresh token', async () => {
    const { auth, tokens } = await signIn('heidi');
    await auth.revokeToken({ token: tokens.refreshToken, tokenTypeHint: 'refresh_token' });
    await fails(auth.getTokenByRefreshToken({ refreshToken: tokens.refreshToken }), 'token_by_refresh_token_error', 400, 'invalid_grant');
  });

  tries('asks the user before it signs out, because the SDK sends no id_token_hint', async () => {
    const { auth, jar } = await signIn('ida');
    const address = await auth.buildLogoutUrl({ returnTo: BYE });
    assert.equal(`${address.origin}${address.pathname}`, `${world.vault}/oidc/logout`);
    const end = await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    assert.equal(end.page?.status, 200);
    const [form] = formsOf(end.page.text);
    const action = new URL(form.action, end.url).href;
    const done = await send(jar, action, { form: form.fields, origin: world.vault });
    assert.deepEqual([done.status, done.headers.get('location')], [303, BYE]);
    const silent = await auth.buildAuthorizationUrl({ authorizationParams: { prompt: 'none' } });
    const { back } = await visit(silent.authorizationUrl, 'nobody', { jar });
    assert.equal(back.searchParams.get('error'), 'login_required');
  });

  tries('verifies the logout token that the vault sends when a session ends', async () => {
    const { auth, jar, tokens } = await signIn('julia');
    const before = logouts.length;
    const address = new URL(`${world.vault}/oidc/logout`);
    address.search = new URLSearchParams({ id_token_hint: tokens.idToken, post_logout_redirect_uri: BYE }).toString();
    await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    await eventually('a logout token', () => logouts.length > before);
    const logout = await auth.verifyLogoutToken({ logoutToken: logouts[before] });
    assert.deepEqual([logout.sub, logout.sid], ['demo|julia', claimsOf(tokens.idToken).sid]);
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
