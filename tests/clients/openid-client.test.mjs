// SPDX-License-Identifier: Apache-2.0
// The vault as an OpenID provider of the npm package `openid-client`, which verifies what it receives.
import assert from 'node:assert/strict';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import * as client from 'openid-client';
import { browse, startsAt } from '../../xtask/js/browser.mjs';
import { notedTests, npmVersion } from './compatibility.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { BYE, CALLBACK, ORDERS, startVault, visit } from './vault.mjs';

const SCOPE = 'openid profile email offline_access';

describe('openid-client', { timeout: 120_000 }, () => {
  let world;
  let web;
  let issuer;
  let keys;

  before(async () => {
    keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...keys.publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'k' };
    ({ world, web } = await startVault(() => ({
      signer: {
        authentication: 'private_key_jwt',
        jwks: { keys: [jwk] },
        grants: ['authorization_code', 'refresh_token'],
        redirect_uris: [CALLBACK],
      },
    })));
    issuer = new URL(`${world.vault}/`);
  });
  after(() => world?.close());

  const tries = notedTests('openid-client', {
    version: npmVersion('openid-client'),
    settings: ['the issuer is the vault’s address with a slash at the end'],
  });

  const discover = (authentication = client.ClientSecretPost(web.client_secret)) => (
    client.discovery(issuer, web.client_id, undefined, authentication)
  );

  /** Signs a user in; the nonce, the state and the PKCE verifier are checked by the client. */
  async function signIn(configuration, login, more = {}) {
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const parameters = {
      redirect_uri: CALLBACK,
      scope: SCOPE,
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    };
    const address = client.buildAuthorizationUrl(configuration, parameters);
    const { jar, back } = await visit(address, login);
    assert.equal(back.searchParams.get('iss'), issuer.href);
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    const tokens = await client.authorizationCodeGrant(configuration, back, checks);
    remember(tokens);
    return { tokens, jar, back, checks };
  }

  function remember(tokens) {
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(tokens[name]);
  }

  /** Asserts that the vault answers with this OAuth error. */
  const refuses = (promise, status, error) => assert.rejects(promise, (/** @type {any} */ thrown) => {
    assert.equal(thrown.name, 'ResponseBodyError', thrown.stack);
    assert.deepEqual([thrown.status, thrown.error], [status, error]);
    return true;
  });

  tries('discovers the vault, and what it may use', async () => {
    const metadata = (await discover()).serverMetadata();
    assert.equal(metadata.issuer, issuer.href);
    assert.equal(metadata.supportsPKCE(), true);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    const oauth2 = await client.discovery(issuer, web.client_id, undefined, client.ClientSecretPost(web.client_secret), { algorithm: 'oauth2' });
    assert.equal(oauth2.serverMetadata().token_endpoint, metadata.token_endpoint);
  });

  for (const [name, authentication] of /** @type {[string, (secret: string) => any][]} */ ([
    ['HTTP Basic', client.ClientSecretBasic],
    ['the secret in the body', client.ClientSecretPost],
  ])) {
    tries(`signs a user in with code, PKCE, state and nonce, authenticating by ${name}`, async () => {
      const { tokens } = await signIn(await discover(authentication(web.client_secret)), 'anna');
      const claims = tokens.claims();
      assert.deepEqual([claims.iss, claims.sub, claims.aud], [issuer.href, 'demo|anna', 'web']);
      assert.equal(tokens.scope, SCOPE);
      assert.equal(tokens.expires_in, 600);
      assert.equal(tokens.token_type, 'bearer');
    });
  }

  tries('signs a user in, authenticating by a signed assertion', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const der = keys.privateKey.export({ type: 'pkcs8', format: 'der' });
    const key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
    const authentication = client.PrivateKeyJwt({ key, kid: 'k' });
    const configuration = await client.discovery(issuer, 'signer', undefined, authentication);
    const { tokens } = await signIn(configuration, 'jana');
    const { sub, aud } = tokens.claims();
    assert.deepEqual([sub, aud], ['demo|jana', 'signer']);
    const fresh = await client.refreshTokenGrant(configuration, tokens.refresh_token);
    remember(fresh);
    assert.equal(fresh.claims().sub, 'demo|jana');
  });

  tries('verifies the signature of the ID token with the published keys', async () => {
    const configuration = await discover();
    client.enableNonRepudiationChecks(configuration);
    const { tokens } = await signIn(configuration, 'berta', { max_age: '600' });
    assert.equal(typeof tokens.claims().auth_time, 'number');
  });

  tries('reads the response from a form that the browser posts', async () => {
    const configuration = await discover();
    const verifier = client.randomPKCECodeVerifier();
    const address = client.buildAuthorizationUrl(configuration, {
      redirect_uri: CALLBACK,
      scope: 'openid',
      response_mode: 'form_post',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const { page } = await browse(address, { login: 'carla', stop: startsAt(CALLBACK) });
    const fields = [...page.text.matchAll(/name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
    const response = new Request(CALLBACK, { method: 'POST', body: new URLSearchParams(fields) });
    const tokens = await client.authorizationCodeGrant(configuration, response, { pkceCodeVerifier: verifier });
    assert.equal(tokens.claims().sub, 'demo|carla');
  });

  tries('signs in with a pushed authorization request', async () => {
    const configuration = await discover();
    const verifier = client.randomPKCECodeVerifier();
    const address = await client.buildAuthorizationUrlWithPAR(configuration, {
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    assert.deepEqual([...address.searchParams.keys()].sort(), ['client_id', 'request_uri']);
    const { back } = await visit(address, 'dora');
    const tokens = await client.authorizationCodeGrant(configuration, back, { pkceCodeVerifier: verifier });
    assert.equal(tokens.claims().sub, 'demo|dora');
  });

  tries('is told by prompt=none that nobody is signed in', async () => {
    const configuration = await discover();
    const address = client.buildAuthorizationUrl(configuration, { redirect_uri: CALLBACK, scope: 'openid', prompt: 'none' });
    const { back } = await visit(address, 'nobody');
    await assert.rejects(client.authorizationCodeGrant(configuration, back), (/** @type {any} */ thrown) => {
      assert.deepEqual([thrown.name, thrown.error], ['AuthorizationResponseError', 'login_required']);
      return true;
    });
  });

  tries('redeems no code with another verifier', async () => {
    const configuration = await discover();
    const address = client.buildAuthorizationUrl(configuration, {
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    });
    const { back } = await visit(address, 'emma');
    const other = client.randomPKCECodeVerifier();
    await refuses(client.authorizationCodeGrant(configuration, back, { pkceCodeVerifier: other }), 400, 'invalid_grant');
  });

  tries('reads userinfo', async () => {
    const configuration = await discover();
    const { tokens } = await signIn(configuration, 'fiona');
    const user = await client.fetchUserInfo(configuration, tokens.access_token, tokens.claims().sub);
    assert.equal(user.sub, 'demo|fiona');
    assert.equal(user.email, 'fiona@example.com');
  });

  tries('refreshes, for another resource server too, and a used token is not good for ever', async () => {
    const configuration = await discover();
    const { tokens } = await signIn(configuration, 'gerda');
    const second = await client.refreshTokenGrant(configuration, tokens.refresh_token);
    remember(second);
    assert.notEqual(second.refresh_token, tokens.refresh_token);
    assert.equal(second.claims().sub, 'demo|gerda');
    const third = await client.refreshTokenGrant(configuration, second.refresh_token, { audience: ORDERS, scope: 'openid read:orders' });
    remember(third);
    assert.equal(third.scope, 'openid read:orders');
    await refuses(client.refreshTokenGrant(configuration, tokens.refresh_token), 400, 'invalid_grant');
    await refuses(client.refreshTokenGrant(configuration, third.refresh_token), 400, 'invalid_grant');
  });

  tries('introspects an access token, and a revoked refresh token gives nothing', async () => {
    const configuration = await discover();
    const { tokens } = await signIn(configuration, 'heidi');
    const known = await client.tokenIntrospection(configuration, tokens.access_token);
    assert.deepEqual([known.active, known.sub, known.client_id, known.aud], [true, 'demo|heidi', 'web', [issuer.href]]);
    assert.deepEqual(await client.tokenIntrospection(configuration, 'unknown'), { active: false });
    await client.tokenRevocation(configuration, tokens.refresh_token, { token_type_hint: 'refresh_token' });
    await refuses(client.refreshTokenGrant(configuration, tokens.refresh_token), 400, 'invalid_grant');
  });

  tries('signs out, and returns to the application', async () => {
    const configuration = await discover();
    const { tokens, jar } = await signIn(configuration, 'ida');
    const address = client.buildEndSessionUrl(configuration, {
      post_logout_redirect_uri: BYE, id_token_hint: tokens.id_token, state: 'out',
    });
    const end = await browse(address, { login: 'nobody', jar, stop: startsAt(BYE) });
    assert.equal(end.url, `${BYE}?state=out`);
    const silent = client.buildAuthorizationUrl(configuration, { redirect_uri: CALLBACK, scope: 'openid', prompt: 'none' });
    const { back } = await visit(silent, 'nobody', { jar });
    assert.equal(back.searchParams.get('error'), 'login_required');
    await refuses(client.refreshTokenGrant(configuration, tokens.refresh_token), 400, 'invalid_grant');
  });

  tries('is refused with a wrong secret, and challenged where it used HTTP Basic', async () => {
    const posting = await discover(client.ClientSecretPost('wrong'));
    await refuses(client.refreshTokenGrant(posting, 'x'), 401, 'invalid_client');
    const basic = await discover(client.ClientSecretBasic('wrong'));
    await assert.rejects(client.refreshTokenGrant(basic, 'x'), (/** @type {any} */ thrown) => {
      assert.deepEqual([thrown.name, thrown.status], ['WWWAuthenticateChallengeError', 401]);
      assert.deepEqual(thrown.cause.map(({ scheme }) => scheme), ['basic']);
      return true;
    });
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
