// SPDX-License-Identifier: Apache-2.0
// What `cargo xtask dev` is made of: the main job with the vault as issuer, two providers on one port, what is
// printed and written, and the certificates of a run with https.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, get } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { CookieJar, browse, signIn, startsAt } from '../../xtask/js/browser.mjs';
import { newCertificates } from '../../xtask/js/certificates.mjs';
import { environment, invitation } from '../../xtask/js/invitation.mjs';
import { newKeys } from '../../xtask/js/keys.mjs';
import { mainJob, signInOptions } from '../../xtask/js/main-job.mjs';
import { short } from '../../xtask/js/narrate.mjs';
import { startProvider } from '../../xtask/js/provider.mjs';
import { TOKEN_TYPE, call } from '../../xtask/js/vault-api.mjs';
import { APP, APP_ORIGIN, World, describe as show } from './harness.mjs';
import { freePort } from './workerd.mjs';

const execute = promisify(execFile);

describe('the main job of a vault that signs users in', { timeout: 60_000 }, () => {
  let world;
  let external;
  let run;

  before(async () => {
    const port = await freePort();
    const issuer = `http://localhost:${port}`;
    const upstream = { client_id: 'vault', client_secret: randomBytes(32).toString('base64url') };
    world = await World.start({
      connections: () => ({
        other: {
          kind: 'oidc',
          issuer,
          client_id: upstream.client_id,
          scopes: ['openid', 'offline_access'],
          authorization_params: { prompt: 'login consent' },
        },
      }),
      providerSecrets: { other: upstream.client_secret },
      signIn: () => ({
        clients: {
          spa: {
            authentication: 'none',
            kind: 'spa',
            grants: ['authorization_code', 'refresh_token'],
            connections: ['demo', 'other'],
            redirect_uris: [APP],
            origins: [APP_ORIGIN],
          },
        },
      }),
    });
    const redirect_uris = [`${world.vault}/callback/other`];
    external = await startProvider({ port, issuer, jwks: newKeys(), vault: world.vault, clients: [{ ...upstream, redirect_uris }] });
    run = {
      vault: world.vault,
      issuer: `${world.vault}/`,
      identity_provider: world.issuer,
      provider: issuer,
      audience: `${world.vault}/`,
      me_audience: `${world.vault}/me/`,
      clients: { backend: world.clients.backend, spa: { client_id: 'spa', redirect_uris: [APP] } },
      connection: 'other',
      files: { dev_json: '/x/dev.json', env: join(world.directory, 'env'), log: '/x/wrangler.log' },
    };
  });
  after(async () => {
    await external?.close();
    await world?.close();
  });

  test('it exchanges both tokens of the user, and prints neither', async () => {
    const lines = [];
    const user = await mainJob(run, 'alice', (line) => lines.push(...line.split('\n')));
    assert.equal(user.sub, 'demo|alice');
    assert.deepEqual(lines.slice(-2), ['', 'The main job succeeded.']);
    const printed = lines.join('\n');
    for (const type of ['access_token', 'refresh_token']) {
      assert.ok(lines.includes(`  > subject_token_type=urn:ietf:params:oauth:token-type:${type}`), type);
    }
    for (const token of [user.access_token, user.me_token, user.id_token, user.refresh_token]) {
      assert.equal(printed.includes(token), false);
    }
    for (const host of [new URL(run.identity_provider).host, new URL(run.provider).host]) {
      assert.ok(lines.includes(`  . signs in at ${host}`), `no sign-in at ${host}: ${printed}`);
    }
  });

  test('the printed commands exchange both tokens and list the account', async () => {
    const user = await mainJob(run, 'bob', () => {});
    writeFileSync(run.files.env, environment(run, user));
    assert.match(invitation(run, 'bob'), /^Open \S+ to sign in, connect and delete by hand \(any user name/m);
    const commands = [...invitation(run, 'bob').matchAll(/^ {2}(curl .*)$/gm)].map(([, command]) => command);
    const answers = await Promise.all(commands.map(async (command) => (
      JSON.parse((await execute('bash', ['-c', `. '${run.files.env}' && ${command}`])).stdout)
    )));
    assert.equal(answers.length, 3);
    const [byAccessToken, byRefreshToken, { accounts }] = answers;
    for (const { access_token: token } of [byAccessToken, byRefreshToken]) {
      const profile = await call({ url: `${run.provider}/me`, headers: { authorization: `Bearer ${token}` } });
      assert.equal(profile.body.sub, 'bob', show(profile));
    }
    assert.deepEqual(accounts.map((account) => account.connection), ['other']);
  });

  test('a later sign-in in the same browser asks nothing, and leaves the refresh token good', async () => {
    const first = await mainJob(run, 'eve', () => {});
    const forms = [];
    const later = await signIn({ ...signInOptions(run, 'eve'), jar: first.jar, onForm: (form) => forms.push(form) });
    assert.deepEqual(forms, []);
    assert.equal(later.sub, first.sub);
    for (const { refresh_token: token } of [first, later]) {
      const subject = { subject_token_type: TOKEN_TYPE.refresh };
      const answer = await world.api.exchange(world.clients.backend, token, 'other', subject);
      assert.equal(answer.status, 200, show(answer));
    }
  });

  test('it fails if the provider does not ask the user to sign in', async () => {
    // The identity provider is the provider of `demo` too, and remembers who signed in.
    const same = { ...run, connection: 'demo', provider: world.issuer };
    await assert.rejects(mainJob(same, 'carol', () => {}), /the provider did not ask the user to sign in/);
  });
});

test('two providers on one port have an issuer and a session each', async (t) => {
  const port = await freePort();
  const [first, second] = ['localhost', '127.0.0.1'].map((host) => `http://${host}:${port}`);
  const client = { client_id: 'c', redirect_uris: ['http://127.0.0.1:1/back'] };
  const provider = await startProvider({
    port, issuer: first, jwks: newKeys(), vault: 'http://127.0.0.1:1', clients: [client], second: { issuer: second, clients: [client] },
  });
  t.after(() => provider.close());
  const jar = new CookieJar();
  for (const issuer of [first, second]) {
    const { body } = await call({ url: `${issuer}/.well-known/openid-configuration` });
    assert.equal(body.issuer, issuer);
    assert.equal(body.token_endpoint, `${issuer}/token`);
    const url = new URL(`${issuer}/auth`);
    url.search = new URLSearchParams({
      client_id: 'c', response_type: 'code', scope: 'openid', redirect_uri: client.redirect_uris[0], code_challenge: 'x'.repeat(43), code_challenge_method: 'S256',
    }).toString();
    const forms = [];
    const end = await browse(url, { login: 'dan', jar, onForm: (form) => forms.push(form), stop: startsAt(client.redirect_uris[0]) });
    assert.ok(new URL(end.url).searchParams.has('code'), end.url);
    assert.deepEqual(forms.map(({ host, prompt }) => `${prompt} ${host}`), ['login', 'consent'].map((prompt) => `${prompt} ${new URL(issuer).host}`));
  }
});

describe('what is shown of a secret', () => {
  test('tells apart two that begin alike', () => {
    const [ticket, code] = ['A', 'B'].map((end) => `${'s'.repeat(37)}${end.repeat(6)}`);
    assert.equal(short(ticket), 'ssssss…AAAAAA');
    assert.equal(short(code), 'ssssss…BBBBBB');
  });

  test('is little of a short one, and nothing of a very short one', () => {
    assert.equal(short('0123456789abcdef'), '0123…');
    assert.equal(short('01234567'), '…');
  });
});

test('the variables of the commands survive any character', async () => {
  const value = `a'b"c$d\\e f`;
  const run = { vault: value, clients: { backend: { client_id: 'b', client_secret: 's' } }, files: {}, issuer: 'i', provider: 'p', audience: 'a', me_audience: 'm' };
  const text = environment(run, { access_token: 'x', me_token: 'y', refresh_token: 'z' });
  const { stdout } = await execute('bash', ['-c', `${text}printf %s "$VAULT"`]);
  assert.equal(stdout, value);
  assert.equal(text.includes('USER_REFRESH_TOKEN'), false);
});

describe('the certificates of a run', () => {
  const { ca, certificate, key } = newCertificates();

  /** The status of a request over TLS, or the code of the error. */
  const ask = (port, host, options) => new Promise((resolve) => {
    const request = get({ port, host, ...options }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once('error', (/** @type {any} */ error) => resolve(error.code));
  });

  test('are accepted for localhost and 127.0.0.1 by whoever trusts the authority, and by nobody else', async (t) => {
    const server = createServer({ key, cert: certificate }, (_request, response) => response.end());
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
    t.after(() => { server.close(); server.closeAllConnections(); });
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    for (const host of ['localhost', '127.0.0.1']) {
      assert.equal(await ask(port, host, { ca }), 200, host);
      assert.equal(await ask(port, host, {}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', host);
    }
    assert.equal(await ask(port, '127.0.0.1', { ca, servername: 'example.com' }), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('are of an authority and of a server that cannot sign others', () => {
    const [authority, server] = [ca, certificate].map((pem) => new X509Certificate(pem));
    assert.deepEqual([authority.ca, server.ca], [true, false]);
    assert.ok(server.checkIssued(authority) && server.verify(authority.publicKey));
    assert.equal(new X509Certificate(newCertificates().ca).subject === authority.subject, false);
  });

  test('have their lengths in the shortest form, which strict parsers demand', () => {
    for (const pem of [ca, certificate]) assertShortest(new X509Certificate(pem).raw);
  });
});

/** Asserts that the lengths of all values in DER are in their shortest form, as X.690 §10.1 has it. */
function assertShortest(der) {
  for (let at = 0; at < der.length;) {
    const [tag, first] = [der[at], der[at + 1]];
    const bytes = first < 0x80 ? 0 : first - 0x80;
    const length = bytes ? der.readUIntBE(at + 2, bytes) : first;
    assert.equal(bytes, length < 0x80 ? 0 : length < 0x100 ? 1 : 2, `at ${at}`);
    const start = at + 2 + bytes;
    if (tag & 0x20) assertShortest(der.subarray(start, start + length)); // of values made of values
    at = start + length;
  }
}
