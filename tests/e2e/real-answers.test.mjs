// SPDX-License-Identifier: Apache-2.0
// What real providers send beyond the RFCs, through the platform: bytes that are not UTF-8, byte-order marks, big
// bodies, ids that no number type holds, and userinfo that cannot be read.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { World, assertProblem, describe as show } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { newSigningKey, now, publicKey, signJwt } from './tokens.mjs';

// A client secret that is another one if it is form-encoded.
const RAW = `${randomBytes(24).toString('hex')}+/ %2B:=`;

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** A response with exactly these bytes. */
const bytes = (...parts) => (response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.concat(parts.map((part) => Buffer.from(part))));
};

describe('what real providers send', { timeout: 120_000 }, () => {
  let world;
  let provider;
  const key = newSigningKey('RS256');

  before(async () => {
    provider = await HostileServer.start();
    const { origin } = provider;
    world = await World.start({
      upstream: ['plain', 'marked', 'raw', 'company', 'unusable'].map((connection) => ({
        connection, client_id: `vault-${connection}`, client_secret: connection === 'raw' ? RAW : randomBytes(32).toString('base64url'),
      })),
      connections: () => ({
        plain: {
          kind: 'oauth2',
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/token`,
          userinfo_endpoint: `${origin}/userinfo`,
          client_id: 'vault-plain',
          identity: { id: 'id' },
        },
        raw: {
          kind: 'oauth2',
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/raw-token`,
          userinfo_endpoint: `${origin}/userinfo`,
          client_id: 'vault-raw',
          client_authentication: 'client_secret_basic_raw',
          identity: { id: 'id' },
        },
        company: {
          kind: 'oauth2',
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/token`,
          client_id: 'vault-company',
          grant_lifetime_days: 365,
          callback_extra: ['realmId'],
          identity: { from: 'callback', id: 'realmId' },
        },
        unusable: { kind: 'oidc', issuer: `${origin}/unusable`, client_id: 'vault-unusable' },
        marked: { kind: 'oidc', issuer: origin, client_id: 'vault-marked' },
      }),
    });
    const metadata = JSON.stringify({ issuer: origin, authorization_endpoint: `${origin}/auth`, token_endpoint: `${origin}/token`, jwks_uri: `${origin}/jwks` });
    provider.on('/.well-known/openid-configuration', bytes(MARK, metadata));
    provider.on('/jwks', bytes(MARK, JSON.stringify({ keys: [publicKey(key)] })));
    userinfo(bytes('{"id":"u-1"}'));
    token(bytes(JSON.stringify(good())));
  });
  after(async () => {
    await world?.close();
    await provider?.close();
  });

  const good = () => ({ access_token: 'access-1', refresh_token: 'refresh-1', token_type: 'Bearer', expires_in: 600 });
  const token = (act) => provider.on('/token', act);
  const userinfo = (act) => provider.on('/userinfo', act);

  /** Connects at the provider, which consents at once. */
  async function connect(user, connection, prepare = (_nonce) => {}, parameters = {}) {
    provider.on('/auth', (response, _body, query) => {
      prepare(query.get('nonce'));
      const back = new URL(query.get('redirect_uri'));
      back.search = new URLSearchParams({ code: 'a-code', state: query.get('state'), ...parameters }).toString();
      response.writeHead(302, { location: back.href }).end();
    });
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: user.login });
    return world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
  }

  const rest = () => JSON.stringify(good()).slice(1);
  for (const [what, act] of Object.entries({
    'begins with a byte-order mark': () => bytes(MARK, JSON.stringify(good())),
    'has a Latin-1 byte': () => bytes('{"name":"Ren', [0xe9], `",${rest()}`),
    'has half a character': () => bytes(`{"name":"\\ud83d",${rest()}`),
    'has a picture of 900 KB': () => bytes(`{"picture":"${'p'.repeat(900_000)}",${rest()}`),
    'is nested 5,000 deep': () => bytes(`{"deep":${'['.repeat(5000)}${']'.repeat(5000)},${rest()}`),
    'says something twice': () => bytes(`{"other":1,"other":2,"token_type":"Bearer",${rest()}`),
  })) {
    test(`a token response that ${what} is taken`, async () => {
      token(act());
      const user = await world.signIn(`taken-${what.replaceAll(/\W/g, '-')}`);
      const done = await connect(user, 'plain');
      assert.equal(done.status, 201, show(done));
      assert.equal((await world.exchange(user, { connection: 'plain' })).access_token, 'access-1');
    });
  }

  test('a discovery document, a key set and a token response with byte-order marks are read', async () => {
    const user = await world.signIn('marked');
    const done = await connect(user, 'marked', (nonce) => {
      const claims = { iss: provider.origin, aud: 'vault-marked', sub: 'u', nonce, iat: now(), exp: now() + 30 * 86_400, email: 7, name: 'U' };
      token(bytes(MARK, JSON.stringify({ ...good(), id_token: signJwt({ alg: 'RS256', kid: key.kid }, claims, key) })));
    });
    assert.equal(done.status, 201, show(done));
  });

  test('two users whose ids are beyond 2^64 and one apart are two accounts', async () => {
    token(bytes(JSON.stringify(good())));
    const user = await world.signIn('long-ids');
    const ids = ['18446744073709551616', '18446744073709551617', '9007199254740993', '9007199254740992'];
    for (const id of ids) {
      userinfo(bytes(MARK, `{"id":${id}}`));
      assert.equal((await connect(user, 'plain')).status, 201);
    }
    assert.equal((await world.accounts(user)).length, ids.length);
    for (const login_hint of ids) {
      assert.equal((await world.exchange(user, { connection: 'plain', login_hint })).access_token, 'access-1');
    }
  });

  for (const [what, act, reason, words] of /** @type {[string, any, string, string][]} */ ([
    ['has status 403', answer(403, { id: 'u-1' }), 'userinfo_http_403', 'userinfo has status 403'],
    ['is a JWT', bytes('eyJhbGciOiJSUzI1NiJ9.eyJpZCI6MX0.c2ln'), 'userinfo_signed', 'its userinfo response is a signed JWT'],
    ['is HTML', bytes('<html>'), 'userinfo_not_json', 'its userinfo response is not JSON'],
    ['is too large', bytes(`{"id":"u-1","picture":"${'p'.repeat(1024 * 1024)}"}`), 'userinfo_not_json', 'its userinfo response is not JSON, or too large'],
    ['names nobody', bytes('{"name":"U"}'), 'userinfo_without_id', 'its userinfo response has no id'],
    ['names two', bytes('{"id":1,"id":2}'), 'userinfo_repeats_member', 'its userinfo response has two ids'],
  ])) {
    test(`a connect whose userinfo ${what} ends with 502, and the log says why`, async () => {
      token(bytes(JSON.stringify(good())));
      userinfo(act);
      const user = await world.signIn(`nobody-${what.replaceAll(/\W/g, '-')}`);
      const logged = world.workerd.log.length;
      const refused = await connect(user, 'plain');
      assertProblem(refused, 502);
      assert.ok(refused.body.detail.includes(`who the user is: ${words}`), refused.body.detail);
      const lines = world.workerd.log.slice(logged).split('\n');
      const events = lines.filter((line) => line.includes('_refused"'));
      assert.equal(events.length, 1, events.join('\n'));
      assert.match(events[0], new RegExp(`"userinfo_refused".*"${reason}"`));
      assert.deepEqual(await world.accounts(user), []);
    });
  }

  test('HTTP Basic without form-encoding authenticates at a connect and at a refresh', async () => {
    const authorizations = [];
    provider.on('/raw-token', (response, _body, _query, headers) => {
      authorizations.push(headers.authorization);
      answer(200, { ...good(), access_token: `raw-${authorizations.length}` })(response);
    });
    userinfo(answer(200, { id: 'u-raw' }));
    const user = await world.signIn('raw');
    assert.equal((await connect(user, 'raw')).status, 201);
    await world.advance(600);
    assert.equal((await world.exchange(user, { connection: 'raw' })).access_token, 'raw-2');
    const expected = `Basic ${Buffer.from(`vault-raw:${RAW}`).toString('base64')}`;
    assert.deepEqual(authorizations, [expected, expected]);
    world.secrets.add(RAW);
    await world.assertLogHasNoSecret();
  });

  test('a provider without a usable key is the operator\'s turn: the page says so, and the log names the key', async () => {
    const issuer = `${provider.origin}/unusable`;
    provider.on('/unusable/.well-known/openid-configuration', answer(200, {
      issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`,
    }));
    provider.on('/unusable/jwks', answer(200, { keys: [{ kty: 'oct', k: 'AAAA' }] }));
    const started = await world.startConnect(await world.signIn('unusable'), { connection: 'unusable' });
    const from = world.workerd.log.length;
    const page = await fetch(world.api.connectLink(started), { redirect: 'manual' });
    assert.equal(page.status, 503);
    assert.match(await page.text(), /Its operator has to look into it/);
    assert.match(world.workerd.log.slice(from), /"issuer_unavailable".*the key at index 0 is private or symmetric/);
  });

  test('a parameter of the callback tells accounts apart, and without it a connect ends with 502', async () => {
    token(bytes(JSON.stringify(good())));
    const user = await world.signIn('companies');
    for (const realmId of ['1', '2', '2']) {
      const done = await connect(user, 'company', undefined, { realmId });
      assert.equal(done.status, 201, show(done));
      assert.equal(done.body.provider_data.realmId, realmId);
    }
    assert.equal((await world.accounts(user)).length, 2);
    assert.equal((await world.exchange(user, { connection: 'company', login_hint: '2' })).provider_data.realmId, '2');
    const from = world.workerd.log.length;
    assertProblem(await connect(user, 'company'), 502);
    assert.match(world.workerd.log.slice(from), /"userinfo_refused".*"callback_without_id"/);
    assert.equal((await world.accounts(user)).length, 2);
  });

  test('a grant that ends a fixed time after the consent shows the same end after a refresh', async () => {
    token(bytes(JSON.stringify(good())));
    const user = await world.signIn('a-year');
    const done = await connect(user, 'company', undefined, { realmId: '3' });
    const { created_at: from, expires_at: end } = done.body;
    assert.equal(Date.parse(end) - Date.parse(from), 365 * 86_400_000);
    await world.advance(600);
    const refreshes = provider.count('/token');
    await world.exchange(user, { connection: 'company' });
    assert.equal(provider.count('/token'), refreshes + 1);
    assert.equal((await world.accounts(user))[0].expires_at, end);
  });

  test('userinfo with status 201 names the user', async () => {
    userinfo(answer(201, { id: 'u-201' }));
    assert.equal((await connect(await world.signIn('created'), 'plain')).status, 201);
  });
});
