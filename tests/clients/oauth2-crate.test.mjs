// SPDX-License-Identifier: Apache-2.0
// The vault as the authorization server of the Rust crate `oauth2`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { claimsOf } from '../../xtask/js/browser.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, authorityFile, installed, throws } from './driver.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { CALLBACK, ME_SCOPE, ORDERS, connect, startVault, visit } from './vault.mjs';

const NAME = 'oauth2';

/** The version in the lock file that the program was built with. */
function lockedVersion() {
  const lock = readFileSync(new URL('rust/Cargo.lock', import.meta.url), 'utf8');
  const [, version] = /^name = "oauth2"\nversion = "(.*)"$/m.exec(lock) ?? [];
  return version;
}

describe(`the crate ${NAME}`, { timeout: 120_000 }, () => {
  let world;
  let web;
  let crate;

  before(async () => {
    const vault = await startVault();
    ({ world, web } = vault);
    crate = new Driver(installed().oauth2, [world.vault, web.client_id, web.client_secret, CALLBACK, authorityFile(vault)]);
  });
  after(async () => {
    await crate?.close();
    await world?.close();
  });

  function remember(tokens) {
    for (const name of ['access_token', 'refresh_token']) world.secrets.add(tokens[name]);
    return tokens;
  }

  async function signIn(login) {
    const { url, state, verifier } = await crate.call('authorize', { audience: `${world.vault}/` });
    const { back } = await visit(url, login);
    assert.equal(back.searchParams.get('state'), state);
    return remember(await crate.call('redeem', { code: back.searchParams.get('code'), verifier }));
  }

  const refresh = (token, more = {}) => crate.call('refresh', { token, ...more });

  async function refused(promise, error) {
    const { text } = await throws(promise, { class: 'ServerResponse' });
    assert.ok(text.startsWith(`${error}: `), text);
    return `\`RequestTokenError::ServerResponse\` with \`${error}\`, when it refreshes`;
  }

  const tested = new Compatibility(NAME, {
    version: lockedVersion(),
    registry: 'crates.io',
    settings: ['the endpoints’ addresses'],
  });

  tested.tries('login', async () => {
    const tokens = await signIn('anna');
    assert.equal(tokens.scope, 'openid profile email offline_access');
    assert.equal(tokens.expires_in, 600);
    assert.deepEqual(await crate.call('introspect', { token: tokens.access_token }), { active: true, sub: 'demo|anna' });
  });

  tested.tries('me', async () => {
    const { refresh_token: token } = await signIn('berta');
    const me = remember(await refresh(token, { audience: `${world.vault}/me/`, scope: ME_SCOPE }));
    assert.equal(claimsOf(me.access_token).aud, `${world.vault}/me/`);
    assert.equal((await connect(world, me.access_token, 'berta')).status, 201);
  });

  tested.tries('refreshTwice', async () => {
    const first = await signIn('carla');
    const second = remember(await refresh(first.refresh_token));
    const third = remember(await refresh(second.refresh_token));
    assert.equal(new Set([first, second, third].map((one) => one.refresh_token)).size, 3);
  });

  tested.tries('audiences', async () => {
    const { refresh_token: token } = await signIn('dora');
    const orders = remember(await refresh(token, { audience: ORDERS, scope: 'openid read:orders' }));
    assert.ok([claimsOf(orders.access_token).aud].flat().includes(ORDERS));
    const own = remember(await refresh(orders.refresh_token, { audience: `${world.vault}/`, scope: 'openid' }));
    assert.ok([claimsOf(own.access_token).aud].flat().includes(`${world.vault}/`));
  });

  tested.tries('wrongSecret', async () => {
    const { refresh_token: token } = await signIn('emma');
    return refused(refresh(token, { secret: 'wrong' }), 'invalid_client');
  });

  tested.tries('revokedRefreshToken', async () => {
    const { refresh_token: token } = await signIn('fiona');
    await crate.call('revoke', { token });
    return refused(refresh(token), 'invalid_grant');
  });

  for (const topic of /** @type {const} */ (['connect', 'list'])) tested.without(topic, 'It has no function for it.');
  for (const topic of /** @type {const} */ ([
    'byRefreshToken', 'byAccessToken', 'notConnected', 'reconnectRequired', 'missingScopes', 'unknownConnection',
    'expiredSubjectToken', 'providerDown',
  ])) tested.without(topic, 'It has no function for a token exchange.');
  for (const topic of /** @type {const} */ (['logout', 'backChannelLogout'])) {
    tested.without(topic, 'It is a client of OAuth 2.0, which has no logout.');
  }

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
