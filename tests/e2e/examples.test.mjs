// SPDX-License-Identifier: Apache-2.0
// The examples, the main job and the printed commands work with a vault that is configured as by
// `cargo xtask dev --with`: they do not use the connection that the file adds.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { environment, invitation } from '../../xtask/js/invitation.mjs';
import { mainJob } from '../../xtask/js/main-job.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { authorize } from '../../xtask/js/browser.mjs';
import { APP, World, describe as show } from './harness.mjs';
import { HostileServer } from './hostile-server.mjs';

const execute = promisify(execFile);
const example = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

describe('examples', { timeout: 60_000 }, () => {
  let world;
  let user;
  let dev;
  let added;
  let run;

  before(async () => {
    added = await HostileServer.start();
    const endpoints = { authorization_endpoint: `${added.origin}/authorize`, token_endpoint: `${added.origin}/token` };
    world = await World.start({
      connections: () => ({ asana: { kind: 'oauth2', client_id: 'vault', client_authentication: 'none', ...endpoints } }),
    });
    user = await world.signIn('sam');
    dev = join(world.directory, 'dev.json');
    run = {
      vault: world.vault,
      issuer: world.issuer,
      audience: `${world.vault}/`,
      me_audience: `${world.vault}/me/`,
      clients: { backend: world.clients.backend, spa: { client_id: 'spa', redirect_uris: [APP] } },
      connection: 'demo',
      connections: ['asana', 'demo'],
      identity_provider: world.issuer,
      provider: world.issuer,
      files: { dev_json: dev, env: join(world.directory, 'env'), log: join(world.directory, 'wrangler.log') },
    };
    writeFileSync(run.files.env, environment(run, user));
    writeFileSync(dev, JSON.stringify({
      ...run,
      user: { access_token: user.access_token, me_token: user.me_token },
    }));
  });
  after(async () => {
    await world?.close();
    await added?.close();
  });

  /** Resolves with a child's output once it matches the pattern. */
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

  test('the shell script does not complete with an address of another connect', async () => {
    const child = spawn(example('curl.sh'), [dev], { stdio: ['pipe', 'pipe', 'pipe'] });
    const said = child.stderr.setEncoding('utf8').toArray();
    const link = (await outputOf(child, /http\S+\?ticket=\S+/));
    const back = await authorize(link, { login: 'sam', redirectUri: APP });
    back.searchParams.set('state', 'another');
    const ended = once(child, 'exit');
    child.stdin.end(`${back.href}\n`);
    assert.deepEqual(await ended, [1, null]);
    assert.equal((await said).join(''), 'This address is of another connect.\n');
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

  test('the main job connects at the provider that runs here', async () => {
    const lines = [];
    await mainJob(run, 'joe', (line) => lines.push(line));
    assert.match(lines.join('\n'), /connect demo/);
  });

  test('the printed commands exchange and list', async () => {
    const printed = invitation(run, 'sam');
    const [, source] = /^ {2}(\. .*)$/m.exec(printed);
    const [exchange, list] = [...printed.matchAll(/^ {2}(curl .*)$/gm)].map(([, command]) => `${source} && ${command}`);
    const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
    const answer = async (command) => (
      JSON.parse((await execute('bash', ['-c', command], { env: { ...process.env, PATH: path } })).stdout)
    );
    assert.equal(await world.owner((await answer(exchange)).access_token), 'sam');
    assert.deepEqual((await answer(list)).accounts.map((account) => account.connection), ['demo']);
  });

  test('nothing asked the provider of the added connection', () => assert.deepEqual(added.requests, []));

  test('each request was logged, and nothing secret was', async () => {
    assert.equal((await world.accounts(user)).length, 1);
    await world.assertLogHasNoSecret();
  });
});
