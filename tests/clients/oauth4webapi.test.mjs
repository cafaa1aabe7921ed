// SPDX-License-Identifier: Apache-2.0
// What the npm package `oauth4webapi` verifies beyond `openid-client`: the profile of JWT access tokens, the issuer
// in authorization responses, and the form of each response.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { claimsOf } from '../../xtask/js/browser.mjs';
import { notedTests, npmVersion } from './compatibility.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { CALLBACK, ORDERS, startVault, visit } from './vault.mjs';

describe('oauth4webapi', { timeout: 120_000 }, () => {
  let world;
  let issuer;
  let server;
  let client;
  let authentication;

  before(async () => {
    let web;
    ({ world, web } = await startVault());
    issuer = new URL(`${world.vault}/`);
    client = { client_id: web.client_id };
    authentication = oauth.ClientSecretBasic(web.client_secret);
    server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  });
  after(() => world?.close());

  const tries = notedTests('oauth4webapi', {
    version: npmVersion('oauth4webapi'),
    settings: ['the issuer is the vault’s address with a slash at the end'],
  });

  /** Lets a user sign in; returns the address that the browser comes back to, and the verifier. */
  async function begin(login, more = {}) {
    const verifier = oauth.generateRandomCodeVerifier();
    const address = new URL(server.authorization_endpoint);
    address.search = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope: 'openid email offline_access read:orders',
      audience: ORDERS,
      state: 's',
      nonce: 'n',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    }).toString();
    const { back } = await visit(address, login);
    return { back, verifier };
  }

  async function signIn(login, more = {}) {
    const { back, verifier } = await begin(login, more);
    const parameters = oauth.validateAuthResponse(server, client, back, 's');
    const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, CALLBACK, verifier);
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: 'n', requireIdToken: true });
    await oauth.validateApplicationLevelSignature(server, response);
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(tokens[name]);
    return tokens;
  }

  for (const algorithm of ['oidc', 'oauth2']) {
    tries(`accepts the metadata at the address of ${algorithm}`, async () => {
      const response = await oauth.discoveryRequest(issuer, { algorithm });
      assert.equal(response.status, 200);
      assert.equal((await oauth.processDiscoveryResponse(issuer, response)).issuer, issuer.href);
    });
  }

  tries('accepts the metadata for exactly one issuer', async () => {
    const other = new URL('https://other.example.com/');
    await assert.rejects(oauth.processDiscoveryResponse(other, await oauth.discoveryRequest(issuer)), { name: 'OperationProcessingError' });
  });

  tries('accepts an authorization response of this issuer, and of no other', async () => {
    const { back } = await begin('anna');
    assert.ok(oauth.validateAuthResponse(server, client, back, 's').get('code'));
    const mixedUp = new URL(back);
    mixedUp.searchParams.set('iss', 'https://other.example.com/');
    assert.throws(() => oauth.validateAuthResponse(server, client, mixedUp, 's'), { name: 'OperationProcessingError' });
    const without = new URL(back);
    without.searchParams.delete('iss');
    assert.throws(() => oauth.validateAuthResponse(server, client, without, 's'), { name: 'OperationProcessingError' });
  });

  tries('finds the issuer in an error response as well', async () => {
    const { back } = await begin('nobody', { prompt: 'none' });
    assert.equal(back.searchParams.get('iss'), issuer.href);
    assert.throws(() => oauth.validateAuthResponse(server, client, back, 's'), (/** @type {any} */ thrown) => {
      assert.deepEqual([thrown.name, thrown.error], ['AuthorizationResponseError', 'login_required']);
      return true;
    });
  });

  tries('validates the access token as a resource server does (RFC 9068)', async () => {
    const tokens = await signIn('berta');
    const request = new Request(`${ORDERS}orders`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    const claims = await oauth.validateJwtAccessToken(server, request, ORDERS);
    assert.deepEqual(
      [claims.iss, claims.sub, claims.aud, claims.client_id, claims.scope],
      [issuer.href, 'demo|berta', ORDERS, 'web', 'openid email offline_access read:orders'],
    );
    await assert.rejects(oauth.validateJwtAccessToken(server, request, issuer.href), { name: 'OperationProcessingError' });
    const withIdToken = new Request(ORDERS, { headers: { authorization: `Bearer ${tokens.id_token}` } });
    await assert.rejects(oauth.validateJwtAccessToken(server, withIdToken, 'web'), { name: 'OperationProcessingError' });
  });

  tries('validates the response to a refresh, whose ID token is of the same sign-in', async () => {
    const tokens = await signIn('carla');
    const response = await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token);
    const fresh = await oauth.processRefreshTokenResponse(server, client, response);
    await oauth.validateApplicationLevelSignature(server, response);
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(fresh[name]);
    const [before, now] = [tokens, fresh].map(({ id_token }) => claimsOf(id_token));
    assert.deepEqual([now.sub, now.sid, now.auth_time], [before.sub, before.sid, before.auth_time]);
    assert.notEqual(fresh.refresh_token, tokens.refresh_token);
  });

  tries('validates userinfo, introspection and revocation', async () => {
    const tokens = await signIn('dora', { audience: issuer.href });
    const userinfo = await oauth.userInfoRequest(server, client, tokens.access_token);
    const user = await oauth.processUserInfoResponse(server, client, 'demo|dora', userinfo);
    assert.equal(user.email, 'dora@example.com');
    const introspect = async (token) => oauth.processIntrospectionResponse(
      server, client, await oauth.introspectionRequest(server, client, authentication, token),
    );
    const known = await introspect(tokens.access_token);
    assert.deepEqual([known.active, known.iss, known.sub], [true, issuer.href, 'demo|dora']);
    const revocation = await oauth.revocationRequest(server, client, authentication, tokens.refresh_token);
    assert.equal(revocation.status, 200);
    await oauth.processRevocationResponse(revocation);
    assert.deepEqual(await introspect('unknown'), { active: false });
  });

  tries('pushes an authorization request', async () => {
    const verifier = oauth.generateRandomCodeVerifier();
    const parameters = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope: 'openid',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const response = await oauth.pushedAuthorizationRequest(server, client, authentication, parameters);
    assert.equal(response.status, 201);
    const pushed = await oauth.processPushedAuthorizationResponse(server, client, response);
    const address = new URL(server.authorization_endpoint);
    address.search = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri }).toString();
    const { back } = await visit(address, 'emma');
    assert.ok(oauth.validateAuthResponse(server, client, back, oauth.expectNoState).get('code'));
  });

  tries('reads the error of a code that is used twice', async () => {
    const { back, verifier } = await begin('fiona');
    const parameters = oauth.validateAuthResponse(server, client, back, 's');
    const redeem = () => oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, CALLBACK, verifier);
    await oauth.processAuthorizationCodeResponse(server, client, await redeem(), { expectedNonce: 'n' });
    await assert.rejects(
      async () => oauth.processAuthorizationCodeResponse(server, client, await redeem(), { expectedNonce: 'n' }),
      (/** @type {any} */ thrown) => {
        assert.deepEqual([thrown.name, thrown.status, thrown.error], ['ResponseBodyError', 400, 'invalid_grant']);
        return true;
      },
    );
  });

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
