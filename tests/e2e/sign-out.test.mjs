// SPDX-License-Identifier: Apache-2.0
// What a sign-out ends and whom it tells: back-channel logout, and refresh tokens that outlive the session.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar, authorize, claimsOf } from '../../xtask/js/browser.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { describe as show, eventually } from './harness.mjs';
import { HostileServer } from './hostile-server.mjs';
import { BYE, CALLBACK, RelyingParty, SCOPE, visit } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

describe('a sign-out', { timeout: 120_000 }, () => {
  let party;
  let world;
  let client;
  const secret = random();
  /** The bodies that the client's back-channel logout address received. */
  const received = [];

  before(async () => {
    client = await HostileServer.start();
    client.on('/backchannel', (response, body) => {
      received.push(body);
      response.writeHead(200).end();
    });
    party = await RelyingParty.start({}, {
      clients: {
        agent: {
          authentication: 'client_secret',
          secret_sha256: [createHash('sha256').update(secret).digest('hex')],
          grants: ['authorization_code', 'refresh_token'],
          redirect_uris: [CALLBACK],
          backchannel_logout_uri: `${client.origin}/backchannel`,
        },
      },
    });
    world = party.world;
    world.secrets.add(secret);
  });
  after(async () => {
    await world?.close();
    await client?.close();
  });

  /** Signs a browser in to the confidential client. */
  async function signInToAgent(login, jar) {
    const verifier = random();
    const back = await authorize(party.request(verifier, { client_id: 'agent' }), { login, redirectUri: CALLBACK, jar });
    const form = { grant_type: 'authorization_code', client_id: 'agent', client_secret: secret, code: back.searchParams.get('code'), code_verifier: verifier, redirect_uri: CALLBACK };
    world.secrets.add(form.code);
    const answer = await party.token(form);
    assert.equal(answer.status, 200, show(answer));
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(answer.body[name]);
    return answer.body;
  }

  const signOut = (jar, hint) => visit(jar, `${world.vault}/oidc/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: BYE })}`);

  test('tells each client that registered an address for it, with a signed logout token', async () => {
    const jar = new CookieJar();
    const app = await party.signIn('otto', {}, jar);
    const agent = await signInToAgent('otto', jar);
    const { sid, sub } = claimsOf(agent.id_token);
    assert.equal(claimsOf(app.id_token).sid, sid);
    const answer = await signOut(jar, app.id_token);
    assert.equal(answer.status, 303, answer.text);
    assert.equal(answer.headers.get('location'), BYE);

    await eventually('the client is told', () => received.length > 0);
    const token = new URLSearchParams(received[0]).get('logout_token');
    world.secrets.add(token);
    const [head, payload, signature] = token.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    // OpenID Connect Back-Channel Logout 1.0 §2.4.
    assert.deepEqual({ alg: header.alg, typ: header.typ }, { alg: 'RS256', typ: 'logout+jwt' });
    const { body: jwks } = await call({ url: `${world.vault}/.well-known/jwks.json` });
    const key = createPublicKey({ key: jwks.keys.find(({ kid }) => kid === header.kid), format: 'jwk' });
    assert.ok(verify('sha256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url')));
    const claims = claimsOf(token);
    assert.deepEqual(
      { iss: claims.iss, aud: claims.aud, sub: claims.sub, sid: claims.sid, events: claims.events, nonce: claims.nonce },
      {
        iss: `${world.vault}/`, aud: 'agent', sub, sid,
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, nonce: undefined,
      },
    );
    assert.equal(claims.exp - claims.iat, 120);
    assert.ok(claims.jti);
    assert.equal(received.length, 1);
  });

  test('ends the refresh tokens of a single-page application, and leaves those of a server its own life', async () => {
    const jar = new CookieJar();
    const app = await party.signIn('olaf', {}, jar);
    const agent = await signInToAgent('olaf', jar);
    assert.equal((await signOut(jar, app.id_token)).status, 303);
    await party.assertEnded(app.refresh_token);
    for (const { access_token: token } of [app, agent]) await party.assertUseless(token);
    // Tokens have times of whole seconds: one of the same second counts as of the session.
    await world.advance(1);
    const refreshed = await party.token({ grant_type: 'refresh_token', client_id: 'agent', client_secret: secret, refresh_token: agent.refresh_token });
    assert.equal(refreshed.status, 200, show(refreshed));
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(refreshed.body[name]);
    assert.equal(refreshed.body.scope, SCOPE);
    // A token of after the sign-out is none of the session's.
    assert.equal((await party.userinfo(refreshed.body.access_token)).status, 200);
  });

  test('cannot be undone by a code that the session gave', async () => {
    const jar = new CookieJar();
    const app = await party.signIn('odin', {}, jar);
    const begun = await party.begin('odin', {}, jar);
    assert.equal((await signOut(jar, app.id_token)).status, 303);
    const late = await party.redeem(begun.code, begun.verifier);
    assert.deepEqual({ status: late.status, error: late.body.error }, { status: 400, error: 'invalid_grant' });
  });

  test('discovery says that clients may be told', async () => {
    const { body } = await call({ url: `${world.vault}/.well-known/openid-configuration` });
    assert.deepEqual(
      { told: body.backchannel_logout_supported, sid: body.backchannel_logout_session_supported },
      { told: true, sid: true },
    );
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
