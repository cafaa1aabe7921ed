// SPDX-License-Identifier: Apache-2.0
// The vault as an OpenID provider of the Python package `authlib`, with HTTP Basic, which is its default.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { Compatibility } from './compatibility.mjs';
import { Driver, pythonVersion, throws } from './driver.mjs';
import { ACCESS_TOKEN_LIFE, assertLogHasNoSecret, whileDown, whileRefused } from './failing.mjs';
import { BYE, CALLBACK, CONNECTED, ME_SCOPE, ORDERS, startVault, visit } from './vault.mjs';

const NAME = 'authlib';
const REFRESH = 'urn:ietf:params:oauth:token-type:refresh_token';

/** A secret that HTTP Basic would carry in another form if the package encoded it. */
const ODD_SECRET = 'p+q%2Fr s&t=u/0123456789abcdef0123456789abcdef';

describe(NAME, { timeout: 120_000 }, () => {
  let vault;
  let world;
  let keys;
  let sdk;
  /** A user who connected before the clock moved. */
  let later;

  before(async () => {
    keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const signer = {
      authentication: 'private_key_jwt',
      jwks: { keys: [{ ...keys.publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'k' }] },
      grants: [GRANT.rfc8693],
      connections: ['demo'],
      accepts_from: ['web'],
    };
    vault = await startVault(() => ({
      odd: {
        authentication: 'client_secret',
        secret_sha256: [createHash('sha256').update(ODD_SECRET).digest('hex')],
        grants: [GRANT.rfc8693],
        connections: ['demo'],
        accepts_from: ['web'],
      },
      signer,
      lenient: { ...signer, assertion_audience: 'token_endpoint' },
    }));
    ({ world } = vault);
    world.secrets.add(ODD_SECRET);
    const { web } = vault;
    sdk = Driver.python('oauth_client.py', vault, [world.vault, web.client_id, web.client_secret]);
  });
  after(async () => {
    await sdk?.close();
    await world?.close();
  });

  function remember(tokens) {
    for (const name of ['access_token', 'refresh_token', 'id_token']) if (tokens[name]) world.secrets.add(tokens[name]);
    return tokens;
  }

  async function signIn(login) {
    const address = await sdk.call('start_login', { browser: login, redirect_uri: CALLBACK, audience: `${world.vault}/` });
    const { jar, back } = await visit(address, login);
    const tokens = remember(await sdk.call('complete_login', { browser: login, query: back.search.slice(1) }));
    return { jar, ...tokens };
  }

  const meToken = async (user) => (
    remember(await sdk.call('refresh', { refresh_token: user.refresh_token, audience: `${world.vault}/me/`, scope: ME_SCOPE }))
  );

  /** Signs a user in and connects the user's account with the package's session. */
  async function connected(login) {
    const user = await signIn(login);
    const me = await meToken(user);
    const api = (path, json) => sdk.call('call', { method: 'POST', path: `/me/v1/connected-accounts/${path}`, access_token: me.access_token, json });
    const verifier = 'v'.repeat(43);
    const started = await api('connect', {
      connection: 'demo',
      redirect_uri: CONNECTED,
      state: 'state',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      scopes: [],
    });
    assert.equal(started.status, 201);
    const { auth_session: session, connect_uri: link, connect_params: { ticket } } = started.body;
    const { back } = await visit(`${link}?ticket=${ticket}`, login, { redirectUri: CONNECTED });
    const done = await api('complete', {
      auth_session: session,
      connect_code: back.searchParams.get('connect_code'),
      redirect_uri: CONNECTED,
      code_verifier: verifier,
    });
    assert.equal(done.status, 201);
    return { ...user, refresh_token: me.refresh_token, me_token: me.access_token };
  }

  /** @type {(user: any, more?: {by?: string, [parameter: string]: any}, client?: object) => Promise<any>} */
  const exchange = (user, { by = 'refresh_token', ...more } = {}, client = {}) => sdk.call('exchange', {
    parameters: {
      grant_type: GRANT.rfc8693,
      subject_token: user[by],
      subject_token_type: by === 'refresh_token' ? REFRESH : TOKEN_TYPE.access,
      requested_token_type: TOKEN_TYPE.access,
      connection: 'demo',
      ...more,
    },
    ...client,
  });

  async function refused(promise, error) {
    await throws(promise, { class: 'OAuthError', error });
    return `\`OAuthError\`, \`error\` is \`${error}\``;
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME),
    registry: 'PyPI',
    settings: [
      '`server_metadata_url` is the vault’s address with `/.well-known/openid-configuration`',
      '`code_challenge_method` is `S256`',
      'with `private_key_jwt`: the client has `assertion_audience = "token_endpoint"`, or `PrivateKeyJWT` gets the issuer as `token_endpoint`',
    ],
  });

  tested.tries('login', async () => {
    const { userinfo, scope } = await signIn('anna');
    assert.deepEqual([userinfo.sub, userinfo.iss, userinfo.email], ['demo|anna', `${world.vault}/`, 'anna@example.com']);
    assert.equal(scope, 'openid profile email offline_access');
  });

  tested.tries('me', async () => {
    const token = await meToken(await signIn('berta'));
    assert.equal(token.scope, ME_SCOPE);
    assert.equal(claimsOf(token.access_token).aud, `${world.vault}/me/`);
  });

  tested.tries('connect', async () => { await connected('carla'); });

  tested.tries('list', async () => {
    const { me_token: token } = await connected('dora');
    const list = (what) => sdk.call('call', { method: 'GET', path: `/me/v1/connected-accounts/${what}`, access_token: token });
    const [accounts, connections] = [await list('accounts'), await list('connections')];
    assert.deepEqual([accounts.status, connections.status], [200, 200]);
    assert.deepEqual(accounts.body.accounts.map((one) => one.connection), ['demo']);
    assert.deepEqual(connections.body.connections.map((one) => one.name), ['demo']);
  });

  tested.tries('byRefreshToken', async () => {
    const user = await connected('emma');
    assert.equal(await world.owner((await exchange(user)).access_token), 'emma');
  });

  tested.tries('byAccessToken', async () => {
    const user = await connected('fiona');
    assert.equal(await world.owner((await exchange(user, { by: 'access_token' })).access_token), 'fiona');
  });

  test('exchanges with a secret that has characters that HTTP Basic may carry encoded', async () => {
    const user = await connected('frida');
    const odd = (secret) => exchange(user, { by: 'access_token' }, { client_id: 'odd', secret });
    assert.equal(await world.owner((await odd(ODD_SECRET)).access_token), 'frida');
    await refused(odd(`${ODD_SECRET}x`), 'invalid_client');
  });

  test('exchanges with signed assertions that name the issuer, or by an option of the client the token endpoint', async () => {
    const user = await connected('greta');
    const secret = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const by = (clientId, audience) => exchange(user, { by: 'access_token' }, { client_id: clientId, secret, method: 'private_key_jwt', audience });
    for (const [clientId, audience] of [['signer', `${world.vault}/`], ['lenient', `${world.vault}/`], ['lenient', undefined]]) {
      assert.equal(await world.owner((await by(clientId, audience)).access_token), 'greta');
    }
    // By default the package names the token endpoint.
    await refused(by('signer'), 'invalid_client');
  });

  tested.tries('refreshTwice', async () => {
    const first = await signIn('gerda');
    const second = remember(await sdk.call('refresh', { refresh_token: first.refresh_token }));
    const third = remember(await sdk.call('refresh', { refresh_token: second.refresh_token, method: 'client_secret_post' }));
    assert.equal(new Set([first, second, third].map((one) => one.refresh_token)).size, 3);
  });

  tested.tries('audiences', async () => {
    let { refresh_token: token } = await signIn('heidi');
    for (const audience of [ORDERS, `${world.vault}/me/`, `${world.vault}/`]) {
      const scope = { [ORDERS]: 'openid read:orders', [`${world.vault}/me/`]: ME_SCOPE }[audience] ?? 'openid';
      const tokens = remember(await sdk.call('refresh', { refresh_token: token, audience, scope }));
      assert.ok([claimsOf(tokens.access_token).aud].flat().includes(audience));
      token = tokens.refresh_token;
    }
  });

  tested.tries('logout', async () => {
    const { jar, id_token: hint, refresh_token: token } = await signIn('ida');
    const { end_session_endpoint: endpoint } = (await world.api.call('GET', '/.well-known/openid-configuration')).body;
    const address = `${endpoint}?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: BYE })}`;
    const end = await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    assert.equal(end.url, BYE);
    await refused(sdk.call('refresh', { refresh_token: token }), 'invalid_grant');
  });

  tested.without('backChannelLogout', 'It has no function for logout tokens.');

  tested.tries('notConnected', async () => refused(exchange(await signIn('julia')), 'invalid_target'));

  tested.tries('missingScopes', async () => (
    refused(exchange(await connected('klara'), { scope: 'openid calendar' }), 'invalid_scope')
  ));

  tested.tries('unknownConnection', async () => (
    refused(exchange(await signIn('lena'), { connection: 'unknown' }), 'invalid_target')
  ));

  tested.tries('wrongSecret', async () => (
    refused(exchange(await signIn('maria'), {}, { secret: 'wrong' }), 'invalid_client')
  ));

  tested.tries('revokedRefreshToken', async () => {
    const user = await connected('nora');
    assert.equal(await sdk.call('revoke', { token: user.refresh_token }), 200);
    return refused(exchange(user), 'invalid_request');
  });

  // The tests from here on move the vault's clock: the package refuses an ID token from the future.
  tested.tries('reconnectRequired', async () => {
    const user = await connected('olga');
    later = await connected('paula');
    return whileRefused(world, () => refused(exchange(user), 'invalid_target'));
  });

  tested.tries('providerDown', () => whileDown(world, async () => {
    const { text } = await throws(exchange(later), { class: 'HTTPError' });
    assert.match(text, /^503 /);
    return '`HTTPError` of `requests` with status 503; the session reads no body of a server error';
  }));

  tested.tries('expiredSubjectToken', async () => {
    assert.ok(world.clock > ACCESS_TOKEN_LIFE);
    return refused(exchange(later, { by: 'access_token' }), 'invalid_request');
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
