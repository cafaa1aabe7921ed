// SPDX-License-Identifier: Apache-2.0
// `cargo xtask deploy` with the real wrangler, against a simulator of Cloudflare's API.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cloudflare } from './cloudflare.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORKER = 'vault-of-the-tests';

describe('deploying', { timeout: 300_000 }, () => {
  let cloudflare;
  let directory;
  let keys;

  before(async () => { cloudflare = await Cloudflare.start(); });
  beforeEach(() => {
    cloudflare.workers.clear();
    cloudflare.requests.length = 0;
    directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-deploy-'));
    keys = join(directory, 'keys', 'production.json');
    writeFileSync(join(directory, 'wrangler.toml'), configuration());
    writeFileSync(join(directory, 'provider.json'), JSON.stringify({ calendar: 'canary-provider-secret' }));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  after(() => cloudflare?.close());

  async function deploy(more = [], environment = {}) {
    const arguments_ = ['xtask', 'deploy', '--config', join(directory, 'wrangler.toml'), '--keys', keys, ...more];
    const child = spawn('cargo', arguments_, {
      cwd: ROOT,
      env: { ...process.env, ...cloudflare.environment, CI: '1', NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [said, errors, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => { child.once('exit', resolve); }),
    ]);
    return { code, said: `${said}\n${errors}` };
  }

  const providerSecrets = () => ['--provider-secrets', join(directory, 'provider.json')];
  const secrets = () => Object.fromEntries(cloudflare.workers.get(WORKER)?.secrets ?? []);

  test('a first deployment checks, makes and sets the secrets, and deploys', async () => {
    const { code, said } = await deploy(providerSecrets());
    assert.equal(code, 0, said);
    assert.match(said, /redirect URI to register: https:\/\/vault\.example\.com\/callback\/calendar/);
    // What wrangler says of a deployment that worked is not shown.
    assert.doesNotMatch(said, /⛅|Total Upload|Uploaded|Successfully created secret/);
    const set = secrets();
    assert.deepEqual(Object.keys(set).sort(), ['KEY_RING', 'OBJECT_NAME_KEY', 'PROVIDER_SECRETS']);
    assert.match(set.OBJECT_NAME_KEY, /^[\w-]{43}$/);
    assert.match(JSON.parse(set.KEY_RING).keys.k1, /^[\w-]{43}$/);
    assert.deepEqual(JSON.parse(set.PROVIDER_SECRETS), { calendar: 'canary-provider-secret' });
    // The keys cannot be read back from the platform, so they are in a file that only its owner can read.
    const kept = JSON.parse(readFileSync(keys, 'utf8'));
    assert.deepEqual(kept, { KEY_RING: set.KEY_RING, OBJECT_NAME_KEY: set.OBJECT_NAME_KEY });
    assert.equal(statSync(keys).mode & 0o777, 0o600);
    for (const secret of ['canary-provider-secret', set.OBJECT_NAME_KEY, JSON.parse(set.KEY_RING).keys.k1]) {
      assert.ok(!said.includes(secret), 'a secret was printed');
    }
    const [{ uploaded }] = cloudflare.workers.get(WORKER).deployments;
    assert.equal(uploaded.main_module, 'entry.js');
    assert.ok(uploaded.modules.some((name) => name.endsWith('.wasm')), uploaded.modules.join(' '));
    assert.deepEqual(uploaded.migrations.steps[0].new_sqlite_classes, ['Vault', 'Directory', 'Registry', 'ConnectSession', 'IssuerKeys']);
  });

  test('a second deployment touches no secret that is set', async () => {
    assert.equal((await deploy(providerSecrets())).code, 0);
    const before = secrets();
    const { deployments } = cloudflare.workers.get(WORKER);
    const deployed = deployments.length;
    rmSync(keys);
    const { code, said } = await deploy();
    assert.equal(code, 0, said);
    assert.deepEqual(secrets(), before);
    assert.ok(!existsSync(keys));
    assert.match(said, /all secrets are set; none is changed/);
    assert.match(said, /PROVIDER_SECRETS cannot be read back; it must have entries for: calendar/);
    assert.equal(deployments.length, deployed + 1);
  });

  test('a run that stopped between making and setting the keys goes on with the same', async () => {
    assert.equal((await deploy(providerSecrets())).code, 0);
    const before = secrets();
    cloudflare.workers.clear();
    const { code, said } = await deploy(providerSecrets());
    assert.equal(code, 0, said);
    assert.deepEqual(secrets(), before);
  });

  test('a Worker with one of the two keys is left alone', async () => {
    cloudflare.put(WORKER, { KEY_RING: 'x', PROVIDER_SECRETS: '{}' });
    const { code, said } = await deploy();
    assert.equal(code, 1, said);
    assert.match(said, /wrangler secret put OBJECT_NAME_KEY/);
    assert.deepEqual(cloudflare.writes, []);
  });

  test('a secret that is missing is asked for by its connection, and nothing is set', async () => {
    const { code, said } = await deploy();
    assert.equal(code, 1, said);
    assert.match(said, /\{"calendar":"…"\} and add --provider-secrets/);
    assert.deepEqual(cloudflare.writes, []);
    assert.ok(!existsSync(keys));
  });

  test('a configuration that does not work stops before anything else', async () => {
    writeFileSync(join(directory, 'wrangler.toml'), configuration().replace('https://vault', 'http://vault'));
    const { code, said } = await deploy(providerSecrets());
    assert.equal(code, 1, said);
    assert.match(said, /PUBLIC_URL: must be https/);
    assert.deepEqual(cloudflare.requests, []);
  });

  const states = {
    'before the first deployment': {
      set: () => {},
      says: [/would generate OBJECT_NAME_KEY and KEY_RING and write them to .*production\.json/, /would set OBJECT_NAME_KEY, KEY_RING, PROVIDER_SECRETS\n/],
    },
    'with keys that an earlier run kept': {
      set: () => {
        mkdirSync(join(directory, 'keys'));
        writeFileSync(keys, JSON.stringify({ KEY_RING: 'canary-ring', OBJECT_NAME_KEY: 'canary-names' }));
      },
      says: [/using the keys in .*production\.json/, /would set OBJECT_NAME_KEY, KEY_RING, PROVIDER_SECRETS\n/],
    },
    'of a Worker that has its keys': {
      set: () => cloudflare.put(WORKER, { KEY_RING: 'x', OBJECT_NAME_KEY: 'y', PROVIDER_SECRETS: '{}' }),
      says: [/would set PROVIDER_SECRETS\n/],
    },
  };
  for (const [when, { set, says }] of Object.entries(states)) {
    test(`a dry run ${when} says what it would set, and changes nothing`, async () => {
      set();
      const [files, workers] = [everyFile(), structuredClone(cloudflare.workers)];
      const { code, said } = await deploy(['--dry-run', ...providerSecrets()]);
      assert.equal(code, 0, said);
      for (const line of says) assert.match(said, line);
      assert.match(said, /==> building what would be deployed…\n {4}done in [\d.]+ s\nNothing was set and nothing was deployed\./);
      assert.ok(!said.includes('canary'), 'a secret was printed');
      assert.deepEqual(cloudflare.writes, []);
      assert.deepEqual(cloudflare.workers, workers);
      assert.deepEqual(everyFile(), files);
    });
  }

  test('what wrangler says of a build that fails is shown, without a secret', async () => {
    const broken = configuration().replace(/^main = .*$/m, 'main = "not-there.js"');
    writeFileSync(join(directory, 'wrangler.toml'), broken);
    const { code, said } = await deploy(['--dry-run', ...providerSecrets()]);
    assert.equal(code, 1, said);
    assert.match(said, /failed \(exit status: 1\): .*wrangler\.js deploy --dry-run/);
    assert.match(said, /\n {4}.*entry-point file at "[^"]*not-there\.js" was not found/);
    assert.ok(!said.includes('canary'), 'a secret was printed');
  });

  /** All files in the directory of the configuration, with their contents. */
  function everyFile() {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [path, entry.isFile() ? readFileSync(path, 'utf8') : 'directory'];
      })
      .sort();
  }

  for (const dry of [[], ['--dry-run']]) {
    test(`${['deploying', ...dry].join(' ')} without a login says how to log in`, async () => {
      const credentials = { CLOUDFLARE_API_TOKEN: '', CLOUDFLARE_API_KEY: '', CLOUDFLARE_EMAIL: '' };
      const home = { HOME: directory, XDG_CONFIG_HOME: directory, ...toolsOf(process.env) };
      const { code, said } = await deploy([...dry, ...providerSecrets()], { ...credentials, ...home });
      assert.equal(code, 1, said);
      assert.match(said, /Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN/);
      assert.deepEqual(cloudflare.requests, []);
      assert.ok(!existsSync(keys));
    });
  }
});

/**
 * The directories of cargo and of this project's tools, for a process with another home directory.
 * @param {NodeJS.ProcessEnv} environment
 */
function toolsOf({ HOME, CARGO_HOME, RUSTUP_HOME, XDG_CACHE_HOME, EDGE_TOKEN_VAULT_CACHE }) {
  const cache = XDG_CACHE_HOME ?? join(HOME, '.cache');
  return {
    CARGO_HOME: CARGO_HOME ?? join(HOME, '.cargo'),
    RUSTUP_HOME: RUSTUP_HOME ?? join(HOME, '.rustup'),
    EDGE_TOKEN_VAULT_CACHE: EDGE_TOKEN_VAULT_CACHE ?? join(cache, 'edge-token-vault'),
  };
}

/** The project's own wrangler.toml, changed for a Worker with another name that is already built. */
function configuration() {
  const own = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  const platform = own.slice(0, own.indexOf('[vars]'))
    .replace(/^name = .*$/m, `name = "${WORKER}"`)
    .replace(/^main = .*$/m, `main = ${JSON.stringify(join(process.env.E2E_BUILD, 'entry.js'))}`)
    .replace(/^\[build\]\n(?:.+\n)*/m, '');
  return `${platform}
[vars]
PUBLIC_URL = "https://vault.example.com"

[vars.ISSUERS.main]
issuer = "https://login.example.com"
algorithms = ["RS256"]

[vars.CONNECTIONS.calendar]
kind = "oidc"
issuer = "https://accounts.example.com"
client_id = "vault"

[vars.CLIENTS.spa]
authentication = "none"
connections = ["calendar"]
redirect_uris = ["https://app.example.com/callback"]
`;
}
