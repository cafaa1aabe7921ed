// SPDX-License-Identifier: Apache-2.0
// The vault as the domain of the Python package `auth0-server-python`, with which a server keeps its users' sessions.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, pythonVersion, throws } from './driver.mjs';
import { REFRESH_TOKEN_LIFE, assertLogHasNoSecret, whileDown, whileRefused } from './failing.mjs';
import { BYE, CALLBACK, CONNECTED, ORDERS, startVault, visit } from './vault.mjs';

const NAME = 'auth0-server-python';

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let web;
  let host;
  let receiver;
  let sdk;

  before(async () => {
    receiver = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      await sdk.call('backchannel_logout', { logout_token: new URLSearchParams(body).get('logout_token') });
      response.writeHead(200).end();
    });
    await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', () => resolve(undefined)); });
    const address = `http://127.0.0.1:${receiver.address().port}/`;
    const vault = await startVault(undefined, undefined, { backchannel_logout_uri: address });
    ({ world, web, host } = vault);
    sdk = Driver.python('server_client.py', vault, [host, web.client_id, web.client_secret, CALLBACK, CONNECTED]);
  });
  after(async () => {
    await sdk?.close();
    await world?.close();
    receiver?.closeAllConnections();
    receiver?.close();
  });

  /** Adds the tokens of a browser's session to the secrets that must not be logged; returns them. */
  async function remember(browser) {
    const tokens = await sdk.call('tokens', { browser });
    for (const one of [tokens.refresh_token, tokens.id_token, ...tokens.access_tokens]) if (one) world.secrets.add(one);
    return tokens;
  }

  /** Signs a user in, whose name is that of the browser too; returns the browser's cookies. */
  async function signIn(browser, pushed = false) {
    const address = await sdk.call('start_login', { browser, pushed });
    const { jar, back } = await visit(address, browser);
    await sdk.call('complete_login', { browser, url: back.href });
    await remember(browser);
    return jar;
  }

  async function connected(browser) {
    await signIn(browser);
    const link = await sdk.call('start_connect', { browser, connection: 'demo' });
    const { back } = await visit(link, browser, { redirectUri: CONNECTED });
    const account = await sdk.call('complete_connect', { browser, url: back.href });
    await remember(browser);
    return account;
  }

  /** What the application sees if it asks for the provider's token; `reason` is in the text of the exception. */
  async function refused(browser, reason, more = {}) {
    const { text } = await throws(sdk.call('connection_token', { browser, connection: 'demo', ...more }), {
      class: 'AccessTokenForConnectionError', code: 'api_error',
    });
    assert.match(text, reason);
    return `\`AccessTokenForConnectionError\`, \`code\` is \`api_error\`, the text is “${text}”`;
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME),
    registry: 'PyPI',
    settings: [
      '`domain` is the host of the vault',
      '`audience` is the vault’s address with a slash at the end',
      'the state store’s `set` takes the options as its third argument too, because the package passes them so with a connection’s token',
    ],
  });

  tested.tries('login', async () => {
    await signIn('anna');
    const user = await sdk.call('user', { browser: 'anna' });
    assert.deepEqual([user.sub, user.email], ['demo|anna', 'anna@example.com']);
  });

  test('signs a user in with a pushed request', async () => {
    await signIn('beate', true);
    assert.equal((await sdk.call('user', { browser: 'beate' })).sub, 'demo|beate');
  });

  tested.tries('me', async () => {
    await signIn('berta');
    const token = await sdk.call('access_token', {
      browser: 'berta', audience: `${world.vault}/me/`, scope: 'openid read:me:connected_accounts',
    });
    world.secrets.add(token);
    assert.equal(claimsOf(token).aud, `${world.vault}/me/`);
    assert.match(claimsOf(token).scope, /read:me:connected_accounts/);
  });

  tested.tries('connect', async () => {
    const account = await connected('carla');
    assert.match(account.id, /^cac_/);
    assert.equal(account.connection, 'demo');
  });

  tested.tries('list', async () => {
    const { id } = await connected('dora');
    const { accounts } = await sdk.call('accounts', { browser: 'dora' });
    assert.deepEqual(accounts.map((one) => [one.id, one.connection]), [[id, 'demo']]);
    const { connections } = await sdk.call('connections', { browser: 'dora' });
    assert.deepEqual(connections.map((one) => one.name), ['demo']);
    await sdk.call('disconnect', { browser: 'dora', account: id });
    assert.deepEqual((await sdk.call('accounts', { browser: 'dora' })).accounts, []);
    await remember('dora');
  });

  tested.tries('byRefreshToken', async () => {
    await connected('emma');
    const token = await sdk.call('connection_token', { browser: 'emma', connection: 'demo' });
    assert.equal(await world.owner(token), 'emma');
  });

  tested.without('byAccessToken', 'It exchanges the refresh token of its session only.');

  tested.tries('refreshTwice', async () => {
    await signIn('fiona');
    const seen = new Set([(await remember('fiona')).refresh_token]);
    for (const scope of ['openid', 'openid read:orders']) {
      await sdk.call('access_token', { browser: 'fiona', audience: ORDERS, scope });
      seen.add((await remember('fiona')).refresh_token);
    }
    assert.equal(seen.size, 3);
  });

  tested.tries('audiences', async () => {
    await signIn('gerda');
    for (const [audience, scope] of [[ORDERS, 'openid read:orders'], [`${world.vault}/me/`, 'openid read:me:connected_accounts'], [`${world.vault}/`, 'openid']]) {
      const token = await sdk.call('access_token', { browser: 'gerda', audience, scope });
      await remember('gerda');
      assert.ok([claimsOf(token).aud].flat().includes(audience));
    }
  });

  tested.tries('logout', async () => {
    const jar = await signIn('heidi');
    const { refresh_token: token } = await remember('heidi');
    const address = await sdk.call('logout', { browser: 'heidi', return_to: BYE });
    assert.equal(new URL(address).pathname, '/v2/logout');
    const end = await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    assert.equal(end.url, BYE);
    assert.equal(await sdk.call('user', { browser: 'heidi' }), null);
    await throws(sdk.call('refresh', { refresh_token: token }), { class: 'ApiError', code: 'invalid_grant' });
  });

  tested.tries('backChannelLogout', async () => {
    const jar = await signIn('ida');
    const { id_token: hint } = await remember('ida');
    const address = `${world.vault}/oidc/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: BYE })}`;
    await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    await eventually('the end of the session', async () => await sdk.call('user', { browser: 'ida' }) === null);
  });

  tested.tries('notConnected', async () => {
    await signIn('julia');
    return refused('julia', /not connected/);
  });

  tested.without('missingScopes', 'It names no scopes in an exchange.');

  tested.tries('unknownConnection', async () => {
    await signIn('klara');
    return refused('klara', /^no connection of this name/, { connection: 'unknown' });
  });

  tested.tries('wrongSecret', async () => {
    await signIn('lena');
    return refused('lena', /^unknown client/, { secret: 'wrong' });
  });

  tested.tries('revokedRefreshToken', async () => {
    await connected('maria');
    const { refresh_token: token } = await remember('maria');
    // The package has no function for this: the user's session ends elsewhere.
    const revoked = await world.api.call('POST', '/oauth/revoke', { form: { ...web, token } });
    assert.equal(revoked.status, 200);
    return refused('maria', /subject token is not accepted/);
  });

  // The tests from here on move the vault's clock, and the package refuses an ID token from the future.
  tested.tries('reconnectRequired', async () => {
    for (const browser of ['nora', 'olga']) await connected(browser);
    return whileRefused(world, () => refused('nora', /must connect it again/));
  });

  tested.tries('providerDown', () => whileDown(world, () => refused('olga', /cannot renew the token at the moment/)));

  tested.tries('expiredSubjectToken', async () => {
    await world.advance(REFRESH_TOKEN_LIFE);
    return refused('olga', /subject token is not accepted/);
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
