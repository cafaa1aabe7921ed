// SPDX-License-Identifier: Apache-2.0
// Attacks with tokens of the vault: stolen, copied, forged, of another kind, or for something else.
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar, basicAuth, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { GRANT, TOKEN_TYPE, call } from '../../xtask/js/vault-api.mjs';
import { APP, assertRefused, describe as show } from './harness.mjs';
import { CALLBACK, ORDERS, PARTNER_CALLBACK, REFRESH_TOKEN, REMEMBERED, RelyingParty, SCOPE, formsOf, visit } from './relying-party.mjs';
import { accessToken, newSigningKey, signJwt } from './tokens.mjs';

const random = () => randomBytes(32).toString('base64url');
const BILLS = 'https://bills.example.com/';

/** Seconds for which a replaced refresh token gives its successor to anybody. */
const LEEWAY = 60;

describe('attacks with tokens', { timeout: 240_000 }, () => {
  let party;
  let world;
  const webSecret = random();
  const web = () => ({ client_id: 'web', client_secret: webSecret });

  before(async () => {
    party = await RelyingParty.start({}, {
      apis: { bills: { identifier: BILLS, scopes: ['read:bills', 'read:orders'] } },
      clients: {
        // A confidential client of the same owner.
        web: {
          authentication: 'client_secret',
          secret_sha256: [createHash('sha256').update(webSecret).digest('hex')],
          grants: ['authorization_code', 'refresh_token', GRANT.rfc8693],
          connections: ['demo'],
          redirect_uris: [`${CALLBACK}/web`],
          post_logout_redirect_uris: [],
        },
      },
    });
    world = party.world;
    world.secrets.add(webSecret);
    const { partner } = world.bindings.json.CLIENTS;
    partner.apis = { orders: ['read:orders'], bills: ['read:orders', 'read:bills'] };
    await world.stopVault();
    await world.startVault();
  });
  after(() => world?.close());

  /** The refresh tokens of a line of three, oldest first, and the access tokens that came with them. */
  async function three(login) {
    const line = [await party.signIn(login)];
    for (let time = 0; time < 2; time += 1) line.push((await party.refresh(line[time].refresh_token)).body);
    return [...line.map((one) => one.refresh_token), line.map((one) => one.access_token)];
  }

  async function assertLineEnded(refreshToken, accessTokens) {
    await party.assertEnded(refreshToken);
    await world.advance(REMEMBERED);
    for (const token of accessTokens) await party.assertUseless(token);
  }

  /** Signs a user in to the confidential client `web`. */
  async function signInToWeb(login, more = {}) {
    const verifier = random();
    const url = party.request(verifier, { client_id: 'web', redirect_uri: `${CALLBACK}/web`, ...more });
    const end = await browse(url, { login, stop: startsAt(`${CALLBACK}/web`) });
    const code = new URL(end.url).searchParams.get('code');
    const answer = await party.token({ grant_type: 'authorization_code', ...web(), code, code_verifier: verifier, redirect_uri: `${CALLBACK}/web` });
    assert.equal(answer.status, 200, show(answer));
    return answer.body;
  }

  /** Signs a user in to somebody else's client, with consent. */
  async function signInToPartner(login, more = {}) {
    const url = new URL(`${world.vault}/authorize`);
    url.search = new URLSearchParams({
      client_id: 'partner', redirect_uri: PARTNER_CALLBACK, response_type: 'code', scope: 'openid offline_access', state: 's', ...more,
    }).toString();
    const jar = new CookieJar();
    const { page } = await browse(url, { login, jar, stop: startsAt(PARTNER_CALLBACK) });
    const [form] = formsOf(page.text).filter(({ fields }) => fields.action === 'allow');
    const allowed = await visit(jar, `${world.vault}/sign-in`, { form: form.fields, origin: world.vault });
    const code = new URL(allowed.headers.get('location')).searchParams.get('code');
    const answer = await party.token({ grant_type: 'authorization_code', ...party.partner(), code, redirect_uri: PARTNER_CALLBACK });
    assert.equal(answer.status, 200, show(answer));
    return answer.body;
  }

  test('stolen refresh token: another client gets nothing for it, and the owner loses nothing', async () => {
    const { refresh_token: stolen } = await party.signIn('anna');
    for (const client of [party.partner(), web()]) {
      assertRefused(await party.refresh(stolen, client), 400, 'invalid_grant');
      assert.deepEqual((await party.introspect(client, stolen)).body, { active: false });
      await world.api.call('POST', '/oauth/revoke', { form: { ...client, token: stolen } });
    }
    assertRefused(await party.exchangeRefreshToken(web(), stolen), 400, 'invalid_request');
    assertRefused(await party.refresh(stolen, { client_id: 'web' }), 401, 'invalid_client');
    assertRefused(await party.refresh(stolen, { client_id: 'nobody' }), 401, 'invalid_client');
    assertRefused(await party.refresh(stolen, { client_id: '' }), 401, 'invalid_client');
    assert.equal((await party.refresh(stolen)).status, 200);
  });

  test('replay of refresh generation n−2: it ends the line', async () => {
    const [first, , third, accessTokens] = await three('bob');
    assertRefused(await party.refresh(first), 400, 'invalid_grant');
    await assertLineEnded(third, accessTokens);
  });

  test('replay of refresh generation n−2 in an exchange: it ends the line', async () => {
    const [first, , third, accessTokens] = await three('bella');
    assertRefused(await party.exchangeRefreshToken(party.service(), first), 400, 'invalid_request');
    await assertLineEnded(third, accessTokens);
  });

  test('replay of n−1 after its leeway: it ends a public client’s line', async () => {
    const { refresh_token: first, access_token: access } = await party.signIn('carl');
    const { refresh_token: second, access_token: next } = (await party.refresh(first)).body;
    const accessTokens = [access, next];
    await world.advance(LEEWAY);
    assertRefused(await party.refresh(first), 400, 'invalid_grant');
    await assertLineEnded(second, accessTokens);
  });

  test('replay of n−1 within its leeway: thief and victim share one line, which the first later misuse ends', async () => {
    const { refresh_token: first } = await party.signIn('cora');
    const victims = (await party.refresh(first)).body.refresh_token;
    assert.equal((await party.refresh(first)).body.refresh_token, victims);
    const next = (await party.refresh(victims)).body.refresh_token;
    assertRefused(await party.refresh(first), 400, 'invalid_grant');
    await party.assertEnded(next);
  });

  test('replay of n−1 after its leeway: to a confidential client only while the successor is unused', async () => {
    const { refresh_token: first } = await signInToWeb('claus');
    const second = (await party.refresh(first, web())).body.refresh_token;
    await world.advance(LEEWAY);
    assert.equal((await party.refresh(first, web())).body.refresh_token, second);
    const third = (await party.refresh(second, web())).body.refresh_token;
    assertRefused(await party.refresh(first, web()), 400, 'invalid_grant');
    assertRefused(await party.refresh(third, web()), 400, 'invalid_grant');
  });

  test('refresh storm: fifty refreshes of two tabs leave one line', async () => {
    const { refresh_token: first } = await party.signIn('dora');
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => party.refresh(first, index % 2 ? { audience: ORDERS } : {})));
    for (const one of answers) assert.equal(one.status, 200, show(one));
    const left = new Set(answers.map((one) => one.body.refresh_token));
    assert.equal(left.size, 1);
    assert.equal((await party.refresh([...left][0])).status, 200);
  });

  test('lost answers: a client that hears nothing for three refreshes in a row goes on with what it has', async () => {
    let { refresh_token: known } = await party.signIn('emil');
    for (let time = 0; time < 3; time += 1) {
      for (let lost = 0; lost < 3; lost += 1) assert.equal((await party.refresh(known)).status, 200);
      known = (await party.refresh(known)).body.refresh_token;
    }
    assert.equal((await party.refresh(known)).status, 200);
  });

  test('lost answers: a connection that breaks during a refresh leaves the line whole', async () => {
    const { refresh_token: known } = await party.signIn('erik');
    const broken = new AbortController();
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: known };
    const request = world.api.call('POST', '/oauth/token', { form, signal: broken.signal }).catch(() => undefined);
    broken.abort();
    await request;
    const next = await party.refresh(known);
    assert.equal(next.status, 200, show(next));
    assert.equal((await party.refresh(next.body.refresh_token)).status, 200);
  });

  test('made-up refresh tokens, codes and sessions: none makes an object', async () => {
    const { refresh_token: good, code } = await party.signIn('fred');
    const [id, secret] = good.split('.');
    const classes = ['REFRESH_FAMILY', 'AUTHORIZATION', 'BROWSER_SESSION', 'USER', 'IDENTITY'];
    const before = classes.map((name) => party.objects(name));
    const swapped = `${code.split('.')[0]}.${secret}`;
    const changed = `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}.${secret}`;
    for (const forged of [random(), `${random()}.${random()}`, swapped, changed, `${id}`, `.${secret}`, `${id}.`, `${id}.${random()}`, `${good}.x`, `${good} `, ` ${good}`, `${id}.${secret}=`, 'x'.repeat(20_000), '\u0000', 'é.ü']) {
      assertRefused(await party.refresh(forged), 400, 'invalid_grant');
      assertRefused(await party.redeem(forged, random()), 400, 'invalid_grant');
      assertRefused(await party.exchangeRefreshToken(party.service(), forged), 400, 'invalid_request');
      assert.deepEqual((await party.introspect(party.service(), forged)).body, { active: false });
      await world.api.call('POST', '/oauth/revoke', { form: { client_id: 'app', token: forged } });
    }
    assert.deepEqual(classes.map((name) => party.objects(name)), before);
    assert.equal((await party.refresh(good)).status, 200);
  });

  test('an ID token is no access token, and an access token is no ID token', async () => {
    const jar = new CookieJar();
    const tokens = await party.signIn('gerd', {}, jar);
    await party.assertUseless(tokens.id_token);
    await party.assertUseless(tokens.refresh_token);
    assertRefused(await party.exchangeRefreshToken(party.service(), tokens.id_token), 400, 'invalid_request');
    assertRefused(await party.exchangeRefreshToken(party.service(), tokens.access_token), 400, 'invalid_request');
    assertRefused(await party.refresh(tokens.access_token), 400, 'invalid_grant');
    assertRefused(await party.refresh(tokens.id_token), 400, 'invalid_grant');
    // An access token is known to resource servers, so it cannot sign its user out without a question.
    const page = await visit(jar, `${world.vault}/oidc/logout?id_token_hint=${tokens.access_token}`);
    assert.equal(page.status, 200);
    assert.equal(formsOf(page.text).length, 1);
    assert.ok((await party.silently(jar)).get('code'));
  });

  test('a token for one audience is of no use at another', async () => {
    const tokens = await party.signIn('hans');
    const { me_token: me, refresh_token: next } = await party.meToken(tokens);
    assertRefused(await world.api.exchange(party.service(), me, 'demo'), 400, 'invalid_request');
    const orders = (await party.refresh(next, { audience: ORDERS, scope: 'openid read:orders create:me:connected_accounts' })).body;
    assert.equal(orders.scope, 'openid read:orders');
    assertRefused(await world.api.exchange(party.service(), orders.access_token, 'demo'), 400, 'invalid_request');
    for (const token of [tokens.access_token, orders.access_token]) {
      assert.equal((await world.api.accounts(token)).status, 401);
      assert.equal((await world.api.connect(token, { connection: 'demo', redirectUri: APP })).status, 401);
    }
    // Somebody else's client learns nothing of a token that it was given.
    assert.deepEqual((await party.introspect(party.partner(), tokens.access_token)).body, { active: false });
    assert.equal((await party.introspect(web(), tokens.access_token)).body.active, true);
    // A client that accepts tokens for the vault learns nothing of a token for orders.
    assert.deepEqual((await party.introspect(web(), orders.access_token)).body, { active: false });
  });

  test('audience confusion: nobody gets a token for an audience that is not theirs', async () => {
    let { refresh_token: token } = await party.signIn('heidi');
    const asked = [BILLS, `${world.vault}/admin/`, `${world.vault}/me`, `${world.vault}/ME/`, world.vault, `${world.vault}//`, `${ORDERS} ${BILLS}`, `${ORDERS}x`, ORDERS.slice(0, -1), 'app', 'demo', '*'];
    for (const audience of asked) {
      for (const name of ['audience', 'resource']) {
        assertRefused(await party.refresh(token, { [name]: audience }), 400, 'invalid_target');
        const page = await visit(new CookieJar(), party.request(random(), { [name]: audience }).href);
        assert.equal(new URL(page.headers.get('location')).searchParams.get('error'), 'invalid_target', audience);
      }
    }
    assertRefused(await party.refresh(token, { audience: ORDERS, resource: `${world.vault}/` }), 400, 'invalid_target');
    const form = new URLSearchParams([['grant_type', 'refresh_token'], ['client_id', 'app'], ['refresh_token', token], ['audience', ORDERS], ['audience', `${world.vault}/`]]);
    assertRefused(await call({ method: 'POST', url: `${world.vault}/oauth/token`, form }), 400, 'invalid_target');
    token = (await party.refresh(token)).body.refresh_token;
    assert.equal((await party.refresh(token)).status, 200, 'a refused refresh replaced the token');
  });

  test('scope escalation: a refresh never adds what the sign-in did not grant', async () => {
    const narrow = await party.signIn('ida', { scope: 'openid offline_access' });
    const wide = await party.refresh(narrow.refresh_token, { scope: `${SCOPE} read:orders create:me:connected_accounts admin *` });
    assert.equal(wide.body.scope, 'openid offline_access');
    assert.equal((await party.userinfo(wide.body.access_token)).body.email, undefined);
    assert.equal(claimsOf(wide.body.id_token).email, undefined);
    const orders = await party.refresh(wide.body.refresh_token, { audience: ORDERS, scope: 'read:orders write:orders read:bills email' });
    assert.equal(orders.body.scope, 'read:orders');
    assert.equal(orders.body.id_token, undefined);
    const without = await party.signIn('ida', { scope: 'openid' });
    assert.equal(without.refresh_token, undefined);
  });

  test('scope escalation: somebody else’s client stays at what its consent page named', async () => {
    const tokens = await signInToPartner('jana', { audience: ORDERS, scope: 'openid offline_access read:orders' });
    const partner = party.partner();
    assert.equal(tokens.scope, 'openid offline_access read:orders');
    assert.equal(claimsOf(tokens.access_token).aud, ORDERS);
    // `read:orders` at BILLS is another scope of the same name.
    for (const audience of [BILLS, `${world.vault}/`, `${world.vault}/me/`]) {
      assertRefused(await party.refresh(tokens.refresh_token, { ...partner, audience, scope: 'read:orders read:bills email' }), 400, 'invalid_target');
    }
    const same = await party.refresh(tokens.refresh_token, { ...partner, audience: ORDERS, scope: 'openid profile email read:orders write:orders' });
    assert.equal(same.body.scope, 'openid read:orders');
    assert.equal(claimsOf(same.body.access_token).aud, ORDERS);
    const plain = await party.refresh(same.body.refresh_token, partner);
    assert.equal(claimsOf(plain.body.access_token).aud, ORDERS);
    const refused = await visit(new CookieJar(), `${world.vault}/authorize?${new URLSearchParams({
      client_id: 'partner', redirect_uri: PARTNER_CALLBACK, response_type: 'code', scope: 'openid create:me:connected_accounts', audience: `${world.vault}/me/`,
    })}`);
    assert.equal(new URL(refused.headers.get('location')).searchParams.get('error'), 'invalid_target');
    assertRefused(await world.api.exchange(party.service(), tokens.access_token, 'demo'), 400, 'invalid_request');
    assertRefused(await party.exchangeRefreshToken(party.service(), plain.body.refresh_token), 400, 'invalid_request');
  });

  test('forged tokens: none with another key, algorithm or claim is accepted anywhere', async () => {
    const tokens = await party.signIn('karl');
    const { body: jwks } = await call({ url: `${world.vault}/.well-known/jwks.json` });
    const [header, payload, signature] = tokens.access_token.split('.');
    const head = JSON.parse(Buffer.from(header, 'base64url').toString());
    const claims = claimsOf(tokens.access_token);
    const own = newSigningKey('RS256');
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const hmac = (input, key) => `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
    const hs = `${encode({ ...head, alg: 'HS256' })}.${payload}`;
    const forged = [
      signJwt({ ...head, alg: 'none' }, claims),
      signJwt({ ...head, alg: 'None' }, claims, own),
      hmac(hs, JSON.stringify(jwks.keys[0])),
      hmac(hs, Buffer.from(jwks.keys[0].n, 'base64url')),
      signJwt(head, { ...claims, sub: 'demo|jana' }, own),
      signJwt({ ...head, jwk: { kty: own.kty, n: own.n, e: own.e } }, claims, own),
      signJwt({ ...head, kid: own.kid, jku: `${world.issuer}/jwks` }, claims, own),
      `${header}.${encode({ ...claims, sub: 'demo|jana' })}.${signature}`,
      `${encode({ ...head, typ: 'JWT' })}.${payload}.${signature}`,
      `${header}.${payload}.${signature}A`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${tokens.access_token}.x`,
      // The provider's key, with the vault's name.
      signJwt({ ...head, kid: world.jwks.keys[0].kid }, claims, world.jwks.keys.find((key) => key.kty === 'RSA') ?? own),
    ];
    for (const one of forged) await party.assertUseless(one);
    assert.equal((await party.userinfo(tokens.access_token)).status, 200);
  });

  test('a token of another trusted issuer is nobody’s at the vault’s own addresses', async () => {
    await party.signIn('lars');
    const key = world.jwks.keys.find((one) => one.kty === 'RSA');
    const token = accessToken({
      issuer: world.issuer, audience: `${world.vault}/`, sub: 'demo|lars', clientId: 'app', key, claims: { scope: SCOPE },
    });
    world.secrets.add(token);
    // It is a good token: the exchange finds no account of its user.
    assertRefused(await world.api.exchange(party.service(), token, 'demo'), 400, 'invalid_target');
    assert.equal((await party.userinfo(token)).status, 401);
    assert.deepEqual((await party.introspect(party.service(), token)).body, { active: false });
  });

  test('ended session: its access token is accepted nowhere at the vault, and its refresh token gives nothing', async () => {
    const jar = new CookieJar();
    const tokens = await party.signIn('mona', {}, jar);
    const { me_token: me, refresh_token: next } = await party.meToken(tokens);
    const other = await party.signIn('mona');
    // The vault has seen all of them, and may remember that.
    assert.equal((await party.userinfo(tokens.access_token)).status, 200);
    assert.equal((await world.api.accounts(me)).status, 200);
    const url = `${world.vault}/oidc/logout?id_token_hint=${tokens.id_token}`;
    assert.equal((await visit(jar, url)).status, 200);
    await world.advance(REMEMBERED);
    await party.assertUseless(tokens.access_token);
    await party.assertUseless(me);
    await party.assertEnded(next);
    // The same user's other session is not touched.
    assert.equal((await party.userinfo(other.access_token)).status, 200);
    assert.equal((await party.refresh(other.refresh_token)).status, 200);
  });

  test('race: a logout amid refreshes leaves no token that serves', async () => {
    const jar = new CookieJar();
    const tokens = await party.signIn('moritz', {}, jar);
    const { code, verifier } = await party.begin('moritz', {}, jar);
    const refreshes = Array.from({ length: 20 }, () => party.refresh(tokens.refresh_token));
    const out = visit(jar, `${world.vault}/oidc/logout?id_token_hint=${tokens.id_token}`);
    const answers = [...await Promise.all([...refreshes, party.redeem(code, verifier)])].filter((one) => one.status === 200);
    assert.equal((await out).status, 200);
    await world.advance(REMEMBERED);
    for (const access of new Set([tokens.access_token, ...answers.map((one) => one.body.access_token)])) {
      assert.equal((await party.userinfo(access)).status, 401);
    }
    for (const refresh of new Set([tokens.refresh_token, ...answers.map((one) => one.body.refresh_token)])) {
      await party.assertEnded(refresh);
    }
    assert.equal((await party.silently(jar)).get('error'), 'login_required');
  });

  test('disabled user: no token is accepted anywhere, and nobody signs in', async () => {
    const jar = new CookieJar();
    const before = party.objects('USER');
    const tokens = await party.signIn('nadja', {}, jar);
    const { me_token: me, refresh_token: next } = await party.meToken(tokens);
    const [file] = party.objects('USER').filter((name) => !before.includes(name));
    const { code, verifier } = await party.begin('nadja', {}, jar);
    await world.stopVault();
    party.change('USER', file, (record) => ({ ...record, disabled: true }));
    await world.startVault();
    await party.assertUseless(tokens.access_token);
    await party.assertUseless(me);
    await party.assertEnded(next);
    const families = party.objects('REFRESH_FAMILY');
    assertRefused(await party.redeem(code, verifier), 400, 'invalid_grant');
    assert.deepEqual(party.objects('REFRESH_FAMILY'), families);
    const { page } = await browse(party.request(random()), { login: 'nadja', stop: startsAt(CALLBACK) });
    assert.equal(page?.status, 403);
    assert.equal((await party.silently(jar)).get('error'), 'login_required');
  });

  test('removed user: no token is accepted anywhere', async () => {
    const jar = new CookieJar();
    const before = party.objects('USER');
    const tokens = await party.signIn('nils', {}, jar);
    const { me_token: me, refresh_token: next } = await party.meToken(tokens);
    const [file] = party.objects('USER').filter((name) => !before.includes(name));
    await world.stopVault();
    party.change('USER', file, () => undefined);
    await world.startVault();
    await party.assertUseless(tokens.access_token);
    await party.assertUseless(me);
    await party.assertEnded(next);
  });

  test('downgrade of client authentication: a client proves itself in its own way, or gets nothing', async () => {
    const { refresh_token: token } = await signInToWeb('nora');
    const form = { grant_type: 'refresh_token', refresh_token: token };
    const wrong = random();
    const attempts = [
      { form: { ...form, client_id: 'web' } },
      { form: { ...form, client_id: 'web', client_secret: '' } },
      { form: { ...form, client_id: 'web', client_secret: wrong } },
      { form: { ...form, client_id: 'WEB', client_secret: webSecret } },
      { form: { ...form, client_id: 'web ', client_secret: webSecret } },
      { form: { ...form, client_id: 'web\u0000', client_secret: webSecret } },
      { form: { ...form, client_id: 'app', client_secret: webSecret } },
      { form, headers: { authorization: basicAuth('web', '') } },
      { form, headers: { authorization: basicAuth('web', wrong) } },
      { form, headers: { authorization: basicAuth('app', '') } },
      { form, headers: { authorization: 'Bearer x' } },
      { form: { ...form, client_id: 'web', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: signJwt({ alg: 'none' }, { iss: 'web', sub: 'web', aud: `${world.vault}/`, exp: 9e9 }) } },
    ];
    for (const one of attempts) {
      const answer = await world.api.call('POST', '/oauth/token', one);
      assertRefused(answer, 401, 'invalid_client', { challenge: one.headers ? 'Basic' : null });
    }
    for (const one of [
      { form: { ...form, ...web() }, headers: { authorization: basicAuth('web', webSecret) } },
      { form: { ...form, client_id: 'app' }, headers: { authorization: basicAuth('web', webSecret) } },
    ]) assertRefused(await world.api.call('POST', '/oauth/token', one), 400, 'invalid_request');
    for (const path of ['/oauth/introspect', '/oauth/par']) {
      const answer = await world.api.call('POST', path, { form: { client_id: 'web', token } });
      assertRefused(answer, 401, 'invalid_client');
    }
    assertRefused(await world.api.call('POST', '/oauth/introspect', { form: { client_id: 'app', token } }), 401, 'invalid_client');
    const revoked = await world.api.call('POST', '/oauth/revoke', { form: { client_id: 'web', token } });
    assertRefused(revoked, 401, 'invalid_client');
    assert.equal((await party.refresh(token, web())).status, 200);
  });

  test('odd bodies: a JSON body is judged as a form is, and no parameter is read twice or as something else', async () => {
    const { refresh_token: token } = await party.signIn('olga');
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: token };
    const raw = (body, type = 'application/json') => fetch(`${world.vault}/oauth/token`, { method: 'POST', body, headers: { 'content-type': type } });
    const bodies = [
      [JSON.stringify({ ...form, client_id: ['app'] })],
      [JSON.stringify({ ...form, client_id: { $ne: '' } })],
      [JSON.stringify({ ...form, refresh_token: 1 })],
      [JSON.stringify([form])],
      [JSON.stringify({ ...form, grant_type: 'password' })],
      [`{"grant_type":"refresh_token","client_id":"app","client_id":"web","refresh_token":"${token}"}`],
      [`${'['.repeat(30_000)}`],
      ['null'],
      [JSON.stringify(form), 'application/x-www-form-urlencoded'],
      [JSON.stringify(form), 'text/plain'],
      [new URLSearchParams(form).toString(), 'application/json'],
      [`${new URLSearchParams(form)}&refresh_token=x`, 'application/x-www-form-urlencoded'],
      [`${new URLSearchParams(form)}&grant_type=authorization_code`, 'application/x-www-form-urlencoded'],
      [`${new URLSearchParams(form)}&client%5Fid=web`, 'application/x-www-form-urlencoded'],
      [`${new URLSearchParams(form)}${'&x=1'.repeat(5000)}`, 'application/x-www-form-urlencoded'],
      [new URLSearchParams({ ...form, scope: 'a '.repeat(1000) }).toString(), 'application/x-www-form-urlencoded'],
    ];
    for (const [body, type] of bodies) {
      const answer = await raw(body, type);
      const { error, access_token: issued } = await answer.json();
      assert.equal(answer.status, 400, `${body.slice(0, 80)} ${error}`);
      assert.equal(issued, undefined);
    }
    const large = await raw(new URLSearchParams({ ...form, x: 'x'.repeat(70_000) }).toString(), 'application/x-www-form-urlencoded');
    assert.equal(large.status, 413);
    // The address is no body.
    const query = await fetch(`${world.vault}/oauth/token?${new URLSearchParams(form)}`, { method: 'POST', body: '', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.equal(query.status, 400);
    assert.equal((await raw(JSON.stringify(form))).status, 200);
  });

  test('grant confusion: no grant takes the token of another, and a public client exchanges nothing', async () => {
    const tokens = await party.signIn('paul');
    const { code, verifier } = await party.begin('paul');
    assertRefused(await party.refresh(code), 400, 'invalid_grant');
    assertRefused(await party.redeem(tokens.refresh_token, verifier), 400, 'invalid_grant');
    for (const grant of Object.values(GRANT)) {
      const answer = await party.token({
        grant_type: grant, client_id: 'app', audience: 'demo', connection: 'demo', subject_token: tokens.access_token,
        subject_token_type: TOKEN_TYPE.access, requested_token_type: grant === GRANT.auth0 ? TOKEN_TYPE.auth0 : TOKEN_TYPE.access,
      });
      assert.equal(answer.status, 401, show(answer));
      assert.equal(answer.body.access_token, undefined);
    }
    // The type must be the token's own.
    const mistyped = { ...party.service(), grant_type: GRANT.rfc8693, audience: 'demo' };
    assertRefused(await party.token({ ...mistyped, subject_token: tokens.access_token, subject_token_type: REFRESH_TOKEN }), 400, 'invalid_request');
    assertRefused(await party.token({ ...mistyped, subject_token: tokens.refresh_token, subject_token_type: TOKEN_TYPE.access }), 400, 'invalid_request');
    for (const type of ['id_token', 'jwt', 'saml2']) {
      const subject = { subject_token: tokens.id_token, subject_token_type: `urn:ietf:params:oauth:token-type:${type}` };
      assertRefused(await party.token({ ...mistyped, ...subject }), 400, 'invalid_request');
    }
    for (const grant of ['client_credentials', 'password', 'implicit', 'urn:ietf:params:oauth:grant-type:device_code']) {
      assertRefused(await party.token({ grant_type: grant, ...web(), username: 'paul', password: 'any' }), 400, 'unsupported_grant_type');
    }
  });

  test('a client that was taken out of the configuration uses none of its tokens', async () => {
    const tokens = await signInToWeb('rosa');
    const { CLIENTS } = world.bindings.json;
    const { web: entry } = CLIENTS;
    delete CLIENTS.web;
    await world.stopVault();
    await world.startVault();
    try {
      assertRefused(await party.refresh(tokens.refresh_token, web()), 401, 'invalid_client');
      assertRefused(await party.refresh(tokens.refresh_token), 400, 'invalid_grant');
    } finally {
      CLIENTS.web = entry;
      await world.stopVault();
      await world.startVault();
    }
    assert.equal((await party.refresh(tokens.refresh_token, web())).status, 200);
  });

  test('stolen storage: no token, code, cookie or secret stands in it', async () => {
    const jar = new CookieJar();
    const tokens = await party.signIn('sina', {}, jar);
    const next = (await party.refresh(tokens.refresh_token)).body;
    const { code } = await party.begin('sina', {}, jar);
    const halves = [tokens.refresh_token, next.refresh_token, code, tokens.code, jar.cookie(world.vault, 'session')].map((one) => one.split('.')[1]);
    const secrets = [...world.secrets, ...world.provider.stats.issued, ...halves, jar.cookie(world.vault, 'sign-in')];
    await world.stopVault();
    const stored = world.storedBytes();
    await world.startVault();
    // The user's id is there, so that what is looked for would be found.
    assert.ok(stored.some((file) => file.includes('demo|sina')));
    const found = secrets.filter((one) => stored.some((file) => file.includes(one)));
    assert.equal(found.length, 0, `${found.length} of ${secrets.length} secrets are stored`);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
