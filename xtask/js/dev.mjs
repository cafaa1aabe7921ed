// SPDX-License-Identifier: Apache-2.0
// The development run: starts the provider, shows the main job once, renews the user's tokens in a file
// for curl and tests, and runs until it is interrupted.
//
//   node xtask/js/dev.mjs <run.json> [--once]
//
// run.json: { vault, issuer, provider_port, audience, me_audience, keys_file, dev_json,
//   clients: { backend: { client_id, client_secret }, spa: { client_id, redirect_uris },
//     app: { client_id, origin } },
//   connection: name, connections: [name], provider_client: { client_id, client_secret, redirect_uris } }
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SDK, application } from '../../examples/spa/server.mjs';
import { renew, signIn } from './browser.mjs';
import { invitation } from './invitation.mjs';
import { writePrivate } from './keys.mjs';
import { mainJob, signInOptions } from './main-job.mjs';
import { startProvider } from './provider.mjs';

const LOGIN = 'alice';
const RENEW_BEFORE_END = 10 * 60;
const RETRY_AFTER = 30;
const VAULT_START_SECONDS = 60;

async function main() {
  const [file, ...flags] = process.argv.slice(2);
  if (!file || flags.some((flag) => flag !== '--once')) {
    console.error('usage: node xtask/js/dev.mjs <run.json> [--once]');
    return 2;
  }
  const run = JSON.parse(readFileSync(file, 'utf8'));
  const provider = await startProvider({
    port: run.provider_port,
    issuer: run.issuer,
    keysFile: run.keys_file,
    vault: run.vault,
    clients: [run.clients.spa, run.provider_client],
    app: { client_id: run.clients.spa.client_id, connections: run.connections },
  });
  const interrupted = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(0));
  });
  try {
    return await Promise.race([interrupted, develop(run, flags.includes('--once'))]);
  } catch (error) {
    console.error(`\nstopped: ${error.message}`);
    return 1;
  } finally {
    await provider.close();
  }
}

async function develop(run, once) {
  await vaultIsUp(run.vault);
  const user = await mainJob(run, LOGIN, console.log);
  writeDevFile(run, user);
  if (once) return 0;
  await serveExample(run);
  console.log(invitation(run, LOGIN));
  return keepFresh(run, user);
}

/** Serves the page of `examples/spa`, if its SDK is installed; says so in `run.app`. */
async function serveExample(run) {
  if (!existsSync(SDK)) return;
  const { backend, app } = run.clients;
  const settings = {
    vault: run.vault, spa: app, backend, connection: run.connection, profile: `${run.issuer}/me`,
  };
  const server = createServer(application(settings));
  const { hostname, port } = new URL(app.origin);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port), hostname, () => resolve(undefined));
  });
  run.app = `${app.origin}/`;
}

async function vaultIsUp(vault) {
  for (let second = 0; second < VAULT_START_SECONDS; second += 1) {
    try {
      const response = await fetch(`${vault}/health`);
      const text = await response.text();
      if (response.ok) return;
      throw new Error(`${vault}/health responds ${response.status}: ${text.slice(0, 300)}`);
    } catch (error) {
      // Only a refused connection is worth a retry; fetch reports it as a TypeError.
      if (!(error instanceof TypeError)) throw error;
      await sleep(1000);
    }
  }
  throw new Error(`nothing responds at ${vault}`);
}

function writeDevFile(run, user) {
  const { backend, spa } = run.clients;
  writePrivate(run.dev_json, JSON.stringify({
    vault: run.vault,
    issuer: run.issuer,
    audience: run.audience,
    clients: {
      backend: { client_id: backend.client_id, client_secret: backend.client_secret },
      spa: { client_id: spa.client_id, redirect_uris: spa.redirect_uris },
    },
    connection: run.connection,
    connections: run.connections,
    user: { sub: user.sub, access_token: user.access_token, me_token: user.me_token },
  }, null, 2));
}

/** Renews the user's tokens before they expire, by refresh or else by a new sign-in. It never returns. */
async function keepFresh(run, first) {
  const options = signInOptions(run, LOGIN);
  for (let user = first; ;) {
    const left = user.expires_at - RENEW_BEFORE_END - Date.now() / 1000;
    await sleep(Math.max(left, RETRY_AFTER) * 1000);
    try {
      user = await renew(options, user).catch(() => signIn(options));
      writeDevFile(run, user);
    } catch (error) {
      console.error(`could not renew the tokens of ${LOGIN}: ${error.message}`);
    }
  }
}

// `keepFresh` never returns by itself and must not keep a finished run alive.
process.exit(await main());
