// SPDX-License-Identifier: Apache-2.0
// The validation of ID tokens (OpenID Connect Core §3.1.3.7): with any single flaw, the connect fails.
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { newSigningKey, now, publicKey, signJwt } from './tokens.mjs';

const connection = 'evil';
const CLIENT = 'vault-evil';

describe('ID tokens of a provider', { timeout: 120_000 }, () => {
  let world;
  let hostile;
  const key = newSigningKey('RS256');
  const otherKey = newSigningKey('RS256');
  const secret = randomBytes(32).toString('base64url');

  before(async () => {
    hostile = await HostileServer.start();
    world = await World.start({
      upstream: [{ connection, client_id: CLIENT, client_secret: secret }],
      connections: () => ({ [connection]: { kind: 'oidc', issuer: hostile.origin, client_id: CLIENT } }),
    });
    const { origin } = hostile;
    hostile.on('/.well-known/openid-configuration', answer(200, {
      issuer: origin,
      authorization_endpoint: `${origin}/auth`,
      token_endpoint: `${origin}/token`,
      userinfo_endpoint: `${origin}/userinfo`,
      jwks_uri: `${origin}/jwks`,
    }));
    hostile.on('/jwks', answer(200, { keys: [publicKey(key)] }));
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  /** Connects at a provider that consents at once and responds to the code with the tokens of `make`. */
  async function connect(user, make, again = {}) {
    let nonce;
    hostile.on('/auth', (response, _body, query) => {
      nonce = query.get('nonce');
      const back = new URL(query.get('redirect_uri'));
      back.search = new URLSearchParams({ code: 'a-code-of-the-provider', state: query.get('state') }).toString();
      response.writeHead(302, { location: back.href }).end();
    });
    hostile.on('/token', (response) => answer(200, { token_type: 'Bearer', expires_in: 600, ...make(nonce) })(response));
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: user.login });
    again.complete = () => world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    return again.complete();
  }

  /** How many seconds the vault's clock is ahead of this one. */
  let ahead = 0;
  const ACCESS_TOKEN = 'access-token-of-the-provider';
  const hash = (text) => createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');
  const claims = (nonce, change) => ({
    iss: hostile.origin, aud: CLIENT, sub: 'u-1', nonce, iat: now() + ahead, exp: now() + ahead + 600, email: 'u@example.com', name: 'U', ...change,
  });
  const header = { alg: 'RS256', kid: key.kid };
  const tokens = (idToken) => ({ access_token: ACCESS_TOKEN, refresh_token: 'refresh-token-of-the-provider', id_token: idToken });
  const signed = (change) => (nonce) => tokens(signJwt(header, claims(nonce, change), key));

  for (const [what, change] of Object.entries({
    'is plain': {},
    'has its hash of the access token': { at_hash: hash(ACCESS_TOKEN) },
    'names us as its party': { azp: CLIENT },
    'has its audience as a list': { aud: [CLIENT] },
  })) {
    test(`one that ${what} is taken`, async () => {
      const user = await world.signIn(`good-${what.replaceAll(' ', '-')}`);
      const done = await connect(user, signed(change));
      assert.equal(done.status, 201, show(done));
      const hinted = await world.exchange(user, { connection, login_hint: 'u@example.com' });
      assert.equal(hinted.access_token, ACCESS_TOKEN);
    });
  }

  const confused = (nonce) => {
    const [head, body] = [{ alg: 'HS256', kid: key.kid }, claims(nonce)].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    return tokens(`${head}.${body}.${createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')}`);
  };
  for (const [what, make] of Object.entries({
    'is missing': () => tokens(undefined),
    'is no token': () => tokens('x.y.z'),
    'is by another issuer': signed({ iss: 'https://other.example' }),
    'is for another client': signed({ aud: 'other' }),
    'is for us and another': signed({ aud: [CLIENT, 'other'] }),
    'has no audience': signed({ aud: undefined }),
    'names another party': signed({ azp: 'other' }),
    'has the nonce of another connect': signed({ nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }),
    'has no nonce': signed({ nonce: undefined }),
    'has expired': signed({ iat: now() - 3600, exp: now() - 120 }),
    'never expires': signed({ exp: undefined }),
    'was issued in the future': signed({ iat: now() + 600, exp: now() + 1200 }),
    'does not say when it was issued': signed({ iat: undefined }),
    'has no subject': signed({ sub: undefined }),
    'has an empty subject': signed({ sub: '' }),
    'is of another access token': signed({ at_hash: hash('another') }),
    'is signed with another key under a known id': (nonce) => tokens(signJwt(header, claims(nonce), otherKey)),
    'is unsigned': (nonce) => tokens(signJwt({ alg: 'none' }, claims(nonce))),
    'is signed with our client secret': confused,
  })) {
    test(`one that ${what} connects nothing`, async () => {
      const user = await world.signIn(`bad-${what.replaceAll(' ', '-')}`);
      assertProblem(await connect(user, make), 502);
      assert.deepEqual(await world.accounts(user), []);
      const refused = await world.api.exchange(world.clients.backend, user.access_token, connection);
      assertRefused(refused, 400, 'invalid_target');
      assert.equal(refused.body.connection_state.state, 'not_connected');
    });
  }

  test('one that is signed with an unknown key is asked about again until the keys were fetched anew, and then connects nothing', async () => {
    // After such a pause, the keys are fetched before they are used.
    ahead = 2000;
    await world.advance(ahead);
    assert.equal((await connect(await world.signIn('fetches-keys'), signed({}))).status, 201);
    const fetched = hostile.count('/jwks');
    const user = await world.signIn('unknown-key');
    const again = {};
    const early = await connect(user, (nonce) => tokens(signJwt({ alg: 'RS256', kid: otherKey.kid }, claims(nonce), otherKey)), again);
    assertProblem(early, 503);
    assert.equal(hostile.count('/jwks'), fetched);
    ahead += 31;
    await world.advance(31);
    assertProblem(await again.complete(), 502);
    assert.equal(hostile.count('/jwks'), fetched + 1);
    // A connect that has failed answers its error again, and asks nobody.
    assertProblem(await again.complete(), 502);
    assert.equal(hostile.count('/jwks'), fetched + 1);
    assert.deepEqual(await world.accounts(user), []);
  });

  test('userinfo about somebody else adds nothing', async () => {
    hostile.on('/userinfo', answer(200, { sub: 'u-2', email: 'boss@example.com', name: 'Boss' }));
    const user = await world.signIn('userinfo');
    const done = await connect(user, signed({ email: undefined, name: undefined }));
    assert.equal(done.status, 201, show(done));
    const { body } = await world.api.exchange(world.clients.backend, user.access_token, connection, { login_hint: 'boss@example.com' });
    assert.equal(body.connection_state.reason, 'login_hint_unknown');
    assert.equal((await world.exchange(user, { connection, login_hint: 'u-1' })).access_token, ACCESS_TOKEN);
  });

  test('a refresh whose ID token is about somebody else is dropped, and the grant kept', async () => {
    const user = await world.signIn('refresh');
    assert.equal((await connect(user, signed({}))).status, 201);
    await world.advance(600);
    const asked = [];
    const renew = (subject) => (response, params) => {
      asked.push(params.get('refresh_token'));
      const idToken = signJwt(header, claims(undefined, { sub: subject }), key);
      answer(200, { ...tokens(idToken), access_token: `${ACCESS_TOKEN}-${subject}`, token_type: 'Bearer', expires_in: 600 })(response);
    };
    hostile.on('/token', renew('u-2'));
    const refused = await world.api.exchange(world.clients.backend, user.access_token, connection);
    assertRefused(refused, 503, 'temporarily_unavailable');
    assert.equal(refused.body.connection_state.state, 'unavailable');
    await world.advance(600);
    hostile.on('/token', renew('u-1'));
    assert.equal((await world.exchange(user, { connection })).access_token, `${ACCESS_TOKEN}-u-1`);
    assert.deepEqual(asked, ['refresh-token-of-the-provider', 'refresh-token-of-the-provider']);
  });

  test('each request was logged, and nothing secret was', async () => {
    for (const text of [ACCESS_TOKEN, 'refresh-token-of-the-provider', 'a-code-of-the-provider']) world.secrets.add(text);
    await world.assertLogHasNoSecret();
  });
});
