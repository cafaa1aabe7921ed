// SPDX-License-Identifier: Apache-2.0
// A value in a header of the vault's requests to a provider cannot inject another header.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { World, describe as show } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';

const connection = 'pairs';
const INJECTED = 'x-injected';

describe('headers to a provider', { timeout: 120_000 }, () => {
  let hostile;
  let world;
  /** The headers of each received request. */
  let came = [];

  const record = (act) => (response) => {
    came.push({ path: response.req.url, ...response.req.headers });
    act(response);
  };

  /** Starts a vault with a connection whose token requests have these headers. */
  async function start(headers) {
    await world?.close();
    came = [];
    world = await World.start({
      upstream: [{ connection, client_id: 'vault-pairs', client_secret: 'a secret' }],
      connections: ({ issuer }) => ({
        [connection]: {
          kind: 'oauth2',
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${hostile.origin}/token`,
          userinfo_endpoint: `${hostile.origin}/me`,
          client_id: 'vault-pairs',
          scopes: ['openid'],
          headers,
        },
      }),
    });
  }

  async function complete(accessToken) {
    hostile.on('/token', record(answer(200, { access_token: accessToken, token_type: 'Bearer', expires_in: 600 })));
    const user = await world.signIn('paula');
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: user.login });
    return world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
  }

  before(async () => {
    hostile = await HostileServer.start();
    hostile.on('/me', record(answer(200, { sub: 'paula' })));
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  test('the value of a configured header arrives as it is written', async () => {
    await start({ 'x-version': 'a: b, c' });
    const done = await complete('good');
    assert.equal(done.status, 201, show(done));
    assert.deepEqual(came.map((one) => [one.path, one['x-version']]), [['/token', 'a: b, c'], ['/me', 'a: b, c']]);
    assert.equal(came[1].authorization, 'Bearer good');
  });

  test('a line break in a token of the provider begins no header', async () => {
    await start({});
    const done = await complete(`bad\n${INJECTED}: 1`);
    assert.notEqual(done.status, 201, show(done));
    assert.deepEqual(came.map((one) => [one.path, one[INJECTED]]), [['/token', undefined]]);
  });

  test('a configuration whose header would begin another is not worked with', async () => {
    await start({ 'x-version': `a\n${INJECTED}: 1` });
    const metadata = await fetch(`${world.vault}/.well-known/oauth-authorization-server`);
    assert.equal(metadata.status, 503);
    assert.match(world.workerd.log, /CONNECTIONS\.pairs\.headers\.x-version: must be printable ASCII/);
  });
});
