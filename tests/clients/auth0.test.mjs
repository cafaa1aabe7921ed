// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the npm package `auth0` (node-auth0): its `AuthenticationClient`.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { AuthenticationClient, UserInfoClient } from 'auth0/legacy';
import { claimsOf } from '../../xtask/js/browser.mjs';
import { GRANT } from '../../xtask/js/vault-api.mjs';
import { Compatibility, npmVersion } from './compatibility.mjs';
import { ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE, assertLogHasNoSecret, rejection, whileDown, whileRefused } from './failing.mjs';
import { CALLBACK, CONNECTED, ME_SCOPE, ORDERS, connect, startVault, visit } from './vault.mjs';

const NAME = 'auth0';
const SCOPE = 'openid profile email offline_access';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let host;
  let sdk;
  /** The tokens of a user whom another issuer signed in. */
  let foreign;
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });

  before(async () => {
    ({ world, web, host } = await startVault(() => ({
      signer: {
        authentication: 'private_key_jwt',
        jwks: { keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'RS256', use: 'sig' }] },
        grants: ['authorization_code', 'refresh_token', ...Object.values(GRANT)],
        connections: ['demo'],
        redirect_uris: [CALLBACK, CONNECTED],
      },
    })));
    sdk = client(web.client_secret);
    foreign = await world.signIn('foreign', { client: 'webapp' });
  });
  after(() => world?.close());

  const client = (/** @type {string} */ clientSecret) => new AuthenticationClient({ domain: host, clientId: web.client_id, clientSecret });

  /** The data of a response; its tokens are secrets that must not be logged. */
  async function tokens(response) {
    const { data } = await response;
    for (const one of [data.access_token, data.refresh_token, data.id_token]) if (one) world.secrets.add(one);
    return data;
  }

  /** Signs a user in. The package validates the ID token with its nonce; the address is the application's own. */
  async function signIn(login, by = sdk, clientId = web.client_id) {
    const verifier = randomBytes(32).toString('base64url');
    const nonce = randomBytes(16).toString('base64url');
    const address = new URL(`${world.vault}/authorize`);
    address.search = new URLSearchParams({
      response_type: 'code', client_id: clientId, redirect_uri: CALLBACK, scope: SCOPE, audience: `${world.vault}/`, nonce,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
    }).toString();
    const { back } = await visit(address, login);
    const code = back.searchParams.get('code') ?? '';
    return tokens(by.oauth.authorizationCodeGrantWithPKCE(
      { code, code_verifier: verifier, redirect_uri: CALLBACK }, { idTokenValidateOptions: { nonce } },
    ));
  }

  const refresh = (refreshToken, more = {}) => tokens(sdk.oauth.refreshTokenGrant({ refresh_token: refreshToken, ...more }));
  const forMe = (refreshToken) => refresh(refreshToken, { audience: `${world.vault}/me/`, scope: ME_SCOPE });

  async function connected(login) {
    const user = await signIn(login);
    const me = await forMe(user.refresh_token);
    const done = await connect(world, me.access_token, login);
    assert.equal(done.status, 201);
    return { accessToken: user.access_token, refreshToken: me.refresh_token };
  }

  const exchange = (subject, more = {}, by = sdk) => by.oauth.tokenForConnection({ connection: 'demo', subject_token: subject, ...more });

  /** What the application sees if it asks for the provider's token. */
  async function refused(promise, status, error) {
    const thrown = await rejection(promise);
    assert.deepEqual([thrown.name, thrown.statusCode, thrown.error], ['AuthApiError', status, error], thrown.stack);
    return `\`AuthApiError\`, \`error\` is \`${error}\`, \`statusCode\` is ${status}`;
  }

  const tested = new Compatibility(NAME, {
    version: npmVersion(NAME),
    settings: ['`AuthenticationClient` of `auth0/legacy`', '`domain` is the host of the vault'],
  });

  tested.tries('login', async () => {
    const user = await signIn('anna');
    assert.equal(claimsOf(user.id_token).sub, 'demo|anna');
    const { data } = await new UserInfoClient({ domain: host }).getUserInfo(user.access_token);
    assert.deepEqual([data.sub, data.email], ['demo|anna', 'anna@example.com']);
  });

  tested.tries('me', async () => {
    const me = await forMe((await signIn('berta')).refresh_token);
    assert.equal(claimsOf(me.access_token).aud, `${world.vault}/me/`);
    assert.equal(me.scope, ME_SCOPE);
  });

  tested.without('connect', 'It has no function for it. An application calls the API with the token that the package gets.');
  tested.without('list', 'It has no function for it. An application calls the API with the token that the package gets.');

  tested.tries('byRefreshToken', async () => {
    const { refreshToken } = await connected('carla');
    const { access_token: token } = await tokens(exchange(refreshToken));
    assert.equal(await world.owner(token), 'carla');
    const hinted = await tokens(exchange(refreshToken, { login_hint: 'carla' }));
    assert.equal(await world.owner(hinted.access_token), 'carla');
  });

  tested.tries('byAccessToken', async () => {
    const { accessToken } = await connected('dora');
    const { access_token: token } = await tokens(exchange(accessToken, { subject_token_type: ACCESS_TOKEN }));
    assert.equal(await world.owner(token), 'dora');
  });

  test('authenticates by a signed assertion', async () => {
    const clientAssertionSigningKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const signer = new AuthenticationClient({ domain: host, clientId: 'signer', clientAssertionSigningKey });
    const user = await signIn('olga', signer, 'signer');
    const me = await tokens(signer.oauth.refreshTokenGrant({
      refresh_token: user.refresh_token, audience: `${world.vault}/me/`, scope: ME_SCOPE,
    }));
    assert.equal((await connect(world, me.access_token, 'olga')).status, 201);
    const { access_token: token } = await tokens(exchange(me.refresh_token, {}, signer));
    assert.equal(await world.owner(token), 'olga');
  });

  tested.tries('refreshTwice', async () => {
    const first = await signIn('emma');
    const second = await refresh(first.refresh_token);
    const third = await refresh(second.refresh_token);
    assert.equal(new Set([first, second, third].map((one) => one.refresh_token)).size, 3);
    assert.equal(claimsOf(third.id_token).sub, 'demo|emma');
  });

  tested.tries('audiences', async () => {
    const user = await signIn('fiona');
    const orders = await refresh(user.refresh_token, { audience: ORDERS, scope: 'openid read:orders' });
    const me = await forMe(orders.refresh_token);
    assert.deepEqual([orders, me].map((one) => [claimsOf(one.access_token).aud].flat()), [[ORDERS], [`${world.vault}/me/`]]);
  });

  tested.without('logout', 'It has no function for it. An application sends the browser to `/oidc/logout` itself.');
  tested.without('backChannelLogout', 'It keeps no sessions, and has no function for logout tokens.');

  tested.tries('notConnected', async () => (
    refused(exchange((await signIn('gerda')).refresh_token), 401, 'federated_connection_refresh_token_not_found')
  ));

  tested.tries('unknownConnection', async () => (
    refused(exchange((await signIn('heidi')).refresh_token, { connection: 'unknown' }), 403, 'unauthorized_client')
  ));

  tested.tries('missingScopes', async () => (
    refused(exchange((await connected('ida')).refreshToken, { scope: 'calendar' }), 400, 'invalid_scope')
  ));

  tested.tries('wrongSecret', async () => {
    const { refresh_token: token } = await signIn('julia');
    return refused(exchange(token, {}, client('wrong')), 401, 'invalid_client');
  });

  tested.tries('revokedRefreshToken', async () => {
    const { refreshToken } = await connected('klara');
    await sdk.oauth.revokeRefreshToken({ token: refreshToken });
    return refused(exchange(refreshToken), 403, 'invalid_grant');
  });

  // The tests from here on move the vault's clock.
  tested.tries('providerDown', async () => {
    const { refreshToken } = await connected('lena');
    return whileDown(world, () => refused(exchange(refreshToken), 503, 'temporarily_unavailable'));
  });

  tested.tries('reconnectRequired', async () => {
    const { refreshToken } = await connected('maria');
    return whileRefused(world, () => refused(exchange(refreshToken), 401, 'federated_connection_refresh_token_flow_failed'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const { accessToken, refreshToken } = await connected('nora');
    await world.advance(ACCESS_TOKEN_LIFE);
    await refused(exchange(accessToken, { subject_token_type: ACCESS_TOKEN }), 403, 'invalid_grant');
    await world.advance(REFRESH_TOKEN_LIFE);
    return refused(exchange(refreshToken), 403, 'invalid_grant');
  });

  test('is told that the token of another issuer has expired', async () => {
    const { webapp } = world.clients;
    const other = new AuthenticationClient({ domain: host, clientId: webapp.client_id, clientSecret: webapp.client_secret });
    await refused(exchange(foreign.access_token, { subject_token_type: ACCESS_TOKEN }, other), 403, 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
