// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the Python package `auth0-api-python`: an API verifies its caller's token and exchanges it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { GRANT } from '../../xtask/js/vault-api.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, connected as connectedUser, pythonVersion, refresh, signIn as signInUser, throws } from './driver.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, whileDown, whileRefused } from './failing.mjs';
import { startVault } from './vault.mjs';

const NAME = 'auth0-api-python';

/** A secret that HTTP Basic would carry in another form if `httpx` encoded it. */
const ODD_SECRET = 'p+q%2Fr s&t=u/0123456789abcdef0123456789abcdef';

describe(NAME, { timeout: 120_000 }, () => {
  let vault;
  let world;
  let sdk;

  before(async () => {
    vault = await startVault(() => ({
      odd: {
        authentication: 'client_secret',
        secret_sha256: [createHash('sha256').update(ODD_SECRET).digest('hex')],
        grants: [GRANT.auth0],
        connections: ['demo'],
        accepts_from: ['web'],
      },
    }));
    ({ world } = vault);
    world.secrets.add(ODD_SECRET);
    const { web, host } = vault;
    sdk = Driver.python('api_client.py', vault, [host, web.client_id, web.client_secret]);
  });
  after(async () => {
    await sdk?.close();
    await world?.close();
  });

  const signIn = (login) => signInUser(vault, login);
  const connected = (login) => connectedUser(vault, login);
  const exchange = ({ access_token: token }, more = {}) => sdk.call('exchange', { access_token: token, ...more });

  async function refused(promise, status, error) {
    await throws(promise, { class: 'ApiError', status_code: status, code: error });
    return `\`ApiError\`, \`status_code\` is ${status}, \`code\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME),
    registry: 'PyPI',
    settings: ['`domain` is the host of the vault', '`audience` is the vault’s address with a slash at the end'],
  });

  for (const topic of /** @type {const} */ (['login', 'me', 'connect', 'list', 'refreshTwice', 'audiences', 'logout', 'backChannelLogout'])) {
    tested.without(topic, 'It is for APIs, which get their callers’ access tokens.');
  }
  for (const topic of /** @type {const} */ (['byRefreshToken', 'revokedRefreshToken'])) {
    tested.without(topic, 'It exchanges access tokens only.');
  }
  tested.without('missingScopes', 'It names no scopes in an exchange.');

  test('verifies an access token of the vault, and no other token', async () => {
    const user = await signIn('anna');
    const claims = await sdk.call('verify', { access_token: user.access_token });
    assert.deepEqual([claims.sub, claims.iss], ['demo|anna', `${world.vault}/`]);
    await throws(sdk.call('verify', { access_token: user.id_token }), { class: 'VerifyAccessTokenError' });
  });

  tested.tries('byAccessToken', async () => {
    const tokens = await exchange(await connected('berta'));
    assert.equal(await world.owner(tokens.access_token), 'berta');
  });

  test('exchanges with a secret that has characters that HTTP Basic may carry encoded', async () => {
    const user = await connected('bella');
    const odd = (secret) => exchange(user, { client_id: 'odd', secret });
    assert.equal(await world.owner((await odd(ODD_SECRET)).access_token), 'bella');
    await refused(odd(`${ODD_SECRET}x`), 401, 'invalid_client');
  });

  tested.tries('notConnected', async () => (
    refused(exchange(await signIn('carla')), 401, 'federated_connection_refresh_token_not_found')
  ));

  tested.tries('unknownConnection', async () => (
    refused(exchange(await signIn('dora'), { connection: 'unknown' }), 403, 'unauthorized_client')
  ));

  tested.tries('wrongSecret', async () => refused(exchange(await signIn('emma'), { secret: 'wrong' }), 401, 'invalid_client'));

  // The tests from here on move the vault's clock.
  tested.tries('reconnectRequired', async () => {
    const user = await connected('fiona');
    return whileRefused(world, async () => (
      refused(exchange(await refresh(vault, user.refresh_token)), 401, 'federated_connection_refresh_token_flow_failed')
    ));
  });

  tested.tries('providerDown', async () => {
    const user = await connected('gerda');
    return whileDown(world, async () => (
      refused(exchange(await refresh(vault, user.refresh_token)), 503, 'temporarily_unavailable')
    ));
  });

  tested.tries('expiredSubjectToken', async () => {
    const user = await connected('heidi');
    await world.advance(ACCESS_TOKEN_LIFE);
    return refused(exchange(user), 403, 'invalid_grant');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
