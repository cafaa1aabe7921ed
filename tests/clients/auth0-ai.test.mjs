// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the npm package `@auth0/ai`: the tools of an agent that act at a provider for a user.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { AuthClient } from '@auth0/auth0-auth-js';
import { Compatibility, npmVersion } from './compatibility.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, rejection, whileDown, whileRefused } from './failing.mjs';
import { CALLBACK, ME_SCOPE, connect, startVault, visit } from './vault.mjs';

// Its ES modules import each other without file extensions, so Node needs its CommonJS modules.
const require = createRequire(import.meta.url);
const { MemoryStore } = require('@auth0/ai/stores');
const { SUBJECT_TOKEN_TYPES, TokenVaultAuthorizerBase, getAccessTokenFromTokenVault } = require('@auth0/ai/TokenVault');

const NAME = '@auth0/ai';

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let host;
  let auth;
  /** The error of the vault's last response, which the package does not show. */
  let error;
  const { fetch } = globalThis;

  before(async () => {
    ({ world, web, host } = await startVault());
    auth = new AuthClient({
      domain: host,
      clientId: web.client_id,
      clientSecret: web.client_secret,
      authorizationParams: { redirect_uri: CALLBACK, scope: 'openid offline_access', audience: `${world.vault}/` },
    });
    globalThis.fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (String(input) === `${world.vault}/oauth/token`) error = (await response.clone().json()).error;
      return response;
    };
  });
  after(() => {
    globalThis.fetch = fetch;
    return world?.close();
  });

  function remember(tokens) {
    for (const one of [tokens.accessToken, tokens.refreshToken, tokens.idToken]) world.secrets.add(one);
    return tokens;
  }

  /** Signs a user in, with another package. */
  async function signIn(login) {
    const { authorizationUrl, codeVerifier } = await auth.buildAuthorizationUrl();
    const { back } = await visit(authorizationUrl, login);
    return remember(await auth.getTokenByCode(back, { codeVerifier }));
  }

  async function connected(login) {
    const { refreshToken, accessToken } = await signIn(login);
    const me = remember(await auth.getTokenByRefreshToken({ refreshToken, audience: `${world.vault}/me/`, scope: ME_SCOPE }));
    const done = await connect(world, me.accessToken, login);
    assert.equal(done.status, 201);
    return { accessToken, refreshToken: me.refreshToken };
  }

  /** Runs a tool that acts for the user; it returns the provider's token. */
  function tool(params, { secret = web.client_secret, connection = 'demo', scopes = ['openid', 'email'] } = {}) {
    const settings = { domain: host, clientId: web.client_id, clientSecret: secret };
    const authorizer = new TokenVaultAuthorizerBase(settings, {
      store: new MemoryStore(), connection, scopes, credentialsContext: 'tool-call', ...params,
    });
    const context = () => ({ threadID: 'thread', toolCallID: 'call', toolName: 'tool' });
    return authorizer.protect(context, () => getAccessTokenFromTokenVault())();
  }

  const byRefreshToken = ({ refreshToken }) => ({ refreshToken: async () => refreshToken });
  const byAccessToken = ({ accessToken }) => (
    { accessToken: async () => accessToken, subjectTokenType: SUBJECT_TOKEN_TYPES.SUBJECT_TYPE_ACCESS_TOKEN }
  );

  /** What the application sees if the vault refuses the exchange. */
  async function interrupted(promise, expected) {
    const thrown = await rejection(promise);
    assert.equal(thrown.code, 'TOKEN_VAULT_ERROR', thrown.stack);
    assert.deepEqual([error, thrown.requiredScopes], [expected, ['openid', 'email']]);
    return `\`TokenVaultInterrupt\`: ask the user to connect (the vault’s error was \`${expected}\`)`;
  }

  const tested = new Compatibility(NAME, {
    version: npmVersion(NAME),
    settings: ['`domain` is the host of the vault', '`clientId` and `clientSecret` of the client that the user’s token was issued to'],
  });

  const application = 'It gets the user’s token from the application and has no function for it.';
  for (const topic of /** @type {const} */ (['login', 'me', 'connect', 'list', 'refreshTwice', 'audiences', 'logout', 'backChannelLogout'])) {
    tested.without(topic, application);
  }

  tested.tries('byRefreshToken', async () => {
    const user = await connected('anna');
    assert.equal(await world.owner(await tool(byRefreshToken(user))), 'anna');
    const hinted = { ...byRefreshToken(user), loginHint: async () => 'anna' };
    assert.equal(await world.owner(await tool(hinted)), 'anna');
  });

  tested.tries('byAccessToken', async () => {
    const user = await connected('berta');
    assert.equal(await world.owner(await tool(byAccessToken(user))), 'berta');
  });

  tested.tries('notConnected', async () => (
    interrupted(tool(byRefreshToken(await signIn('carla'))), 'federated_connection_refresh_token_not_found')
  ));

  tested.tries('unknownConnection', async () => (
    interrupted(tool(byRefreshToken(await signIn('dora')), { connection: 'unknown' }), 'unauthorized_client')
  ));

  // It sends no scopes: it compares those of the response with those that the tool needs.
  tested.tries('missingScopes', async () => {
    const user = await connected('emma');
    const thrown = await rejection(tool(byRefreshToken(user), { scopes: ['email', 'calendar'] }));
    assert.equal(thrown.code, 'TOKEN_VAULT_ERROR');
    assert.match(thrown.message, /Missing scopes: calendar$/);
    assert.equal(thrown.requiredScopes.at(-1), 'calendar');
    return '`TokenVaultInterrupt`, `requiredScopes` are those that the account has and those that it lacks';
  });

  tested.tries('wrongSecret', async () => (
    interrupted(tool(byRefreshToken(await connected('fiona')), { secret: 'wrong' }), 'invalid_client')
  ));

  tested.tries('revokedRefreshToken', async () => {
    const user = await connected('gerda');
    await auth.revokeToken({ token: user.refreshToken, tokenTypeHint: 'refresh_token' });
    return interrupted(tool(byRefreshToken(user)), 'invalid_grant');
  });

  // The tests from here on move the vault's clock.
  tested.tries('providerDown', async () => {
    const user = await connected('heidi');
    return whileDown(world, () => interrupted(tool(byRefreshToken(user)), 'temporarily_unavailable'));
  });

  tested.tries('reconnectRequired', async () => {
    const user = await connected('ida');
    return whileRefused(world, () => interrupted(tool(byRefreshToken(user)), 'federated_connection_refresh_token_flow_failed'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const user = await connected('julia');
    await world.advance(ACCESS_TOKEN_LIFE);
    return interrupted(tool(byAccessToken(user)), 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
