// The main job on real workerd: connect once, exchange with every grant and every way a client
// authenticates, use the token; and what the vault says about itself.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ME_SCOPES } from '../../xtask/js/provider.mjs';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { APP, World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { clientAssertion, newSigningKey, now } from './tokens.mjs';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

describe('the main job', { timeout: 120_000 }, () => {
  let world;
  let alice;
  let account;

  before(async () => {
    world = await World.start();
    alice = await world.signIn('alice');
    account = await world.connect(alice);
  });
  after(() => world?.close());

  /** A complete and usable answer, for the token type that was asked for. */
  async function assertExchanged(answer, issuedTokenType) {
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

  test('connecting answers with the account and what was granted', () => {
    assert.match(account.id, /^cac_[A-Za-z0-9]+$/);
    assert.equal(account.connection, 'demo');
    assert.equal(account.access_type, 'offline');
    assert.deepEqual([...account.scopes].sort(), ['email', 'offline_access', 'openid', 'profile']);
    assert.ok(Math.abs(Date.parse(account.created_at) - Date.now()) < 60_000, account.created_at);
  });

  test('the RFC 8693 grant works with Basic authentication', async () => {
    const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'demo');
    await assertExchanged(answer, TOKEN_TYPE.access);
  });

  test('the RFC 8693 grant works with the secret in the body', async () => {
    const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'demo', { auth: 'post' });
    await assertExchanged(answer, TOKEN_TYPE.access);
  });

  test("Auth0's grant works with a form and with Basic authentication", async () => {
    const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, 'demo', {
      auth: 'basic',
      client_id: 'backend', // its Python SDKs repeat the id in the body
    });
    await assertExchanged(answer, TOKEN_TYPE.auth0);
  });

  for (const body of ['form', 'json']) {
    test(`Auth0's grant works with a ${body} body and the secret in it`, async () => {
      const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, 'demo', { body });
      await assertExchanged(answer, TOKEN_TYPE.auth0);
    });
  }

  for (const alg of ['RS256', 'ES256']) {
    test(`a client authenticates with a ${alg} assertion`, async () => {
      const assertion = assertionBy(alg);
      const rfc8693 = await world.api.exchange({}, alice.access_token, 'demo', { auth: 'none', ...assertion });
      await assertExchanged(rfc8693, TOKEN_TYPE.access);
      const auth0 = await world.api.exchangeAuth0({}, alice.access_token, 'demo', { auth: 'none', ...assertionBy(alg) });
      await assertExchanged(auth0, TOKEN_TYPE.auth0);
    });
  }

  test('an assertion for another audience, one that lives too long and one by another key are refused', async () => {
    const { agent } = world.clients;
    const flawed = {
      'another audience': assertionBy('RS256', { aud: world.issuer }),
      'a long life': assertionBy('RS256', { exp: now() + 3600 }),
      'an ended life': assertionBy('RS256', { iat: now() - 600, exp: now() - 300 }),
      'another key': {
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: clientAssertion({
          clientId: agent.client_id,
          audience: `${world.vault}/`,
          key: { ...newSigningKey('RS256'), kid: agent.keys[0].kid },
        }),
      },
    };
    for (const [flaw, assertion] of Object.entries(flawed)) {
      const answer = await world.api.exchange({}, alice.access_token, 'demo', { auth: 'none', ...assertion });
      assert.equal(answer.status, 401, `${flaw}: ${show(answer)}`);
      assert.equal(answer.body.error, 'invalid_client', flaw);
    }
  });

  test('a secret without a client_id belongs to the client the token was issued to', async () => {
    const user = await world.signIn('alice', { client: 'webapp' });
    const answer = await world.api.exchangeAuth0(world.clients.webapp, user.access_token, 'demo', { auth: 'secret_only' });
    await assertExchanged(answer, TOKEN_TYPE.auth0);
  });

  test('a secret without a client_id that belongs to another client is refused', async () => {
    const user = await world.signIn('alice', { client: 'webapp' });
    const answer = await world.api.exchangeAuth0(world.clients.backend, user.access_token, 'demo', { auth: 'secret_only' });
    assertRefused(answer, 401, 'invalid_client');
  });

  test('a wrong secret and an unknown client get the same answer', async () => {
    const wrong = await world.api.exchange({ client_id: 'backend', client_secret: 'x'.repeat(43) }, alice.access_token, 'demo');
    const unknown = await world.api.exchange({ client_id: 'nobody', client_secret: 'x'.repeat(43) }, alice.access_token, 'demo');
    // RFC 6749 section 5.2: who came with an Authorization header gets a challenge.
    assertRefused(wrong, 401, 'invalid_client', { challenge: 'Basic' });
    assertRefused(unknown, 401, 'invalid_client', { challenge: 'Basic' });
    assert.deepEqual(wrong.body, unknown.body);
  });

  test('a connection the client may not use, or that does not exist, is an invalid target', async () => {
    const answer = await world.api.exchange(world.clients.backend, alice.access_token, 'nowhere');
    assert.equal(answer.status, 400, show(answer));
    assert.equal(answer.body.error, 'invalid_target');
  });

  test('a connection that is null in a JSON body is a clean error', async () => {
    const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, null, { body: 'json' });
    assertRefused(answer, 400, 'invalid_request');
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
    // RFC 8693 section 2.1 allows several audiences; one token can serve only one.
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

  test('the user sees the account and the connections', async () => {
    const accounts = await world.accounts(alice);
    assert.equal(accounts.length, 1);
    for (const member of ['id', 'connection', 'access_type', 'scopes', 'created_at']) {
      assert.deepEqual(accounts[0][member], account[member], member);
    }
    const connections = await world.api.connections(alice.me_token);
    assert.equal(connections.status, 200, show(connections));
    assert.deepEqual(connections.body.connections.map((one) => one.name), ['demo']);
    assert.equal(typeof connections.body.connections[0].strategy, 'string');
  });

  test('another user sees nothing and gets nothing', async () => {
    const bob = await world.signIn('bob');
    assert.deepEqual(await world.accounts(bob), []);
    const answer = await world.api.exchange(world.clients.backend, bob.access_token, 'demo');
    assertRefused(answer, 400, 'invalid_target');
    assert.equal(answer.body.connection_state.state, 'not_connected');
  });

  test('a token for the exchange does not work at the user API, nor the reverse', async () => {
    assertProblem(await world.api.accounts(alice.access_token), 401);
    const answer = await world.api.exchange(world.clients.backend, alice.me_token, 'demo');
    assertRefused(answer, 400, 'invalid_request');
  });

  test('a redirect URI that is not registered is refused', async () => {
    for (const redirectUri of [`${APP}/`, `${APP}?x=1`, 'http://127.0.0.1:3000.example.com/app']) {
      assertProblem(await world.api.connect(alice.me_token, { connection: 'demo', redirectUri }), 400, 403);
    }
  });

  test('the metadata names the endpoints, grants and authentication methods that work', async () => {
    const { body } = await world.api.call('GET', '/.well-known/oauth-authorization-server');
    assert.equal(body.issuer, `${world.vault}/`);
    assert.equal(body.token_endpoint, `${world.vault}/oauth/token`);
    for (const grant of Object.values(GRANT)) assert.ok(body.grant_types_supported.includes(grant), grant);
    for (const method of ['client_secret_basic', 'client_secret_post', 'private_key_jwt']) {
      assert.ok(body.token_endpoint_auth_methods_supported.includes(method), method);
    }
    const resource = await world.api.call('GET', '/.well-known/oauth-protected-resource/me/');
    assert.equal(resource.body.resource, `${world.vault}/me/`);
    for (const scope of ME_SCOPES) assert.ok(resource.body.scopes_supported.includes(scope), scope);
  });

  test('/health answers', async () => {
    const answer = await world.api.call('GET', '/health');
    assert.equal(answer.status, 200, show(answer));
  });

  test('an unknown path is a 404', async () => {
    assert.equal((await world.api.call('GET', '/nowhere')).status, 404);
  });

  test('nothing secret was logged', () => world.assertNothingLogged());

  function assertionBy(alg, claims = {}) {
    const { client_id: clientId, keys } = world.clients.agent;
    const assertion = clientAssertion({
      clientId,
      audience: `${world.vault}/`,
      key: keys.find((key) => key.alg === alg),
      claims,
    });
    world.secrets.add(assertion);
    return { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion };
  }
});
