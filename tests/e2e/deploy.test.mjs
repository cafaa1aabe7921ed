// `cargo xtask deploy --dry-run` with the real wrangler, up to what would go to Cloudflare.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

  async function deploy(...more) {
    const arguments_ = ['xtask', 'deploy', '--dry-run', '--config', join(directory, 'wrangler.toml'), '--keys', keys, ...more];
    const child = spawn('cargo', arguments_, {
      cwd: ROOT,
      env: { ...process.env, ...cloudflare.environment, CI: '1', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [said, errors, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => { child.once('exit', resolve); }),
    ]);
    return { code, said: `${said}\n${errors}` };
  }

  const withSecrets = () => deploy('--provider-secrets', join(directory, 'provider.json'));
  const secrets = () => Object.fromEntries(cloudflare.workers.get(WORKER) ?? []);

  test('a first deployment checks, makes and sets the secrets, and builds', async () => {
    const { code, said } = await withSecrets();
    assert.equal(code, 0, said);
    assert.match(said, /redirect URI to register: https:\/\/vault\.example\.com\/callback\/calendar/);
    const set = secrets();
    assert.deepEqual(Object.keys(set).sort(), ['KEY_RING', 'OBJECT_NAME_KEY', 'PROVIDER_SECRETS']);
    assert.match(set.OBJECT_NAME_KEY, /^[\w-]{43}$/);
    assert.match(JSON.parse(set.KEY_RING).keys.k1, /^[\w-]{43}$/);
    assert.deepEqual(JSON.parse(set.PROVIDER_SECRETS), { calendar: 'canary-provider-secret' });
    // What nobody can read back is kept, for its owner alone.
    const kept = JSON.parse(readFileSync(keys, 'utf8'));
    assert.deepEqual(kept, { KEY_RING: set.KEY_RING, OBJECT_NAME_KEY: set.OBJECT_NAME_KEY });
    assert.equal(statSync(keys).mode & 0o777, 0o600);
    for (const secret of ['canary-provider-secret', set.OBJECT_NAME_KEY, JSON.parse(set.KEY_RING).keys.k1]) {
      assert.ok(!said.includes(secret), 'a secret was printed');
    }
    assert.match(said, /--dry-run: exiting now/);
    assert.ok(!cloudflare.requests.some((request) => request.includes('deployments')), cloudflare.requests.join('\n'));
  });

  test('a second deployment touches nothing that is set', async () => {
    assert.equal((await withSecrets()).code, 0);
    const before = secrets();
    rmSync(keys);
    const { code, said } = await deploy();
    assert.equal(code, 0, said);
    assert.deepEqual(secrets(), before);
    assert.ok(!existsSync(keys));
    assert.match(said, /all secrets are set; none was touched/);
    assert.match(said, /PROVIDER_SECRETS cannot be read back; it must hold: calendar/);
  });

  test('a run that stopped between making and setting the keys goes on with the same', async () => {
    assert.equal((await withSecrets()).code, 0);
    const before = secrets();
    cloudflare.workers.clear();
    const { code, said } = await withSecrets();
    assert.equal(code, 0, said);
    assert.deepEqual(secrets(), before);
  });

  test('a Worker with one of the two keys is left alone', async () => {
    cloudflare.workers.set(WORKER, new Map([['KEY_RING', 'x'], ['PROVIDER_SECRETS', '{}']]));
    const { code, said } = await deploy();
    assert.equal(code, 1, said);
    assert.match(said, /wrangler secret put OBJECT_NAME_KEY/);
    assert.deepEqual(secrets(), { KEY_RING: 'x', PROVIDER_SECRETS: '{}' });
  });

  test('a secret that is missing is asked for by its connection, and nothing is set', async () => {
    const { code, said } = await deploy();
    assert.equal(code, 1, said);
    assert.match(said, /\{"calendar":"…"\} and add --provider-secrets/);
    assert.equal(cloudflare.workers.size, 0);
    assert.ok(!existsSync(keys));
  });

  test('a configuration that does not work stops before anything else', async () => {
    writeFileSync(join(directory, 'wrangler.toml'), configuration().replace('https://vault', 'http://vault'));
    const { code, said } = await withSecrets();
    assert.equal(code, 1, said);
    assert.match(said, /PUBLIC_URL: must be https/);
    assert.deepEqual(cloudflare.requests, []);
  });
});

/** The project's own file, for another Worker that is built already. */
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
