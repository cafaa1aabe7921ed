// The examples do what they say, on a vault of the shape that `cargo xtask dev` describes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { call } from '../../xtask/js/vault-api.mjs';
import { authorize } from '../../xtask/js/browser.mjs';
import { APP, World, describe as show } from './harness.mjs';

const example = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

describe('examples', { timeout: 60_000 }, () => {
  let world;
  let user;
  let dev;

  before(async () => {
    world = await World.start();
    user = await world.signIn('sam');
    dev = join(world.directory, 'dev.json');
    writeFileSync(dev, JSON.stringify({
      vault: world.vault,
      issuer: world.issuer,
      clients: { backend: world.clients.backend, spa: { client_id: 'spa', redirect_uris: [APP] } },
      connections: ['demo'],
      user: { access_token: user.access_token, me_token: user.me_token },
    }));
  });
  after(() => world?.close());

  /** A child's output up to the first match. */
  function outputOf(child, pattern) {
    let text = '';
    return new Promise((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (more) => {
        text += more;
        const found = pattern.exec(text);
        if (found) resolve(found[0]);
      });
      child.once('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
    });
  }

  test('the shell script connects and exchanges', async () => {
    const child = spawn(example('curl.sh'), [dev], { stdio: ['pipe', 'pipe', 'inherit'] });
    const link = (await outputOf(child, /http\S+\?ticket=\S+/));
    const token = outputOf(child, /"access_token":"[^"]+"/);
    const back = await authorize(link, { login: 'sam', redirectUri: APP });
    child.stdin.end(`${back.href}\n`);
    const { access_token: accessToken } = JSON.parse(`{${await token}}`);
    assert.equal(await world.owner(accessToken), 'sam');
  });

  test('the backend answers with the profile, or with what is to be done', async () => {
    const child = spawn(process.execPath, [example('backend.mjs'), dev], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PORT: '0' } });
    try {
      const url = await outputOf(child, /http\S+/);
      const profile = await call({ url, headers: { authorization: `Bearer ${user.access_token}` } });
      assert.equal(profile.body.sub, 'sam', show(profile));
      const stranger = await world.signIn('sue');
      const refused = await call({ url, headers: { authorization: `Bearer ${stranger.access_token}` } });
      assert.equal(refused.status, 400, show(refused));
      assert.equal(refused.body.connection_state.state, 'not_connected');
    } finally {
      child.kill();
    }
  });
});
