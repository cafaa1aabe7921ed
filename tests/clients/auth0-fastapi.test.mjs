// SPDX-License-Identifier: Apache-2.0
// The application of `examples/fastapi`, and with it the Python package `auth0-fastapi`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { eventually } from '../e2e/harness.mjs';
import { visit as send } from '../e2e/relying-party.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { Compatibility } from './compatibility.mjs';
import { pythonVariables, pythonVersion } from './driver.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { startVault } from './vault.mjs';

const NAME = 'auth0-fastapi';

describe(NAME, { timeout: 120_000 }, () => {
  let world;
  let app;
  let server;

  before(async () => {
    const port = await freePort();
    app = `http://localhost:${port}`;
    const vault = await startVault(undefined, undefined, {
      redirect_uris: [`${app}/auth/callback`], post_logout_redirect_uris: [`${app}/`],
    });
    ({ world } = vault);
    const settings = join(world.directory, 'settings.json');
    writeFileSync(settings, JSON.stringify({
      vault: vault.host,
      ...vault.web,
      application: app,
      cookie_secret: randomBytes(32).toString('base64url'),
      connection: 'demo',
      profile: `${world.issuer}/me`,
    }));
    const directory = fileURLToPath(new URL('../../examples/fastapi', import.meta.url));
    const args = ['-m', 'uvicorn', 'main:app', '--port', String(port), '--log-level', 'warning'];
    const env = { ...pythonVariables({ vault }), SETTINGS: settings };
    server = spawn('python3', args, { cwd: directory, env, stdio: ['ignore', 'inherit', 'inherit'] });
    await eventually('the application', () => {
      assert.equal(server.exitCode, null, 'the application ended');
      return fetch(app).then((answer) => answer.ok, () => false);
    }, 30);
  });
  after(async () => {
    if (server && server.exitCode === null) {
      const ended = new Promise((resolve) => { server.once('exit', resolve); });
      server.kill('SIGKILL');
      await ended;
    }
    await world?.close();
  });

  /** Follows a link of the application until the browser is back at `end`. */
  async function follow(path, end, login, jar) {
    const { url, page } = await browse(app + path, { login, jar, stop: startsAt(app + end) });
    assert.equal(page, undefined, `${page?.status} ${page?.text}`);
    return url;
  }

  async function signIn(login) {
    const jar = new CookieJar();
    await follow('/auth/login', '/', login, jar);
    return jar;
  }

  /** The response of the application's profile, as JSON. */
  async function profile(jar) {
    const answer = await send(jar, `${app}/profile`);
    return { status: answer.status, body: JSON.parse(answer.text) };
  }

  const tested = new Compatibility(NAME, {
    version: pythonVersion(NAME),
    registry: 'PyPI',
    settings: [
      '`domain` is the host of the vault',
      '`audience` is the vault’s address with a slash at the end',
      '`mount_connected_account_routes` is `True`',
    ],
  });

  tested.tries('login', async () => {
    assert.equal((await profile(new CookieJar())).status, 401);
    const { body } = await profile(await signIn('anna'));
    assert.equal(body.user, 'demo|anna');
  });

  tested.tries('notConnected', async () => {
    const { status, body } = await profile(await signIn('berta'));
    assert.equal(status, 409);
    assert.match(body.message, /not connected/);
    assert.equal(body.connect, '/auth/connect?connection=demo&returnTo=/profile');
    return `\`AccessTokenForConnectionError\`, the text is “${body.message}”`;
  });

  for (const topic of /** @type {const} */ (['connect', 'byRefreshToken'])) {
    tested.tries(topic, async () => {
      const jar = await signIn(topic);
      await follow('/auth/connect?connection=demo&returnTo=/profile', '/profile', topic, jar);
      // The second answer uses the session that the first one stored.
      for (let time = 0; time < 2; time += 1) {
        const { status, body } = await profile(jar);
        assert.deepEqual([status, body.sub], [200, topic]);
      }
    });
  }

  tested.tries('logout', async () => {
    const jar = await signIn('carla');
    await follow('/auth/logout', '/', 'nobody', jar);
    assert.equal((await profile(jar)).status, 401);
    // The vault's session has ended too.
    const { page } = await browse(`${app}/auth/login?prompt=none`, { login: 'nobody', jar, stop: startsAt(`${app}/`) });
    assert.deepEqual([page?.status, JSON.parse(page?.text ?? '').detail], [400, 'the user must sign in']);
  });

  for (const topic of /** @type {const} */ ([
    'me', 'list', 'refreshTwice', 'audiences', 'reconnectRequired', 'unknownConnection', 'expiredSubjectToken',
    'revokedRefreshToken', 'wrongSecret', 'providerDown',
  ])) tested.without(topic, 'It leaves this to `auth0-server-python`, with which it was tried.');
  tested.without('byAccessToken', 'It exchanges the refresh token of its session only.');
  tested.without('missingScopes', 'It names no scopes in an exchange.');
  tested.without('backChannelLogout', 'Its route reads JSON, and OpenID Connect sends a form. Its sessions in cookies cannot be ended by a token.');

  test('no secret was logged', () => assertLogHasNoSecret(world));
});
