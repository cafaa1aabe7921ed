// SPDX-License-Identifier: Apache-2.0
// Whatever an issuer publishes as its metadata (RFC 8414 §3.3) or its keys (RFC 7517 §5, RFC 8725 §3.10),
// valid tokens are still accepted, invalid ones are rejected, and the vault fetches rarely.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { World, assertRefused, describe as show } from './harness.mjs';
import { HostileServer, answer, broken, endless, silent } from './hostile-server.mjs';
import { accessToken, newSigningKey, now, publicKey } from './tokens.mjs';

const FRESH = 600; // seconds for which a copy of the keys is used
const COOL_DOWN = 30; // minimum time between two fetches, in seconds
const PAUSE = 1800; // seconds without a fetch after which a request waits for one
const FLOOD = 10_000;
const AT_ONCE = 50;

describe('a hostile issuer', { timeout: 240_000 }, () => {
  let world;
  let hostile;
  const key = newSigningKey('RS256');
  const other = newSigningKey('ES256');

  before(async () => {
    hostile = await HostileServer.start();
    world = await World.start({ issuers: () => ({ evil: { issuer: hostile.origin, typ: 'at+jwt' } }) });
    publish();
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  function publish(keys = [publicKey(key)]) {
    hostile.on('/.well-known/openid-configuration', answer(200, metadata()));
    hostile.on('/jwks', answer(200, { keys }));
  }

  const metadata = () => ({ issuer: hostile.origin, jwks_uri: `${hostile.origin}/jwks` });
  /** A token that is valid at the vault's time. */
  function token(signer = key) {
    const iat = now() + world.clock;
    const made = accessToken({
      issuer: hostile.origin,
      audience: `${world.vault}/`,
      sub: 'eve',
      clientId: 'spa',
      key: signer,
      header: { alg: signer.alg },
      claims: { iat, exp: iat + 6 * 3600 },
    });
    world.secrets.add(made);
    return made;
  }
  const exchange = (subject) => world.api.exchange(world.clients.backend, subject, 'demo');

  /** Asserts that a token is verified: the user has no account, so the error is `invalid_target`. */
  async function assertVerified(subject) {
    const refused = await exchange(subject);
    assertRefused(refused, 400, 'invalid_target');
    assert.equal(refused.body.connection_state.state, 'not_connected');
  }
  const assertNotVerified = async (subject) => assertRefused(await exchange(subject), 400, 'invalid_request');

  /** What the log says of the issuer's documents, in the events since `from`. */
  const details = (from) => [...world.workerd.log.slice(from).matchAll(/"issuer_unavailable".*"detail":"([^"]*)"/g)].map(([, detail]) => detail);

  for (const [what, publishBad, detail] of /** @type {[string, () => void, string][]} */ ([
    ['that moved its metadata', () => {
      hostile.on('/.well-known/openid-configuration', (response) => response.writeHead(301, { location: '/stolen' }).end());
    }, 'no metadata: status 301: redirects are not followed; configure the final address'],
    ['with keys of which none can be used', () => {
      publish([{ ...publicKey(key), use: 'enc' }, { kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA' }]);
    }, 'not a JWK set with at least one usable signature key; the key at index 0 is not for signatures (use, key_ops)'],
  ])) {
    test(`${what} is the operator's turn: callers are told so, and the log names the cause`, async () => {
      publishBad();
      const from = world.workerd.log.length;
      for (const _ of ['fetched', 'not fetched again yet']) {
        const answered = await exchange(token());
        assertRefused(answered, 503, 'temporarily_unavailable');
        assert.match(answered.body.error_description, /operator must act/);
        assert.equal(answered.headers.get('retry-after'), '60');
      }
      assert.deepEqual(details(from), [detail]);
      await world.advance(COOL_DOWN);
    });
  }

  test('that was never reachable is told as an outage, not as a bad token', async () => {
    hostile.on('/.well-known/openid-configuration', broken);
    const answered = await exchange(token());
    assertRefused(answered, 503, 'temporarily_unavailable');
    assert.ok(Number(answered.headers.get('retry-after')) > 0);
    publish();
    await world.advance(COOL_DOWN);
    await assertVerified(token());
  });

  // A key set that would verify tokens of the other key, if the vault used it.
  const tempting = () => answer(200, { keys: [publicKey(key), publicKey(other)] });
  const metadataWith = (text) => {
    hostile.on('/jwks', tempting());
    hostile.on('/.well-known/openid-configuration', answer(200, text));
  };
  const documents = {
    'is down': () => hostile.on('/jwks', broken),
    'answers 500': () => hostile.on('/jwks', answer(500, 'oops')),
    'redirects': () => {
      hostile.on('/jwks', (response) => response.writeHead(302, { location: '/stolen' }).end());
      hostile.on('/stolen', tempting());
    },
    'publishes 100 MB': () => hostile.on('/jwks', endless(100 * 1024 * 1024, '{"keys":["')),
    'publishes no JSON': () => hostile.on('/jwks', answer(200, '<html>')),
    'publishes an empty set': () => hostile.on('/jwks', answer(200, { keys: [] })),
    'publishes no keys member': () => hostile.on('/jwks', answer(200, {})),
    'publishes keys of the wrong kind only': () => hostile.on('/jwks', answer(200, {
      keys: [
        { kty: 'oct', k: 'AAAA', kid: key.kid },
        { ...publicKey(other), use: 'enc' },
        { ...publicKey(key), use: 'enc' },
        { ...publicKey(key), key_ops: ['sign'] },
        { ...publicKey(key), alg: 'HS256' },
        { ...publicKey(key), n: 'AQAB' },
        { ...publicKey(key), e: 'AQ' },
        key, // with its private members
        { kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA' },
        7,
      ],
    })),
    'claims to be another': () => metadataWith({ ...metadata(), issuer: `${hostile.origin}/` }),
    'moves its keys to a place that is not allowed': () => {
      metadataWith({ ...metadata(), jwks_uri: `${hostile.origin}/stolen#` });
      hostile.on('/stolen', tempting());
    },
    'publishes metadata with a member twice': () => metadataWith(
      `{"issuer":"${hostile.origin}","jwks_uri":"${hostile.origin}/","jwks_uri":"${hostile.origin}/jwks"}`,
    ),
  };
  for (const [what, misbehave] of Object.entries(documents)) {
    test(`that ${what} changes nothing for tokens of keys that were good`, async () => {
      publish();
      await world.advance(PAUSE);
      await assertVerified(token());
      misbehave();
      await world.advance(PAUSE);
      await assertVerified(token());
      await assertNotVerified(token(other));
      assert.equal(hostile.count('/stolen'), 0);
    });
  }

  test('that stays away is believed for a day and no longer', async () => {
    publish();
    await world.advance(PAUSE);
    await assertVerified(token());
    hostile.on('/jwks', broken);
    await world.advance(23 * 3600);
    await assertVerified(token());
    await world.advance(3600);
    assertRefused(await exchange(token()), 503, 'temporarily_unavailable');
  });

  test('that is silent is given up, and its last keys go on', async () => {
    publish();
    await world.advance(PAUSE);
    await assertVerified(token());
    const givenUp = Promise.withResolvers();
    hostile.on('/jwks', (response) => {
      response.once('close', givenUp.resolve);
      silent(response);
    });
    await world.advance(PAUSE);
    await assertVerified(token());
    await givenUp.promise;
  });

  test('that does not answer delays only tokens of a key that its last keys lack', async () => {
    publish();
    await world.advance(PAUSE);
    await assertVerified(token());
    const asked = Promise.withResolvers();
    hostile.on('/jwks', asked.resolve);
    await world.advance(FRESH);
    const before = hostile.count('/jwks');
    await assertVerified(token());
    const response = await asked.promise;
    const waiting = assertVerified(token(other));
    await assertVerified(token());
    answer(200, { keys: [publicKey(key), publicKey(other)] })(response);
    await waiting;
    assert.equal(hostile.count('/jwks'), before + 1);
  });

  test('that adds a key is asked once more, and one that drops a key is believed', async () => {
    publish();
    await world.advance(PAUSE);
    const remembered = token();
    await assertVerified(remembered);
    publish([publicKey(other)]);
    await world.advance(COOL_DOWN);
    await assertVerified(token(other));
    await assertNotVerified(token());
    await assertNotVerified(remembered);
  });

  test('with one bad key among good ones, and with two of one id, gives what is unambiguous', async () => {
    const second = newSigningKey('RS256');
    publish([{ kty: 'oct', k: 'AAAA' }, publicKey(key), { ...publicKey(second), kid: other.kid }, publicKey(other)]);
    await world.advance(PAUSE);
    await assertVerified(token());
    await assertVerified(token(other)); // the same id, another key type
    publish([publicKey(key), { ...publicKey(second), kid: key.kid }]);
    await world.advance(PAUSE);
    await assertNotVerified(token());
  });

  test(`is asked once per cool-down for ${FLOOD} tokens with key ids of nobody`, async () => {
    publish();
    await world.advance(PAUSE);
    await assertVerified(token());
    await world.advance(COOL_DOWN);
    const before = hostile.count('/jwks');
    const begun = Date.now();
    const flood = token();
    const [, claims, signature] = flood.split('.');
    for (let sent = 0; sent < FLOOD; sent += AT_ONCE) {
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => {
        const header = { alg: 'RS256', typ: 'at+jwt', kid: randomBytes(9).toString('base64url') };
        const text = [Buffer.from(JSON.stringify(header)).toString('base64url'), claims, signature].join('.');
        return exchange(text);
      }));
      for (const refused of answers) assertRefused(refused, 400, 'invalid_request');
    }
    const fetches = hostile.count('/jwks') - before;
    const coolDowns = Math.floor((Date.now() - begun) / 1000 / COOL_DOWN);
    assert.ok(fetches >= 1 && fetches <= 1 + coolDowns, `${fetches} fetches in ${coolDowns} cool-downs`);
    await assertVerified(token());
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});

describe('an issuer with pinned keys that is also the provider of a connection', { timeout: 120_000 }, () => {
  const pinnedKey = newSigningKey('RS256');
  const publishedKey = newSigningKey('RS256');
  const names = ['used-as-issuer-first', 'used-as-provider-first'];
  const servers = {};
  let world;
  let user;

  before(async () => {
    for (const name of names) {
      const server = await HostileServer.start();
      const { origin } = server;
      server.on('/pinned', answer(200, { keys: [publicKey(pinnedKey)] }));
      server.on('/jwks', answer(200, { keys: [publicKey(publishedKey)] }));
      server.on('/.well-known/openid-configuration', answer(200, {
        issuer: origin, jwks_uri: `${origin}/jwks`, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token`,
      }));
      servers[name] = server;
    }
    const each = (make) => Object.fromEntries(names.map((name) => [name, make(servers[name].origin)]));
    world = await World.start({
      issuers: () => each((origin) => ({ issuer: origin, typ: 'at+jwt', jwks_uri: `${origin}/pinned` })),
      connections: () => each((origin) => ({ kind: 'oidc', issuer: origin, client_id: 'vault', client_authentication: 'none' })),
    });
    user = await world.signIn('alice');
  });
  after(async () => {
    await world?.close();
    for (const server of Object.values(servers)) await server.close();
  });

  function token(name, key) {
    const iat = now() + world.clock;
    const made = accessToken({
      issuer: servers[name].origin,
      audience: `${world.vault}/me/`,
      sub: 'eve',
      clientId: 'spa',
      key,
      claims: { iat, exp: iat + 6 * 3600, scope: 'read:me:connected_accounts' },
    });
    world.secrets.add(made);
    return made;
  }

  /** Only the key at the configured `jwks_uri` is trusted; the connection discovers its endpoints. */
  const uses = (name) => {
    const [good, bad] = [pinnedKey, publishedKey].map((key) => token(name, key));
    return {
      async issuer() {
        for (const [subject, status] of [[good, 200], [bad, 401]]) {
          const answered = await world.api.accounts(subject);
          assert.equal(answered.status, status, show(answered));
        }
      },
      async provider() {
        const started = await world.startConnect(user, { connection: name });
        const answered = await world.api.call('GET', world.api.connectLink(started).slice(world.vault.length));
        assert.ok(answered.headers.get('location')?.startsWith(`${servers[name].origin}/authorize?`), show(answered));
      },
    };
  };

  for (const name of names) {
    test(`keeps pinned keys and discovered endpoints apart: ${name}`, async () => {
      const { issuer, provider } = uses(name);
      const turn = name.includes('issuer') ? [issuer, provider] : [provider, issuer];
      for (const use of [...turn, ...turn]) await use();
      await world.advance(PAUSE);
      for (const use of [...turn, ...turn]) await use();
    });
  }

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});

describe('the authorization endpoint in the metadata of a provider', { timeout: 120_000 }, () => {
  const queries = { policy: '?p=policy&prompt=login&login_hint=theirs', doubling: '?p=policy&client_id=other' };
  const names = Object.keys(queries);
  const servers = {};
  let world;
  let user;

  before(async () => {
    for (const name of names) {
      const server = await HostileServer.start();
      const { origin } = server;
      server.on('/jwks', answer(200, { keys: [publicKey(newSigningKey('RS256'))] }));
      server.on('/.well-known/openid-configuration', answer(200, {
        issuer: origin, jwks_uri: `${origin}/jwks`, authorization_endpoint: `${origin}/authorize${queries[name]}`, token_endpoint: `${origin}/token`,
      }));
      servers[name] = server;
    }
    world = await World.start({
      connections: () => Object.fromEntries(names.map((name) => [name, {
        kind: 'oidc',
        issuer: servers[name].origin,
        client_id: 'vault',
        client_authentication: 'none',
        authorization_params: { prompt: 'consent' },
      }])),
    });
    user = await world.signIn('alice');
  });
  after(async () => {
    await world?.close();
    for (const server of Object.values(servers)) await server.close();
  });

  async function open(connection) {
    const started = await world.startConnect(user, { connection, authorization_params: { login_hint: 'alice' } });
    return world.api.call('GET', world.api.connectLink(started).slice(world.vault.length));
  }

  test('keeps its own parameters, and none is sent twice', async () => {
    const { searchParams } = new URL((await open('policy')).headers.get('location') ?? '');
    assert.deepEqual([...new Set(searchParams.keys())].sort(), [...searchParams.keys()].sort());
    const sent = Object.fromEntries(searchParams);
    assert.deepEqual([sent.p, sent.prompt, sent.login_hint, sent.client_id], ['policy', 'consent', 'theirs', 'vault']);
  });

  test('with a parameter that the vault sets itself is logged, and nobody is sent there', async () => {
    const answered = await open('doubling');
    assert.equal(answered.status, 503);
    assert.equal(answered.headers.get('location'), null);
    const line = world.workerd.log.split('\n').find((one) => one.includes('"endpoint_unusable"')) ?? '';
    const { connection, detail } = JSON.parse(line.slice(line.indexOf('{')));
    assert.deepEqual([connection, detail], ['doubling', 'client_id']);
  });
});
