// SPDX-License-Identifier: Apache-2.0
// The vault as an OpenID provider: sign-in through the demo provider, tokens, refresh, both exchanges, sign-out.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { authorize, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { GRANT, TOKEN_TYPE, call } from '../../xtask/js/vault-api.mjs';
import { assertRefused, describe as show } from './harness.mjs';
import { CALLBACK, ORDERS, REFRESH_TOKEN, RelyingParty } from './relying-party.mjs';

describe('the vault as an OpenID provider', { timeout: 120_000 }, () => {
  let party;
  let world;
  let request;
  let token;
  let signIn;
  let refresh;
  let service;
  let partner;

  before(async () => {
    party = await RelyingParty.start();
    ({ world, request, token, signIn, refresh, service, partner } = party);
  });
  after(() => world?.close());

  test('what it advertises is there', async () => {
    const { body: metadata } = await call({ url: `${world.vault}/.well-known/openid-configuration` });
    assert.equal(metadata.issuer, `${world.vault}/`);
    for (const [name, address] of Object.entries(metadata).filter(([name]) => /_(endpoint|uri)$/.test(name))) {
      const { status } = await call({ url: address, method: name === 'jwks_uri' ? 'GET' : 'POST', form: name === 'jwks_uri' ? undefined : {} });
      assert.notEqual(status, 404, `${name} ${address}`);
      assert.ok(status < 500, `${name} ${status}`);
    }
    const { body: jwks } = await call({ url: metadata.jwks_uri });
    assert.deepEqual(jwks.keys.map(({ kty, alg, use }) => ({ kty, alg, use })), [{ kty: 'RSA', alg: 'RS256', use: 'sig' }]);
    assert.equal(jwks.keys[0].d, undefined);
  });

  test('a user signs in, and the tokens say who it is', async () => {
    const tokens = await signIn('olga');
    assert.equal(tokens.back.searchParams.get('state'), 'a state=');
    assert.equal(tokens.back.searchParams.get('iss'), `${world.vault}/`);
    assert.equal(tokens.token_type, 'Bearer');
    assert.equal(tokens.scope, 'openid profile email offline_access');
    assert.equal(tokens.expires_in, 600);
    const id = claimsOf(tokens.id_token);
    assert.equal(id.iss, `${world.vault}/`);
    assert.equal(id.aud, 'app');
    assert.equal(id.sub, 'demo|olga');
    assert.equal(id.nonce, 'n-1');
    const access = claimsOf(tokens.access_token);
    assert.deepEqual([access.aud, access.client_id, access.sub], [`${world.vault}/`, 'app', 'demo|olga']);
    const { body: info } = await call({ url: `${world.vault}/userinfo`, headers: { authorization: `Bearer ${tokens.access_token}` } });
    assert.equal(info.sub, 'demo|olga');
    assert.equal(info.email, 'olga@example.com');
  });

  test('a browser with a session signs in silently, and another is told to sign in', async () => {
    const { jar } = await signIn('paul');
    const verifier = randomBytes(32).toString('base64url');
    const stop = startsAt(CALLBACK);
    const silent = await browse(request(verifier, { prompt: 'none' }), { login: 'nobody', jar, stop });
    assert.ok(new URL(silent.url).searchParams.get('code'));
    const fresh = await browse(request(verifier, { prompt: 'none' }), { login: 'nobody', stop });
    assert.equal(new URL(fresh.url).searchParams.get('error'), 'login_required');
    const again = await browse(request(verifier, { prompt: 'none', max_age: '0' }), { login: 'nobody', jar, stop });
    assert.ok(['login_required', null].includes(new URL(again.url).searchParams.get('error')));
  });

  test('a refresh gives new tokens for several resource servers', async () => {
    const tokens = await signIn('quentin');
    const first = await refresh(tokens.refresh_token);
    assert.equal(first.status, 200, show(first));
    assert.ok(first.body.id_token && first.body.refresh_token && first.body.refresh_token !== tokens.refresh_token);
    const me = await refresh(first.body.refresh_token, {
      audience: `${world.vault}/me/`,
      scope: 'openid profile email offline_access create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts',
    });
    assert.equal(me.status, 200, show(me));
    assert.match(me.body.scope, /create:me:connected_accounts/);
    assert.equal(claimsOf(me.body.access_token).aud, `${world.vault}/me/`);
    const orders = await refresh(me.body.refresh_token, { audience: ORDERS, scope: 'openid read:orders write:orders' });
    assert.equal(orders.body.scope, 'openid read:orders');
    const foreign = await refresh(orders.body.refresh_token, { audience: 'https://other.example/' });
    assertRefused(foreign, 400, 'invalid_target');
  });

  test('a user connects an account, and both kinds of token exchange for it', async () => {
    const tokens = await signIn('rosa');
    const me = await refresh(tokens.refresh_token, { audience: `${world.vault}/me/`, scope: 'openid create:me:connected_accounts' });
    world.secrets.add(me.body.access_token);
    const connected = await world.connect({ me_token: me.body.access_token }, 'rosa');
    assert.equal(connected.connection, 'demo');
    const owner = async (answer) => {
      assert.equal(answer.status, 200, show(answer));
      return world.owner(answer.body.access_token);
    };
    assert.equal(await owner(await world.api.exchange(service(), tokens.access_token, 'demo')), 'rosa');
    for (let time = 0; time < 3; time += 1) {
      const answer = await world.api.call('POST', '/oauth/token', {
        form: {
          grant_type: GRANT.rfc8693, ...service(), audience: 'demo',
          subject_token: me.body.refresh_token, subject_token_type: REFRESH_TOKEN,
        },
      });
      assert.equal(await owner(answer), 'rosa');
    }
    const json = await world.api.call('POST', '/oauth/token', {
      json: {
        grant_type: GRANT.auth0, ...service(), connection: 'demo', requested_token_type: TOKEN_TYPE.auth0,
        subject_token: me.body.refresh_token, subject_token_type: REFRESH_TOKEN,
      },
    });
    assert.equal(await owner(json), 'rosa');
    // The exchange has not used the refresh token up.
    assert.equal((await refresh(me.body.refresh_token)).status, 200);
  });

  test('a code is good once, and its replay ends what it gave', async () => {
    const tokens = await signIn('sven');
    const again = await token({ grant_type: 'authorization_code', client_id: 'app', code: tokens.code, code_verifier: tokens.verifier, redirect_uri: CALLBACK });
    assertRefused(again, 400, 'invalid_grant');
    assertRefused(await refresh(tokens.refresh_token), 400, 'invalid_grant');
  });

  test('a code is of no use without its verifier, or to another client', async () => {
    for (const change of [
      { code_verifier: 'x'.repeat(43) },
      { code_verifier: '' },
      partner(),
      { redirect_uri: 'http://127.0.0.1:3000/partner' },
    ]) {
      const verifier = randomBytes(32).toString('base64url');
      const back = await authorize(request(verifier), { login: 'tina', redirectUri: CALLBACK });
      const code = back.searchParams.get('code');
      const good = { grant_type: 'authorization_code', client_id: 'app', code, code_verifier: verifier, redirect_uri: CALLBACK };
      assertRefused(await token({ ...good, ...change }), 400, 'invalid_grant');
      assertRefused(await token(good), 400, 'invalid_grant');
    }
  });

  test('made-up codes and refresh tokens create no object and get nothing', async () => {
    const forged = `${randomBytes(24).toString('base64url')}.${randomBytes(48).toString('base64url')}`;
    assertRefused(await refresh(forged), 400, 'invalid_grant');
    assertRefused(await token({ grant_type: 'authorization_code', client_id: 'app', code: forged, code_verifier: 'x' }), 400, 'invalid_grant');
  });

  test('a revoked refresh token gives nothing, and neither do those that follow from it', async () => {
    const tokens = await signIn('ulla');
    const next = (await refresh(tokens.refresh_token)).body.refresh_token;
    const revoke = (form) => world.api.call('POST', '/oauth/revoke', { form });
    // Another client revokes nothing (RFC 7009 §2.1).
    await revoke({ ...partner(), token: next });
    const third = (await refresh(next)).body.refresh_token;
    assert.equal((await revoke({ client_id: 'app', token: tokens.refresh_token })).status, 200);
    assertRefused(await refresh(third), 400, 'invalid_grant');
    // Nor do its access tokens (§2.1), and those of another sign-in in the same session do.
    await party.assertUseless(tokens.access_token);
    const other = await signIn('ulla', {}, tokens.jar);
    assert.equal(claimsOf(other.id_token).sid, claimsOf(tokens.id_token).sid);
    assert.equal((await party.userinfo(other.access_token)).status, 200);
  });

  test('an access token is introspected by whom it concerns', async () => {
    const tokens = await signIn('vera');
    const introspect = async (client, text) => (await world.api.call('POST', '/oauth/introspect', { form: { ...client, token: text } })).body;
    const known = await introspect(service(), tokens.access_token);
    assert.deepEqual([known.active, known.sub, known.client_id], [true, 'demo|vera', 'app']);
    assert.deepEqual(await introspect(service(), tokens.refresh_token), { active: false });
    assert.deepEqual(await introspect(service(), 'x'), { active: false });
    assert.equal((await introspect(partner(), tokens.id_token)).active, false);
  });

  test('a sign-out ends the session, its tokens and its refresh tokens', async () => {
    const tokens = await signIn('willi');
    const url = new URL(`${world.vault}/oidc/logout`);
    url.search = new URLSearchParams({
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: 'http://127.0.0.1:3000/bye',
      state: 's',
    }).toString();
    const end = await browse(url, { login: 'willi', jar: tokens.jar, stop: startsAt('http://127.0.0.1:3000/bye') });
    assert.equal(end.url, 'http://127.0.0.1:3000/bye?state=s');
    assertRefused(await refresh(tokens.refresh_token), 400, 'invalid_grant');
    const verifier = randomBytes(32).toString('base64url');
    const silent = await browse(request(verifier, { prompt: 'none' }), { login: 'x', jar: tokens.jar, stop: startsAt(CALLBACK) });
    assert.equal(new URL(silent.url).searchParams.get('error'), 'login_required');
  });

  test('a stranger signs nobody out, and a sign-out returns to registered addresses alone', async () => {
    const tokens = await signIn('xenia');
    for (const query of [
      '', 'client_id=app&post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fbye',
      'id_token_hint=x.y.z', 'post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F',
    ]) {
      const end = await browse(`${world.vault}/oidc/logout?${query}`, { login: 'x', jar: tokens.jar, stop: (one) => !one.startsWith(world.vault) });
      assert.equal(end.page?.status, 200, query);
      assert.match(end.page.text, /Do you want to sign out/);
    }
    assert.equal((await refresh(tokens.refresh_token)).status, 200);
  });

  test('somebody else’s application needs the user’s consent', async () => {
    const url = new URL(`${world.vault}/authorize`);
    url.search = new URLSearchParams({
      client_id: 'partner', redirect_uri: 'http://127.0.0.1:3000/partner', response_type: 'code', scope: 'openid email', state: 's',
    }).toString();
    const end = await browse(url, { login: 'yuri', stop: startsAt('http://127.0.0.1:3000/partner') });
    assert.equal(end.page?.status, 200);
    assert.match(end.page.text, /<bdi>partner<\/bdi> would like access to your account/);
    assert.match(end.page.headers.get('content-security-policy'), /default-src 'none'/);
  });

  test('a request that cannot be answered gets a page, and no redirect', async () => {
    for (const change of [{ client_id: 'nobody' }, { redirect_uri: 'http://127.0.0.1:3000/evil' }]) {
      const answer = await call({ url: request('v', change).href });
      assert.equal(answer.status, 400, show(answer));
      assert.equal(answer.headers.get('location'), null);
      assert.match(answer.headers.get('content-security-policy'), /frame-ancestors 'none'/);
    }
  });

  test('a pushed request is used once, by its client', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const form = Object.fromEntries(request(verifier).searchParams);
    const pushed = await world.api.call('POST', '/oauth/par', { form });
    assert.equal(pushed.status, 201, show(pushed));
    const url = (client) => {
      const at = new URL(`${world.vault}/authorize`);
      at.search = new URLSearchParams({ client_id: client, request_uri: pushed.body.request_uri }).toString();
      return at;
    };
    assert.equal((await call({ url: url('partner').href })).status, 400);
    const back = await authorize(url('app'), { login: 'zoe', redirectUri: CALLBACK });
    assert.ok(back.searchParams.get('code'));
    assert.equal((await call({ url: url('app').href })).status, 400);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
