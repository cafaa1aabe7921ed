// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the Python package `auth0-ai`, whose tools need a provider's access token.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call } from '../../xtask/js/vault-api.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, connected as connectedUser, pythonVersion, signIn as signInUser, throws } from './driver.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, whileDown, whileRefused } from './failing.mjs';
import { startVault } from './vault.mjs';

const NAME = 'auth0-ai';
const ABSENT = 'It only exchanges; the application signs users in and connects their accounts.';

describe(NAME, { timeout: 120_000 }, () => {
  let vault;
  let world;
  let sdk;

  before(async () => {
    vault = await startVault();
    ({ world } = vault);
    const { web, host } = vault;
    sdk = Driver.python('ai.py', vault, [host, web.client_id, web.client_secret]);
  });
  after(async () => {
    await sdk?.close();
    await world?.close();
  });

  const signIn = (login) => signInUser(vault, login);
  const connected = (login) => connectedUser(vault, login);
  const tool = (subject, more = {}) => sdk.call('call_tool', { subject, scopes: ['openid'], ...more });
  const byRefreshToken = ({ refresh_token: token }, more) => tool({ refresh_token: token }, more);
  const byAccessToken = ({ access_token: token }, more) => tool({ access_token: token }, more);

  /** The interrupt upon which an application lets the user connect; `reason` is in its text. */
  async function interrupted(promise, reason) {
    const { text } = await throws(promise, { class: 'TokenVaultInterrupt', code: 'TOKEN_VAULT_ERROR' });
    assert.match(text, reason);
    return `\`TokenVaultInterrupt\`, the text is “${text}”`;
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME),
    registry: 'PyPI',
    settings: ['`domain` is the host of the vault'],
  });

  for (const topic of /** @type {const} */ (['login', 'me', 'connect', 'list', 'refreshTwice', 'audiences', 'logout', 'backChannelLogout'])) {
    tested.without(topic, ABSENT);
  }

  tested.tries('byRefreshToken', async () => {
    assert.equal(await world.owner(await byRefreshToken(await connected('anna'))), 'anna');
  });

  tested.tries('byAccessToken', async () => {
    assert.equal(await world.owner(await byAccessToken(await connected('berta'))), 'berta');
  });

  tested.tries('notConnected', async () => interrupted(byRefreshToken(await signIn('carla')), /not connected/));

  tested.tries('missingScopes', async () => (
    interrupted(byRefreshToken(await connected('dora'), { scopes: ['openid', 'calendar'] }), /Missing scopes: calendar/)
  ));

  tested.tries('unknownConnection', async () => (
    interrupted(byRefreshToken(await signIn('emma'), { connection: 'unknown' }), /no connection of this name/)
  ));

  tested.tries('wrongSecret', async () => interrupted(byRefreshToken(await signIn('fiona'), { secret: 'wrong' }), /unknown client/));

  tested.tries('revokedRefreshToken', async () => {
    const user = await connected('gerda');
    const form = { ...vault.web, token: user.refresh_token };
    assert.equal((await call({ method: 'POST', url: `${world.vault}/oauth/revoke`, form })).status, 200);
    return interrupted(byRefreshToken(user), /subject token is not accepted/);
  });

  // The tests from here on move the vault's clock.
  tested.tries('reconnectRequired', async () => {
    const user = await connected('heidi');
    return whileRefused(world, () => interrupted(byRefreshToken(user), /must connect it again/));
  });

  tested.tries('providerDown', async () => {
    const user = await connected('ida');
    return whileDown(world, async () => {
      const seen = await throws(byRefreshToken(user), { class: 'Auth0Error', status_code: 503 });
      return `\`Auth0Error\`, \`status_code\` is 503, \`error_code\` is \`${seen.error_code}\``;
    });
  });

  tested.tries('expiredSubjectToken', async () => {
    const user = await connected('julia');
    await world.advance(ACCESS_TOKEN_LIFE);
    return interrupted(byAccessToken(user), /subject token is not accepted/);
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
