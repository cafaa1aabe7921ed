// SPDX-License-Identifier: Apache-2.0
// Invalid requests: each is rejected with the right error, which says what is wrong, and changes nothing.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GRANT, TOKEN_TYPE, call } from '../../xtask/js/vault-api.mjs';
import { APP, World, assertProblem, describe as show } from './harness.mjs';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
// The characters that are allowed in error_description (RFC 6749 §5.2).
const DESCRIPTION = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/;

describe('bad input', { timeout: 120_000 }, () => {
  let world;
  let user;

  before(async () => {
    world = await World.start();
    user = await world.signIn('nora');
    await world.connect(user);
  });
  after(() => world?.close());

  /** Asserts that nothing changed and that a valid request succeeds. */
  async function assertUnharmed() {
    assert.equal((await world.accounts(user)).length, 1);
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'nora');
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{headers?: any, body?: any}} [request]
   * @returns {Promise<{request: any, status: number, headers: Headers, body: any}>}
   */
  async function send(method, path, { headers = {}, body } = {}) {
    const response = await fetch(world.vault + path, { method, headers, body, redirect: 'manual' });
    const text = await response.text();
    let parsed = text;
    try { parsed = JSON.parse(text); } catch { /* a page, or nothing */ }
    return { request: { method, url: world.vault + path }, status: response.status, headers: response.headers, body: parsed };
  }

  const params = (change = {}) => {
    const { client_id: id, client_secret: secret } = world.clients.backend;
    const all = {
      grant_type: GRANT.rfc8693,
      client_id: id,
      client_secret: secret,
      subject_token: user.access_token,
      subject_token_type: TOKEN_TYPE.access,
      audience: 'demo',
      ...change,
    };
    return Object.entries(all).filter(([, value]) => value !== undefined);
  };
  const form = (entries, type = FORM) => ({ headers: { 'content-type': type }, body: new URLSearchParams(entries).toString() });
  const json = (change, text) => ({
    headers: { 'content-type': JSON_TYPE },
    body: text ?? JSON.stringify(Object.fromEntries(params({ grant_type: GRANT.auth0, audience: undefined, connection: 'demo', ...change }))),
  });

  /** @type {Record<string, any[]>} */
  const requests = {
    'has a body over 64 KiB': [() => form(params({ extra: 'x'.repeat(70_000) })), 413, 'invalid_request', /64 KiB/],
    'has no content type': [() => ({ headers: {}, body: Buffer.from(form(params()).body) }), 400, 'invalid_request', /x-www-form-urlencoded/],
    'is XML': [() => form(params(), 'application/xml'), 400, 'invalid_request', /x-www-form-urlencoded/],
    'is empty': [() => form([]), 400, 'invalid_request', /grant_type/],
    'has its parameters in the query': [() => ({ ...form([]), query: `?${new URLSearchParams(params())}` }), 400, 'invalid_request', /grant_type/],
    'has an unknown grant type': [() => form(params({ grant_type: 'password' })), 400, 'unsupported_grant_type', /grant_type/],
    'is JSON with the RFC 8693 grant': [() => json({ grant_type: GRANT.rfc8693 }), 400, 'invalid_request', /x-www-form-urlencoded/],
    'is JSON with a member twice': [() => json({}, '{"grant_type":"a","grant_type":"b"}'), 400, 'invalid_request', /twice/],
    'is JSON with an escaped member twice': [() => json({}, '{"grant_type":"a","grant\\u005ftype":"b"}'), 400, 'invalid_request', /twice/],
    'is a JSON list': [() => json({}, '[]'), 400, 'invalid_request', /JSON object/],
    'is broken JSON': [() => json({}, '{"grant_type"'), 400, 'invalid_request', /JSON object/],
    'is JSON with a number for text': [() => json({ connection: 7 }), 400, 'invalid_request', /connection/],
    'is JSON with null for the connection': [() => json({ connection: null }), 400, 'invalid_request', /connection/],
    'is JSON of great depth': [() => json({}, `{"a":${'['.repeat(5000)}`), 400, 'invalid_request', /JSON object/],
    'names no subject token': [() => form(params({ subject_token: undefined })), 400, 'invalid_request', /subject_token/],
    'names no subject token type': [() => form(params({ subject_token_type: undefined })), 400, 'invalid_request', /subject_token_type/],
    'has an empty subject token': [() => form(params({ subject_token: '' })), 400, 'invalid_request', /subject_token/],
    'calls an access token an id token': [() => form(params({ subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' })), 400, 'invalid_request', /subject_token_type/],
    'presents an id token as an access token': [() => form(params({ subject_token: user.id_token })), 400, 'invalid_request', /subject token is not accepted/],
    'has an actor token': [() => form(params({ actor_token: 'x', actor_token_type: TOKEN_TYPE.access })), 400, 'invalid_request', /actor/],
    'has an actor token type alone': [() => form(params({ actor_token_type: TOKEN_TYPE.access })), 400, 'invalid_request', /actor/],
    'wants a type we do not issue': [() => form(params({ requested_token_type: 'urn:ietf:params:oauth:token-type:saml2' })), 400, 'invalid_request', /requested_token_type/],
    'names a resource': [() => form(params({ resource: 'https://api.example.com/#x' })), 400, 'invalid_target', /resource/],
    'names two audiences': [() => form([...params(), ['audience', 'other']]), 400, 'invalid_target', /one connection/],
    'names a parameter twice': [() => form([...params(), ['scope', 'a'], ['scope', 'b']]), 400, 'invalid_request', /scope/],
    'names audience and another connection': [() => form(params({ connection: 'other' })), 400, 'invalid_request', /audience and connection/],
    'has a scope that is none': [() => form(params({ scope: 'a"b' })), 400, 'invalid_scope', /scope/],
    'names more than 100 scopes': [() => form(params({ client_secret: 'x', scope: Array.from({ length: 101 }, (_, index) => `s${index}`).join(' ') })), 400, 'invalid_scope', /at most 100 scopes/],
    'has more than 100 parameters': [() => form([...params({ client_secret: 'x' }), ...Array.from({ length: 100 }, (_, index) => [`x${index}`, '1'])]), 400, 'invalid_request', /at most 100 parameters/],
    'is JSON with more than 100 members': [() => json({ client_secret: 'x', ...Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x${index}`, '1'])) }), 400, 'invalid_request', /at most 100 parameters/],
    'names a resource of more than 2,048 bytes': [() => form(params({ client_secret: 'x', resource: `https://api.example/${'x'.repeat(2048)}` })), 400, 'invalid_target', /at most 2048 bytes/],
    'proves itself twice': [() => { const request = form(params()); request.headers.authorization = `Basic ${btoa('backend:x')}`; return request; }, 400, 'invalid_request', /one way/],
    'has unreadable credentials': [() => { const request = form(params({ client_id: undefined, client_secret: undefined })); request.headers.authorization = 'Basic ***'; return request; }, 401, 'invalid_client', /Basic/],
    'has no credentials': [() => form(params({ client_id: undefined, client_secret: undefined })), 401, 'invalid_client', /client/],
    'has an assertion without its type': [() => form(params({ client_secret: undefined, client_assertion: 'x' })), 400, 'invalid_request', /client_assertion_type/],
  };
  for (const [what, [make, status, error, named]] of Object.entries(requests)) {
    test(`a token request that ${what} is told what is wrong with it`, async () => {
      const { query = '', ...request } = make();
      const answer = await send('POST', `/oauth/token${query}`, request);
      assert.equal(answer.status, status, show(answer));
      assert.equal(answer.body.error, error, show(answer));
      assert.match(answer.body.error_description, named);
      assert.match(answer.body.error_description, DESCRIPTION);
      assert.equal(answer.headers.get('content-type'), JSON_TYPE);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      await assertUnharmed();
    });
  }

  test('empty parameters count as left out, and unknown ones are passed over', async () => {
    const answer = await send('POST', '/oauth/token', form([...params({ scope: '', login_hint: '' }), ['x', '1'], ['x', '2']]));
    assert.equal(answer.status, 200, show(answer));
  });

  test('Basic credentials are form-decoded', async () => {
    const request = form(params({ client_id: undefined, client_secret: undefined }));
    request.headers.authorization = `Basic ${btoa(`back%65nd:${world.clients.backend.client_secret}`)}`;
    const answer = await send('POST', '/oauth/token', request);
    assert.equal(answer.status, 200, show(answer));
  });

  const methods = {
    '/oauth/token': ['POST', ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']],
    '/health': ['GET', ['POST', 'DELETE']],
    '/.well-known/oauth-authorization-server': ['GET', ['POST']],
    '/.well-known/openid-configuration': ['GET', ['POST']],
    '/connected-accounts/connect': ['GET', ['POST', 'PUT']],
    '/callback/demo': ['GET, POST', ['PUT', 'DELETE']],
    '/me/v1/connected-accounts/connect': ['POST', ['GET', 'PUT']],
    '/me/v1/connected-accounts/complete': ['POST', ['GET']],
    '/me/v1/connected-accounts/accounts': ['GET', ['POST', 'DELETE']],
    '/me/v1/connected-accounts/connections': ['GET', ['POST']],
    '/me/v1/connected-accounts/accounts/cac_1': ['DELETE', ['GET', 'POST']],
  };
  for (const [path, [allowed, refused]] of /** @type {[string, [string, string[]]][]} */ (Object.entries(methods))) {
    test(`${path} refuses other methods than ${allowed} and names it`, async () => {
      for (const method of refused) {
        const answer = await send(method, path, { headers: { authorization: `Bearer ${user.me_token}` } });
        assert.equal(answer.status, 405, `${method}: ${show(answer)}`);
        assert.equal(answer.headers.get('allow'), allowed, method);
      }
    });
  }

  test('an address that is none is 404, without a page or a redirect', async () => {
    for (const path of ['/', '/oauth', '/oauth/token/', '/me', '/me/v1/connected-accounts', '/me/v1/connected-accounts/x', '/api/v2/users', '//oauth/token', '/%00', '/test']) {
      const answer = await send('GET', path, { headers: { authorization: `Bearer ${user.me_token}` } });
      assertProblem(answer, 404);
    }
  });

  const connects = {
    'is no JSON': ['{', 400],
    'is a list': ['[]', 400],
    'has a member twice': ['{"connection":"demo","connection":"demo"}', 400],
    'is empty': ['{}', 400, ['connection', 'redirect_uri']],
    'has nulls': ['{"connection":null,"redirect_uri":null,"scopes":null}', 400, ['connection', 'redirect_uri']],
    'has the wrong types': ['{"connection":1,"scopes":"a b"}', 400, ['connection', 'redirect_uri', 'scopes']],
    'has a body over 512 KiB': [`{"connection":"${'x'.repeat(600_000)}"}`, 413],
    'has a plain challenge': [JSON.stringify({ connection: 'demo', redirect_uri: APP, code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' }), 400, ['code_challenge_method']],
    'has a method without a challenge': [JSON.stringify({ connection: 'demo', redirect_uri: APP, code_challenge_method: 'S256' }), 400, ['code_challenge']],
    'has a scope with a space': [JSON.stringify({ connection: 'demo', redirect_uri: APP, scopes: ['a b'] }), 400, ['scopes']],
  };
  for (const [what, [body, status, fields]] of Object.entries(connects)) {
    test(`a connect that ${what} names what is wrong`, async () => {
      const headers = { authorization: `Bearer ${user.me_token}`, 'content-type': JSON_TYPE };
      const answer = await send('POST', '/me/v1/connected-accounts/connect', { headers, body });
      assertProblem(answer, status);
      if (fields) assert.deepEqual(answer.body.validation_errors.map((one) => one.field), fields);
      await assertUnharmed();
    });
  }

  test('redirect URIs that only look alike are refused', async () => {
    const url = new URL(APP);
    for (const redirectUri of [
      `${APP}/`, `${APP}?x=1`, `${APP}#x`, `${APP}/../evil`, APP.toUpperCase(), APP.replace('127.0.0.1', 'localhost'),
      APP.replace(':3000', ':3001'), APP.replace('http:', 'https:'), `${url.protocol}//evil@${url.host}${url.pathname}`,
      `http://evil.example/${APP}`, ` ${APP}`, `${APP}%20`, `${APP}\u0000`, 'javascript:alert(1)', '//127.0.0.1:3000/app',
    ]) {
      const answer = await world.api.connect(user.me_token, { connection: 'demo', redirectUri });
      assertProblem(answer, 400);
      assert.deepEqual(answer.body.validation_errors.map((one) => one.field), ['redirect_uri'], redirectUri);
    }
  });

  test('a bearer token counts in the header alone', async () => {
    const path = '/me/v1/connected-accounts/accounts';
    for (const [headers, query] of [
      [{}, ''],
      [{}, `?access_token=${user.me_token}`],
      [{ authorization: user.me_token }, ''],
      [{ authorization: `Basic ${user.me_token}` }, ''],
      [{ authorization: `Bearer ${user.access_token}` }, ''],
      [{ authorization: `Bearer ${user.me_token}x` }, ''],
    ]) assertProblem(await send('GET', path + query, { headers }), 401);
    const answer = await send('GET', path, { headers: { authorization: `bearer ${user.me_token}` } });
    assert.equal(answer.status, 200, 'the scheme is case-insensitive');
  });

  test('handles that are truncated, foreign or made up change nothing', async () => {
    const other = await world.signIn('oscar');
    const started = await world.startConnect(user);
    const back = await world.visit(started, { login: 'nora' });
    const code = back.searchParams.get('connect_code');
    const session = started.body.auth_session;
    const foreign = await world.startConnect(other);
    for (const [authSession, connectCode] of [
      [session.slice(0, -1), code], [session, code.slice(0, -1)], [session, `${code}A`], [session, session],
      [code, code], [foreign.body.auth_session, code], [session, `${code.split('.')[0]}.${'A'.repeat(22)}`],
      ['', code], [session, ''], ['../..', code], [null, null], [7, {}],
    ]) {
      assertProblem(await world.api.complete(user.me_token, started, connectCode, { auth_session: authSession }), 400);
    }
    for (const ticket of ['', 'x', started.body.connect_params.ticket, session, `${'A'.repeat(22)}.${'A'.repeat(22)}`]) {
      const page = await call({ url: `${world.vault}/connected-accounts/connect?ticket=${ticket}` });
      assert.equal(page.status, 400, ticket);
      assert.equal(page.headers.get('location'), null);
    }
    // After all these attempts the valid request still succeeds.
    const done = await world.api.complete(user.me_token, started, code);
    assert.equal(done.status, 201, show(done));
    await assertUnharmed();
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
