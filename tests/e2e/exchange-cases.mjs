// SPDX-License-Identifier: Apache-2.0
// The exchange from the callers' point of view: the form of responses, rejected subject tokens, and that a
// refresh happens only once. The vault passes these cases, and so does the Worker with which the benchmark
// compares it.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { newKeys } from '../../xtask/js/keys.mjs';
import { startProvider } from '../../xtask/js/provider.mjs';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { PROVIDER_TOKEN_SECONDS, assertRefused, describe as show, sentInFull } from './harness.mjs';
import { accessToken, now, publicKey } from './tokens.mjs';

const PAST_EXPIRY = PROVIDER_TOKEN_SECONDS + 60;

/**
 * Asserts that a response is complete, has the requested token type, and that its token works.
 *
 * @param {import('./harness.mjs').World} world
 */
export async function assertExchanged(world, answer, issuedTokenType) {
  assert.equal(answer.status, 200, show(answer));
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.match(answer.headers.get('cache-control'), /\bno-store\b/);
  const { body } = answer;
  assert.equal(body.token_type, 'Bearer');
  assert.equal(body.issued_token_type, issuedTokenType);
  assert.ok(Number.isInteger(body.expires_in), show(answer));
  assert.ok(body.expires_in > 0 && body.expires_in <= 600, `expires_in ${body.expires_in}`);
  assert.deepEqual(body.scope.split(' ').sort(), ['email', 'offline_access', 'openid', 'profile']);
  assert.equal(body.refresh_token, undefined);
  assert.equal(body.id_token, undefined);
  assert.equal(await world.owner(body.access_token), 'alice');
}

/** Defines the cases for the world that `start` creates. */
export function exchangeCases(start) {
  describe('exchange', { timeout: 120_000 }, () => {
    let world;
    let alice;

    before(async () => {
      world = await start();
      alice = await world.signIn('alice');
      await world.connect(alice);
    });
    after(() => world?.close());

    test('the RFC 8693 grant works with Basic authentication', async () => {
      const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'demo');
      await assertExchanged(world, answer, TOKEN_TYPE.access);
    });

    test('the RFC 8693 grant works with the secret in the body', async () => {
      const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'demo', { auth: 'post' });
      await assertExchanged(world, answer, TOKEN_TYPE.access);
    });

    test("Auth0's grant works with a form and with Basic authentication", async () => {
      const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, 'demo', {
        auth: 'basic',
        client_id: 'backend', // its Python SDKs repeat the id in the body
      });
      await assertExchanged(world, answer, TOKEN_TYPE.auth0);
    });

    for (const body of ['form', 'json']) {
      test(`Auth0's grant works with a ${body} body and the secret in it`, async () => {
        const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, 'demo', { body });
        await assertExchanged(world, answer, TOKEN_TYPE.auth0);
      });
    }

    test('a wrong secret and an unknown client get the same answer', async () => {
      const wrong = await world.api.exchange({ client_id: 'backend', client_secret: 'x'.repeat(43) }, alice.access_token, 'demo');
      const unknown = await world.api.exchange({ client_id: 'nobody', client_secret: 'x'.repeat(43) }, alice.access_token, 'demo');
      // A client that used the Authorization header receives a challenge (RFC 6749 §5.2).
      assertRefused(wrong, 401, 'invalid_client', { challenge: 'Basic' });
      assertRefused(unknown, 401, 'invalid_client', { challenge: 'Basic' });
      assert.deepEqual(wrong.body, unknown.body);
    });

    test('a connection the client may not use, or that does not exist, is an invalid target', async () => {
      const { backend, outsider } = world.clients;
      for (const [client, connection] of [[outsider, 'demo'], [backend, 'nowhere']]) {
        assertRefused(await world.api.exchange(client, alice.access_token, connection), 400, 'invalid_target');
      }
    });

    test('a parameter that is given twice is refused, an unknown one is not', async () => {
      const form = [
        ['grant_type', GRANT.rfc8693],
        ['subject_token', alice.access_token],
        ['subject_token_type', TOKEN_TYPE.access],
        ['requested_token_type', TOKEN_TYPE.access],
        ['audience', 'demo'],
        ['client_id', 'backend'],
        ['client_secret', world.clients.backend.client_secret],
      ];
      const twice = await world.api.call('POST', '/oauth/token', { form: [...form, ['client_id', 'backend']] });
      assertRefused(twice, 400, 'invalid_request');
      // RFC 8693 §2.1 allows several audiences; here a token is for one connection only.
      const two = await world.api.call('POST', '/oauth/token', { form: [...form, ['audience', 'other']] });
      assertRefused(two, 400, 'invalid_target');
      const unknown = await world.api.call('POST', '/oauth/token', { form: [...form, ['trace', '1'], ['trace', '2']] });
      assert.equal(unknown.status, 200, show(unknown));
    });

    test('an unknown grant type is refused', async () => {
      const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'demo', { grant_type: 'password' });
      assertRefused(answer, 400, 'unsupported_grant_type');
    });

    test('a warm exchange does not ask the provider', async () => {
      const before = world.provider.stats.requests.length;
      for (let count = 0; count < 5; count += 1) await world.exchange(alice);
      assert.equal(world.provider.stats.requests.length, before);
    });

    test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret('/oauth/token'));
  });

  describe('subject tokens of an exchange', { timeout: 120_000 }, () => {
    let world;
    let alice;
    let foreign;
    let foreignKey;

    before(async () => {
      world = await start();
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

    /**
     * A subject token that is valid except for the given change.
     *
     * @param {Partial<Parameters<typeof accessToken>[0]>} [change]
     */
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
      'is signed with the public key as a shared secret': () => confused(world.jwks.keys[0], token()),
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

    test("Auth0's grant refuses a bad subject token as well", async () => {
      const answer = await world.api.exchangeAuth0(world.clients.backend, flaws['has expired'](), 'demo');
      assertRefused(answer, 403, 'invalid_grant');
    });

    test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret('/oauth/token'));
  });

  describe('refresh by an exchange', { timeout: 120_000 }, () => {
    let world;

    before(async () => { world = await start(); });
    afterEach(() => world?.intercept());
    after(() => world?.close());

    /** Connects an account for a user, and moves the clock until its access token has just expired. */
    async function expired(login) {
      const user = await world.signIn(login);
      await world.connect(user);
      const first = await world.exchange(user);
      await world.advance(PAST_EXPIRY);
      return { user, first, before: world.tokenRequests('refresh_token') };
    }

    const refreshes = (since) => world.tokenRequests('refresh_token') - since;

    test('an expired token is replaced by one refresh, again and again', async () => {
      const { user, first, before: start } = await expired('alice');
      const seen = new Set([first.access_token]);
      for (let round = 1; round <= 3; round += 1) {
        const { access_token: token, expires_in: life } = await world.exchange(user);
        assert.ok(!seen.has(token), `round ${round} returned an old token`);
        assert.ok(life > 0 && life <= PROVIDER_TOKEN_SECONDS, `round ${round}: expires_in ${life}`);
        assert.equal(await world.owner(token), 'alice');
        assert.equal((await world.exchange(user)).access_token, token);
        assert.equal(refreshes(start), round);
        seen.add(token);
        await world.advance(PAST_EXPIRY);
      }
    });

    test('fifty exchanges at once make one refresh and get the same token', async () => {
      const { user, before: start } = await expired('crowd');
      const bystander = await world.signIn('bystander');
      await world.connect(bystander);
      /** @type {PromiseWithResolvers<void>} */
      const released = Promise.withResolvers();
      world.intercept(() => released.promise);
      const sent = sentInFull('/oauth/token', 50);
      const asked = Array.from({ length: 50 }, () => (
        world.api.exchange(world.clients.backend, user.access_token, 'demo')
      ));
      await sent;
      // Responses to later requests show that the fifty earlier ones have arrived and wait for the provider.
      for (let count = 0; count < 5; count += 1) await world.exchange(bystander);
      released.resolve();
      const answers = await Promise.all(asked);
      for (const answer of answers) assert.equal(answer.status, 200, show(answer));
      const tokens = new Set(answers.map((answer) => answer.body.access_token));
      assert.equal(tokens.size, 1);
      assert.equal(refreshes(start), 1);
      assert.equal(await world.owner([...tokens][0]), 'crowd');

      world.intercept();
      await world.advance(PAST_EXPIRY);
      const next = await world.exchange(user);
      assert.equal(await world.owner(next.access_token), 'crowd');
      assert.equal(refreshes(start), 2);
    });

    test('an answer without a refresh token keeps the old one', async () => {
      const { user, before: start } = await expired('keeper');
      // The provider does not receive this request, so its refresh token stays unused and valid.
      world.intercept(() => ({
        status: 200,
        headers: { 'cache-control': 'no-store' },
        body: { access_token: 'short-lived-and-made-up', token_type: 'bearer', expires_in: 300 },
      }));
      assert.equal((await world.exchange(user)).access_token, 'short-lived-and-made-up');

      world.intercept();
      await world.advance(360);
      assert.equal(await world.owner((await world.exchange(user)).access_token), 'keeper');
      assert.equal(refreshes(start), 2);
    });

    test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret('/oauth/token'));
  });
}

/** A token signed by HS256 with the public key as secret: the algorithm confusion of RFC 8725 §2.1. */
function confused(key, jwt) {
  const pem = createPublicKey({ key: publicKey(key), format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const [, claims] = jwt.split('.');
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: key.kid })).toString('base64url');
  const signature = createHmac('sha256', pem).update(`${header}.${claims}`).digest('base64url');
  return `${header}.${claims}.${signature}`;
}

function changed(jwt) {
  const [header, claims, signature] = jwt.split('.');
  const values = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'bob' };
  return [header, Buffer.from(JSON.stringify(values)).toString('base64url'), signature].join('.');
}
