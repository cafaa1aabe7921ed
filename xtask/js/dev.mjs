// SPDX-License-Identifier: Apache-2.0
// The development run: starts the provider, shows the main job once, renews the user's tokens in a file
// for curl and tests, and runs until it is interrupted.
//
//   node xtask/js/dev.mjs <run.json> [--once]
//
// run.json: { vault, issuer, identity_provider, provider, provider_port, audience, me_audience,
//   clients: { backend: { client_id, client_secret },
//     web: { client_id, client_secret, redirect_uris, post_logout_redirect_uris },
//     spa: { client_id, redirect_uris }, app: { client_id, origin } },
//   connection: name, connections: [name],
//   upstream: { identity_provider, provider }: the vault's client at each of the two providers,
//     { client_id, client_secret, redirect_uris },
//   files: { keys, dev_json, env, log, tls: null or { ca, certificate, key } } }
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { SDK, application, issuerOf } from '../../examples/spa/server.mjs';
import { renew, signIn } from './browser.mjs';
import { environment, invitation } from './invitation.mjs';
import { writePrivate } from './keys.mjs';
import { mainJob, signInOptions } from './main-job.mjs';
import { startProvider } from './provider.mjs';

const LOGIN = 'alice';
/** The vault's own access tokens live for ten minutes. */
const RENEW_BEFORE_END = 5 * 60;
const RETRY_AFTER = 30;
const VAULT_START_SECONDS = 60;

async function main() {
  const [file, ...flags] = process.argv.slice(2);
  if (!file || flags.some((flag) => flag !== '--once')) {
    console.error('usage: node xtask/js/dev.mjs <run.json> [--once]');
    return 2;
  }
  const run = JSON.parse(readFileSync(file, 'utf8'));
  const tls = keyPair(run);
  const { spa } = run.clients;
  const atVault = run.issuer === run.audience;
  const provider = await startProvider({
    port: run.provider_port,
    issuer: run.identity_provider,
    keysFile: run.files.keys,
    vault: run.vault,
    tls,
    clients: [...(atVault ? [] : [spa]), run.upstream.identity_provider],
    second: { issuer: run.provider, clients: [run.upstream.provider] },
    app: { client_id: spa.client_id, connections: run.connections, ...(atVault && { issuer: issuerOf(run.vault) }) },
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
  await logIsComplete(run);
  console.log(invitation(run, LOGIN));
  return keepFresh(run, user);
}

/** Serves the page of `examples/spa`, if its SDK is installed; says so in `run.app`. */
async function serveExample(run) {
  if (!existsSync(SDK)) return;
  const { backend, app } = run.clients;
  const settings = {
    vault: run.vault, spa: app, backend, connection: run.connection, profile: `${run.provider}/me`,
  };
  const tls = keyPair(run);
  const listener = application(settings);
  const server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }, listener) : createServer(listener);
  const { hostname, port } = new URL(app.origin);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    // `localhost` may stand for ::1 alone; the vault and the provider listen on 127.0.0.1.
    server.listen(Number(port), hostname === 'localhost' ? '127.0.0.1' : hostname, () => resolve(undefined));
  });
  run.app = `${app.origin}/`;
}

/**
 * Waits until the log has the requests of the main job, which it has a moment later, so that they are not taken
 * for later ones: it has all that came before a request that it has.
 */
async function logIsComplete({ vault, files }) {
  const asked = () => readFileSync(files.log, 'utf8').split('"route":"GET /health"').length;
  const before = asked();
  await fetch(`${vault}/health`);
  for (let attempt = 0; attempt < 50 && asked() === before; attempt += 1) await sleep(100);
}

/** With https, the key and the certificate of the servers. */
function keyPair({ files: { tls } }) {
  return tls ? { key: readFileSync(tls.key, 'utf8'), certificate: readFileSync(tls.certificate, 'utf8') } : undefined;
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
  const { backend, web, spa } = run.clients;
  const { sub, access_token, me_token, refresh_token } = user;
  writePrivate(run.files.dev_json, JSON.stringify({
    vault: run.vault,
    issuer: run.issuer,
    provider: run.provider,
    audience: run.audience,
    me_audience: run.me_audience,
    clients: { backend, web, spa: { client_id: spa.client_id, redirect_uris: spa.redirect_uris } },
    connection: run.connection,
    connections: run.connections,
    // The refresh token of another issuer cannot be exchanged.
    user: { sub, access_token, me_token, ...(run.issuer === run.audience && { refresh_token }) },
    ...(run.files.tls && { ca: run.files.tls.ca }),
  }, null, 2));
  writePrivate(run.files.env, environment(run, user));
}

/**
 * Renews the user's tokens before they expire. It never returns.
 *
 * At the vault it signs in again, silently: a refresh would replace the refresh token that a script may have read,
 * and whoever presents a replaced one ends all that followed from it.
 */
async function keepFresh(run, first) {
  const options = { ...signInOptions(run, LOGIN), jar: first.jar };
  for (let user = first; ;) {
    const left = user.expires_at - RENEW_BEFORE_END - Date.now() / 1000;
    await sleep(Math.max(left, RETRY_AFTER) * 1000);
    try {
      const again = () => signIn(options);
      user = options.atVault ? await again() : await renew(options, user).catch(again);
      writeDevFile(run, user);
    } catch (error) {
      console.error(`could not renew the tokens of ${LOGIN}: ${error.message}`);
    }
  }
}

// `keepFresh` never returns by itself and must not keep a finished run alive.
process.exit(await main());
