// SPDX-License-Identifier: Apache-2.0
// The main job on real workerd: connect once, exchange with every grant type and every method of client
// authentication, and use the token; and the metadata documents of the vault.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ME_SCOPES } from '../../xtask/js/provider.mjs';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { APP, World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { assertExchanged } from './exchange-cases.mjs';
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

  test('connecting answers with the account and what was granted', () => {
    assert.match(account.id, /^cac_[A-Za-z0-9]+$/);
    assert.equal(account.connection, 'demo');
    assert.equal(account.access_type, 'offline');
    assert.deepEqual([...account.scopes].sort(), ['email', 'offline_access', 'openid', 'profile']);
    assert.ok(Math.abs(Date.parse(account.created_at) - Date.now()) < 60_000, account.created_at);
  });

  for (const alg of ['RS256', 'ES256']) {
    test(`a client authenticates with a ${alg} assertion`, async () => {
      const assertion = assertionBy(alg);
      const rfc8693 = await world.api.exchange({}, alice.access_token, 'demo', { auth: 'none', ...assertion });
      await assertExchanged(world, rfc8693, TOKEN_TYPE.access);
      const auth0 = await world.api.exchangeAuth0({}, alice.access_token, 'demo', { auth: 'none', ...assertionBy(alg) });
      await assertExchanged(world, auth0, TOKEN_TYPE.auth0);
    });
  }

  test('an assertion for another audience, of another time, or by another key is refused', async () => {
    const { agent } = world.clients;
    const flawed = {
      'another audience': assertionBy('RS256', { aud: world.issuer }),
      'a life of two days': assertionBy('RS256', { exp: now() + 2 * 86_400 }),
      'an old one that lives on': assertionBy('RS256', { iat: now() - 600, exp: now() + 3000 }),
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

  test('a secret without a client_id names its client, which exchanges its own tokens alone', async () => {
    const user = await world.signIn('alice', { client: 'webapp' });
    const exchange = (client, token) => world.api.exchangeAuth0(client, token, 'demo', { auth: 'secret_only' });
    const { webapp, backend } = world.clients;
    await assertExchanged(world, await exchange(webapp, user.access_token), TOKEN_TYPE.auth0);
    // A bad token says nothing about the secret: an application must not look for a fault in its own.
    assertRefused(await exchange(webapp, `${user.access_token}x`), 403, 'invalid_grant');
    assertRefused(await exchange(webapp, alice.access_token), 403, 'invalid_grant');
    // `backend` accepts tokens that were issued to `spa`, but then it must say who it is.
    assertRefused(await exchange(backend, alice.access_token), 403, 'invalid_grant');
    for (const token of [user.access_token, 'x']) {
      assertRefused(await exchange({ ...webapp, client_secret: 'wrong' }, token), 401, 'invalid_client');
    }
  });

  test('a connection that is null in a JSON body is an invalid request', async () => {
    const answer = await world.api.exchangeAuth0(world.clients.backend, alice.access_token, null, { body: 'json' });
    assertRefused(answer, 400, 'invalid_request');
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
      assertProblem(await world.api.connect(alice.me_token, { connection: 'demo', redirectUri }), 400);
    }
  });

  test('the metadata names the token endpoint, grants, authentication methods and scopes there are, and no others', async () => {
    const { body } = await world.api.call('GET', '/.well-known/oauth-authorization-server');
    assert.equal(body.issuer, `${world.vault}/`);
    assert.equal(body.token_endpoint, `${world.vault}/oauth/token`);
    assert.deepEqual(body.grant_types_supported.toSorted(), Object.values(GRANT).toSorted());
    const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];
    assert.deepEqual(body.token_endpoint_auth_methods_supported.toSorted(), methods);
    const resource = await world.api.call('GET', '/.well-known/oauth-protected-resource/me/');
    assert.equal(resource.body.resource, `${world.vault}/me/`);
    assert.deepEqual(resource.body.scopes_supported.toSorted(), ME_SCOPES.toSorted());
  });

  test('OpenID clients find the same metadata where they look', async () => {
    const [oauth, openId] = ['oauth-authorization-server', 'openid-configuration'].map((name) => `/.well-known/${name}`);
    const described = ({ status, headers, body }) => ({ status, headers: Object.fromEntries(headers), body });
    for (const method of ['GET', 'HEAD', 'POST']) {
      const [expected, answer] = await Promise.all([oauth, openId].map((path) => world.api.call(method, path)));
      assert.equal(expected.status, method === 'POST' ? 405 : 200, show(expected));
      assert.deepEqual(described(answer), described(expected), method);
    }
  });

  test('/health answers', async () => {
    const answer = await world.api.call('GET', '/health');
    assert.equal(answer.status, 200, show(answer));
  });

  test('an unknown path is a 404', async () => {
    assert.equal((await world.api.call('GET', '/nowhere')).status, 404);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());

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
