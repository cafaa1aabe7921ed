// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the authentication API of the Python package `auth0-python`.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, connected as connectedUser, pythonVersion, signIn as signInUser, throws } from './driver.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, whileDown, whileRefused } from './failing.mjs';
import { CALLBACK, startVault, visit } from './vault.mjs';

const NAME = 'auth0-python';
const REQUIREMENTS = 'requirements-auth0-python';
const REFRESH = 'urn:ietf:params:oauth:token-type:refresh_token';
const SCOPE = 'openid profile email offline_access';

describe(NAME, { timeout: 120_000 }, () => {
  let vault;
  let world;
  let sdk;

  before(async () => {
    vault = await startVault();
    ({ world } = vault);
    const { web, host } = vault;
    sdk = Driver.python('auth0_authentication.py', vault, [host, web.client_id, web.client_secret], REQUIREMENTS);
  });
  after(async () => {
    await sdk?.close();
    await world?.close();
  });

  function remember(tokens) {
    for (const name of ['access_token', 'refresh_token', 'id_token']) if (tokens[name]) world.secrets.add(tokens[name]);
    return tokens;
  }

  const signIn = (login) => signInUser(vault, login);
  const connected = (login) => connectedUser(vault, login);
  const exchange = (user, more = {}) => sdk.call('exchange', {
    subject_token_type: REFRESH, subject_token: user.refresh_token, connection: 'demo', ...more,
  });

  async function refused(promise, status, error) {
    await throws(promise, { class: 'Auth0Error', status_code: status, error_code: error });
    return `\`Auth0Error\`, \`status_code\` is ${status}, \`error_code\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME, REQUIREMENTS),
    registry: 'PyPI',
    settings: ['`domain` is the host of the vault'],
  });

  // The package sends either the client's secret or a verifier of PKCE with a code, not both.
  tested.tries('login', async () => {
    const pushed = await sdk.call('push', {
      parameters: {
        response_type: 'code',
        redirect_uri: CALLBACK,
        scope: SCOPE,
        nonce: 'a nonce',
      },
    });
    const address = `${world.vault}/authorize?${new URLSearchParams({ client_id: 'web', request_uri: pushed.request_uri })}`;
    const { back } = await visit(address, 'anna');
    const tokens = remember(await sdk.call('redeem', { code: back.searchParams.get('code'), redirect_uri: CALLBACK }));
    const claims = await sdk.call('verify', { id_token: tokens.id_token, nonce: 'a nonce' });
    assert.equal(claims.sub, 'demo|anna');
    const user = await sdk.call('userinfo', { access_token: tokens.access_token });
    assert.equal(user.email, 'anna@example.com');
  });

  tested.without('me', 'It names no audience when it refreshes.');
  tested.without('connect', 'It has no function for it.');
  tested.without('list', 'It has no function for it.');

  tested.tries('byRefreshToken', async () => {
    const user = await connected('berta');
    assert.equal(await world.owner((await exchange(user)).access_token), 'berta');
  });

  tested.tries('byAccessToken', async () => {
    const user = await connected('carla');
    const tokens = await exchange(user, { subject_token_type: TOKEN_TYPE.access, subject_token: user.access_token });
    assert.equal(await world.owner(tokens.access_token), 'carla');
  });

  tested.tries('refreshTwice', async () => {
    const first = await signIn('dora');
    const second = remember(await sdk.call('refresh', { refresh_token: first.refresh_token }));
    const third = remember(await sdk.call('refresh', { refresh_token: second.refresh_token, scope: 'openid' }));
    assert.equal(new Set([first, second, third].map((one) => one.refresh_token)).size, 3);
    assert.equal(third.scope, 'openid');
  });

  tested.without('audiences', 'It names no audience when it refreshes.');
  tested.without('logout', 'It has no function for it.');
  tested.without('backChannelLogout', 'It has no function for logout tokens.');

  tested.tries('notConnected', async () => (
    refused(exchange(await signIn('emma')), 401, 'federated_connection_refresh_token_not_found')
  ));

  tested.without('missingScopes', 'It names no scopes in an exchange.');

  tested.tries('unknownConnection', async () => (
    refused(exchange(await signIn('fiona'), { connection: 'unknown' }), 403, 'unauthorized_client')
  ));

  tested.tries('wrongSecret', async () => (
    refused(exchange(await signIn('gerda'), { secret: 'wrong' }), 401, 'invalid_client')
  ));

  tested.tries('revokedRefreshToken', async () => {
    const user = await connected('heidi');
    await sdk.call('revoke', { refresh_token: user.refresh_token });
    return refused(exchange(user), 403, 'invalid_grant');
  });

  // The tests from here on move the vault's clock.
  tested.tries('reconnectRequired', async () => {
    const user = await connected('ida');
    return whileRefused(world, () => refused(exchange(user), 401, 'federated_connection_refresh_token_flow_failed'));
  });

  tested.tries('providerDown', async () => {
    const user = await connected('julia');
    return whileDown(world, () => refused(exchange(user), 503, 'temporarily_unavailable'));
  });

  tested.tries('expiredSubjectToken', async () => {
    const user = await connected('klara');
    await world.advance(ACCESS_TOKEN_LIFE);
    return refused(exchange(user, { subject_token_type: TOKEN_TYPE.access, subject_token: user.access_token }), 403, 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
