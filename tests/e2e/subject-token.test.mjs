// Whose token is it? Every flaw alone makes a subject token useless, and the answer never says
// which flaw it was: the log does.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { newKeys } from '../../xtask/js/keys.mjs';
import { startProvider } from '../../xtask/js/provider.mjs';
import { World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { accessToken, now, publicKey } from './tokens.mjs';

describe('subject tokens', { timeout: 120_000 }, () => {
  let world;
  let alice;
  let foreign;
  let foreignKey;

  before(async () => {
    world = await World.start();
    alice = await world.signIn('alice');
    await world.connect(alice);
    const jwks = newKeys();
    [foreignKey] = jwks.keys;
    foreign = await startProvider({ port: 0, jwks, vault: world.vault, clients: [] });
  });
  after(async () => {
    await foreign?.close();
    await world?.close();
  });

  /** A token that works, but for what `change` says. */
  function token({ key = world.jwks.keys[0], issuer = world.issuer, audience = `${world.vault}/`, clientId = 'spa', ...change } = {}) {
    const made = accessToken({ issuer, audience, sub: 'alice', clientId, key, ...change });
    world.secrets.add(made);
    return made;
  }

  const exchange = (subjectToken) => world.api.exchange(world.clients.backend, subjectToken, 'demo');

  const flaws = {
    'has expired': () => token({ claims: { iat: now() - 3600, exp: now() - 120 } }),
    'is not valid yet': () => token({ claims: { nbf: now() + 600 } }),
    'never expires': () => token({ claims: { exp: undefined } }),
    'lives longer than a day': () => token({ claims: { exp: now() + 25 * 3600 } }),
    'is for another audience': () => token({ audience: 'https://api.example.com/' }),
    'is for the audience without its slash': () => token({ audience: world.vault }),
    'is for the user API': () => token({ audience: `${world.vault}/me/` }),
    'was issued to a client that this one accepts nothing from': () => token({ clientId: 'stranger' }),
    'names no client': () => token({ claims: { client_id: undefined } }),
    'has no subject': () => token({ claims: { sub: undefined } }),
    'is by an issuer that is not trusted': () => token({ issuer: foreign.issuer, key: foreignKey }),
    'is by an untrusted issuer under a trusted name': () => token({ key: foreignKey }),
    "has another key's signature under a known kid": () => token({ key: { ...foreignKey, kid: world.jwks.keys[0].kid } }),
    'is not of the type access token': () => token({ header: { typ: 'JWT' } }),
    'has a critical header nobody knows': () => token({ header: { crit: ['x'], x: 1 } }),
    'is unsigned': () => token({ header: { alg: 'none' } }),
    'is signed with the public key as a shared secret': () => confused(),
    'had its claims changed': () => changed(token()),
    'is an id_token': () => alice.id_token,
    'is a refresh token': () => alice.refresh_token,
    'is not a JWT': () => 'abc',
  };

  test('a token signed by hand works when nothing is wrong with it', async () => {
    const answer = await exchange(token());
    assert.equal(answer.status, 200, show(answer));
  });

  const bodies = new Map();
  for (const [flaw, make] of Object.entries(flaws)) {
    test(`a subject token that ${flaw} is refused`, async () => {
      const answer = await exchange(make());
      assertRefused(answer, 400, 'invalid_request');
      bodies.set(flaw, answer.body);
    });
  }

  test('all refusals have the same body', () => {
    assert.equal(bodies.size, Object.keys(flaws).length);
    const [[, first], ...others] = bodies;
    for (const [flaw, body] of others) assert.deepEqual(body, first, flaw);
  });

  test('a real token of a client that is not accepted is refused', async () => {
    const stranger = await world.signIn('alice', { client: 'stranger' });
    const answer = await exchange(stranger.access_token);
    assertRefused(answer, 400, 'invalid_request');
    assert.deepEqual(answer.body, bodies.get('has expired'));
  });

  test('a client without accepts_from takes only its own tokens', async () => {
    const answer = await world.api.exchange(world.clients.webapp, alice.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_request');
  });

  test("Auth0's grant refuses a bad subject token as well", async () => {
    const answer = await world.api.exchangeAuth0(world.clients.backend, flaws['has expired'](), 'demo');
    assert.ok([400, 401, 403].includes(answer.status), show(answer));
    assert.equal(typeof answer.body.error, 'string');
    assert.equal(answer.body.access_token, undefined);
  });

  test('the same flaws close the user API', async () => {
    const audience = `${world.vault}/me/`;
    const scope = 'read:me:connected_accounts';
    const good = await world.api.accounts(token({ audience, claims: { scope } }));
    assert.equal(good.status, 200, show(good));
    assertProblem(await world.api.accounts(token({ audience, claims: { scope, iat: now() - 3600, exp: now() - 120 } })), 401);
    assertProblem(await world.api.accounts(token({ audience, key: foreignKey, claims: { scope } })), 401);
    assertProblem(await world.api.accounts(token({ audience, claims: { scope: 'openid' } })), 403);
    assertProblem(await world.api.call('GET', '/me/v1/connected-accounts/accounts'), 401);
  });

  test('nothing secret was logged', () => world.assertNothingLogged());

  /** HS256 with the published key as secret: the algorithm confusion of RFC 8725 §2.1. */
  function confused() {
    const [key] = world.jwks.keys;
    const pem = createPublicKey({ key: publicKey(key), format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const [, claims] = token().split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: key.kid })).toString('base64url');
    const signature = createHmac('sha256', pem).update(`${header}.${claims}`).digest('base64url');
    return `${header}.${claims}.${signature}`;
  }

  function changed(jwt) {
    const [header, claims, signature] = jwt.split('.');
    const values = { ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'bob' };
    return [header, Buffer.from(JSON.stringify(values)).toString('base64url'), signature].join('.');
  }
});
