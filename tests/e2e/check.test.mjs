// SPDX-License-Identifier: Apache-2.0
// The script of `cargo xtask check` that sends requests to issuers and providers, and `cargo xtask user-hash`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { World, eventually } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { newSigningKey, publicKey } from './tokens.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT = fileURLToPath(new URL('../../xtask/js/check.mjs', import.meta.url));

describe('checking issuers and providers', { timeout: 300_000 }, () => {
  let world;
  let hostile;
  let closed;

  before(async () => {
    const server = await HostileServer.start();
    closed = new URL(server.origin).port;
    await server.close();
    world = await World.start();
    hostile = await HostileServer.start();
  });
  after(async () => {
    await hostile?.close();
    await world?.close();
  });

  async function ask(questions) {
    const child = spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(JSON.stringify({ issuers: [], connections: [], ...questions }));
    const [said, code] = await Promise.all([
      text(child.stdout),
      new Promise((resolve) => { child.once('exit', resolve); }),
    ]);
    return { said, code };
  }

  test('finds nothing wrong with a good issuer and provider', async () => {
    const { issuer } = world;
    const { said, code } = await ask({
      issuers: [{ issuer, algorithms: ['RS256'] }],
      connections: [{ name: 'demo', issuer }, { name: 'plain', endpoints: [`${issuer}/auth`, `${issuer}/token`] }],
    });
    assert.equal(code, 0, said);
    assert.match(said, /1 signature keys: RSA/);
    assert.match(said, /supports PKCE/);
    assert.match(said, /revokes the tokens/);
    assert.match(said, /\/token responds/);
  });

  test('takes one document for all tenants as what it is', async () => {
    const { origin } = hostile;
    const document = { authorization_endpoint: origin, token_endpoint: origin, jwks_uri: `${origin}/jwks` };
    hostile.on('/jwks', answer(200, { keys: [publicKey(newSigningKey('RS256'))] }));
    const connection = { name: 'x', issuer: origin, pattern: `${origin}/*/v2.0` };
    hostile.on('/.well-known/openid-configuration', answer(200, { ...document, issuer: `${origin}/{tenantid}/v2.0` }));
    const good = await ask({ connections: [connection] });
    assert.equal(good.code, 0, good.said);
    assert.match(good.said, /cannot revoke/);
    hostile.on('/.well-known/openid-configuration', answer(200, { ...document, issuer: 'https://other.example/x/v2.0' }));
    const bad = await ask({ connections: [connection] });
    assert.equal(bad.code, 1, bad.said);
  });

  test('user-hash prints the name that the log has for a user', async () => {
    const user = await world.signIn('quirin');
    await world.startConnect(user);
    const [line] = await eventually('the line is there', () => world.requestLines().filter(({ status }) => status === 201));
    assert.equal(line.user, await hashOf('quirin', world.bindings.text.OBJECT_NAME_KEY));
    assert.notEqual(line.user, await hashOf('quirina', world.bindings.text.OBJECT_NAME_KEY));
  });

  /** What `cargo xtask user-hash` prints for a subject of the world's issuer, with the key in its environment. */
  async function hashOf(subject, key) {
    const child = spawn('cargo', ['xtask', 'user-hash', '--issuer', world.issuer, '--config', 'none.toml', subject], {
      cwd: ROOT,
      env: { ...process.env, OBJECT_NAME_KEY: key },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said, code] = await Promise.all([
      text(child.stdout),
      new Promise((resolve) => { child.once('exit', resolve); }),
    ]);
    assert.equal(code, 0);
    assert.match(said, /^[0-9a-f]{16}\n$/);
    return said.trim();
  }

  const origin = () => hostile.origin;
  /** @type {Record<string, any[]>} */
  const failures = {
    'an issuer that is not there': [() => ({ issuers: [{ issuer: `http://127.0.0.1:${closed}`, algorithms: ['RS256'] }] }), /FAILS: .*openid-configuration/],
    'an issuer that calls itself otherwise': [() => ({ issuers: [{ issuer: `${world.issuer}/`, algorithms: ['RS256'] }] }), /FAILS: its metadata has the issuer http\S+; configure exactly that/],
    'an issuer without keys of the algorithm': [() => ({ issuers: [{ issuer: world.issuer, algorithms: ['ES256'] }] }), /FAILS: no key is for ES256/],
    'a provider without a token endpoint': [() => {
      hostile.on('/.well-known/openid-configuration', answer(200, { issuer: origin(), authorization_endpoint: origin(), jwks_uri: origin() }));
      return { connections: [{ name: 'x', issuer: origin() }] };
    }, /FAILS: its metadata lacks token_endpoint/],
    'an authorization endpoint with a parameter that the vault sets': [() => {
      hostile.on('/.well-known/openid-configuration', answer(200, {
        issuer: origin(), authorization_endpoint: `${origin()}/?p=policy&client_id=x`, token_endpoint: origin(), jwks_uri: origin(),
      }));
      return { connections: [{ name: 'x', issuer: origin(), own_parameters: ['client_id', 'state'] }] };
    }, /FAILS: its authorization_endpoint has the parameter client_id,/],
    'a metadata document that is not there': [() => {
      hostile.on('/.well-known/openid-configuration', answer(404, {}));
      return { issuers: [{ issuer: origin(), algorithms: ['RS256'] }] };
    }, /FAILS: \S+openid-configuration: it responds 404\. Compare the issuer with/],
    'a metadata document that is elsewhere': [() => {
      hostile.on('/.well-known/openid-configuration', answer(301, '', { location: 'https://new.example/' }));
      return { issuers: [{ issuer: origin(), algorithms: ['RS256'] }] };
    }, /FAILS: .*it redirects \(301\) to https:\/\/new\.example\/\. The vault follows no redirects/],
    'a page in place of a metadata document': [() => {
      hostile.on('/.well-known/openid-configuration', answer(200, '<p>hello', { 'content-type': 'text/html' }));
      return { issuers: [{ issuer: origin(), algorithms: ['RS256'] }] };
    }, /FAILS: .*its response is not JSON\. Compare the address/],
    'a server with an error': [() => {
      hostile.on('/.well-known/openid-configuration', answer(503, {}));
      return { issuers: [{ issuer: origin(), algorithms: ['RS256'] }] };
    }, /FAILS: .*it responds 503\. Try again later/],
    'a host that does not exist': [() => ({ issuers: [{ issuer: 'https://no-such-host.invalid', algorithms: ['RS256'] }] }), /FAILS: .*(ENOTFOUND|EAI_AGAIN)\)\. --offline checks without requests/],
    'a server without https': [() => ({ issuers: [{ issuer: origin().replace('http:', 'https:'), algorithms: ['RS256'] }] }), /FAILS: .*https there\. Check/],
    'an endpoint that is not there': [() => ({ connections: [{ name: 'x', endpoints: [`http://127.0.0.1:${closed}/token`] }] }), /FAILS: http:\/\/127.0.0.1:\d+\/token: nothing listens there\. Check host and port, and that the server is up \(ECONNREFUSED\)/],
    'a key set that redirects': [() => {
      hostile.on('/jwks', (response) => response.writeHead(302, { location: '/moved' }).end());
      return { issuers: [{ issuer: origin(), jwks_uri: `${origin()}/jwks`, algorithms: ['RS256'] }] };
    }, /FAILS: .*\/jwks: it redirects \(302\) to \/moved/],
    'an empty key set': [() => keysOf([]), /FAILS: \S+\/jwks has no key that the vault can use: it has no keys/],
    'a provider whose keys cannot be used': [() => {
      keysOf([{ kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA' }]);
      hostile.on('/.well-known/openid-configuration', answer(200, {
        issuer: origin(), authorization_endpoint: origin(), token_endpoint: origin(), jwks_uri: `${origin()}/jwks`,
      }));
      return { connections: [{ name: 'x', issuer: origin() }] };
    }, /the key at index 0 of \S+: it has the type EC P-521[\s\S]*FAILS: \S+\/jwks has no key that the vault can use$/m],
  };

  /** An issuer that publishes these keys. */
  function keysOf(keys) {
    hostile.on('/jwks', answer(200, { keys }));
    return { issuers: [{ issuer: origin(), jwks_uri: `${origin()}/jwks`, algorithms: ['RS256'] }] };
  }

  test('names each key that the vault cannot use, and why', async () => {
    const good = publicKey(newSigningKey('RS256'));
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const { said, code } = await ask(keysOf([
      good, 7, { kty: 'oct', k: 'AAAA', kid: 'shared' }, { ...good, use: 'enc' }, { ...good, key_ops: ['sign'] }, { ...good, alg: 'HS256' },
      { kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA' }, { ...small, kid: 'small' }, { kty: 'RSA', n: 'AQAB' },
    ]));
    assert.equal(code, 0, said);
    assert.match(said, /1 signature keys: RSA/);
    const expected = [
      [1, 'is no JWK'], ['2 (kid shared)', 'is private or symmetric'], [3, 'is not for signatures'], [4, 'is not for signatures'],
      [5, 'is for HS256'], [6, 'has the type EC P-521'], ['7 (kid small)', 'has 1024 bits'], [8, 'is malformed'],
    ];
    for (const [key, flaw] of expected) {
      const line = said.split('\n').find((one) => one.includes(`the key at index ${key} `));
      assert.ok(line?.includes(`: it ${flaw}`), `${key}: ${line}`);
    }
    assert.ok(!said.includes('index 0'), said);
  });

  for (const [what, [make, expected]] of Object.entries(failures)) {
    test(`finds ${what}`, async () => {
      const { said, code } = await ask(make());
      assert.equal(code, 1, said);
      assert.match(said, expected);
    });
  }
});
