// SPDX-License-Identifier: Apache-2.0
// Packages of other languages: a small program calls the package's functions, which a test names to it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { s256 } from '../../xtask/js/browser.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { CALLBACK, ME_SCOPE, connect, visit } from './vault.mjs';

/** Longer than any package waits for an answer. */
const CALL_SECONDS = 30;

/** Where `cargo xtask test clients` has installed the packages. */
export function installed() {
  return JSON.parse(readFileSync(new URL('../../target/clients-installed.json', import.meta.url), 'utf8'));
}

const LOOPBACK = fileURLToPath(new URL('python/loopback', import.meta.url));

/**
 * The environment variables with which Python finds the packages of `python/requirements.txt`, or of another file
 * there, and resolves host names below `localhost`. It trusts the authority of `vault`.
 *
 * @param {{requirements?: string, vault?: {world: any, made: {ca: string}}}} [options]
 */
export function pythonVariables({ requirements = 'requirements', vault } = {}) {
  const packages = installed().python[requirements];
  const file = vault && authorityFile(vault);
  return {
    ...process.env,
    ...(file && { SSL_CERT_FILE: file, REQUESTS_CA_BUNDLE: file }),
    PYTHONPATH: [LOOPBACK, packages].join(delimiter),
    PYTHONWARNINGS: 'ignore',
    PYTHONDONTWRITEBYTECODE: '1',
  };
}

/** The installed version of a package. */
export function pythonVersion(name, requirements) {
  const script = 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))';
  const env = pythonVariables({ requirements });
  return execFileSync('python3', ['-c', script, name], { encoding: 'utf8', env }).trim();
}

/** What an application sees of an error: the exception's class, its text and those of its members that exist. */
export class DriverError extends Error {
  /** @param {{class: string, text: string, [member: string]: any}} seen */
  constructor(seen) {
    super(`${seen.class}: ${seen.text}`);
    this.seen = seen;
  }
}

export class Driver {
  #child;

  /** Why the program ended. @type {string | undefined} */
  #ended;

  /** Calls without an answer, oldest first. @type {{resolve: (value: any) => void, reject: (error: Error) => void}[]} */
  #open = [];

  /**
   * Starts a program of `python/`, which trusts the world's authority.
   *
   * @param {string} script
   * @param {{world: any, made: {ca: string}}} vault
   * @param {string[]} args
   * @param {string} [requirements]  the requirements file, if it is not the usual one
   */
  static python(script, vault, args, requirements) {
    const path = fileURLToPath(new URL(`python/${script}`, import.meta.url));
    return new Driver('python3', [path, ...args], pythonVariables({ requirements, vault }));
  }

  /**
   * @param {string} program
   * @param {string[]} args
   * @param {NodeJS.ProcessEnv} [env]
   */
  constructor(program, args, env = process.env) {
    this.#child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { result, error } = JSON.parse(line);
      const waiting = this.#open.shift();
      if (error) waiting?.reject(new DriverError(error));
      else waiting?.resolve(result);
    });
    const end = (/** @type {string} */ why) => {
      this.#ended = `${program} ${why}`;
      for (const { reject } of this.#open.splice(0)) reject(new Error(this.#ended));
    };
    // The end of the program is reported below.
    this.#child.stdin.on('error', () => {});
    this.#child.once('error', (error) => end(error.message));
    this.#child.once('exit', (code, signal) => end(`ended with ${signal ?? code}`));
  }

  /**
   * Calls a function of the program.
   *
   * @param {string} name
   * @param {object} [given]  its arguments
   * @returns {Promise<any>}
   */
  async call(name, given = {}) {
    if (this.#ended) throw new Error(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#open.push({ resolve, reject });
    const late = setTimeout(() => {
      this.#child.kill('SIGKILL');
      reject(new Error(`${name} took longer than ${CALL_SECONDS} s`));
    }, CALL_SECONDS * 1000);
    this.#child.stdin.write(`${JSON.stringify({ name, arguments: given })}\n`);
    try {
      return await promise;
    } finally {
      clearTimeout(late);
    }
  }

  /** Ends the program; resolves when it has ended. */
  async close() {
    if (this.#ended) return;
    const ended = new Promise((resolve) => { this.#child.once('exit', resolve); });
    this.#child.stdin.end();
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  }
}

/** Writes the certificate of the authority to a file that ends with the world. */
export function authorityFile({ world, made }) {
  const file = join(world.directory, 'ca.pem');
  writeFileSync(file, made.ca);
  return file;
}

/** Asserts that a call fails with an exception of this class and these members; returns it. */
export async function throws(promise, expected) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof DriverError, String(error));
    const members = Object.keys(expected).map((name) => [name, error.seen[name]]);
    assert.deepEqual(Object.fromEntries(members), expected, error.message);
    return error.seen;
  }
  return assert.fail('there was no exception');
}

/** The parts of an address that starts a sign-in without a package's help. */
function authorization(client, vault, verifier) {
  const url = new URL(`${vault}/authorize`);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    response_type: 'code',
    scope: 'openid profile email offline_access',
    audience: `${vault}/`,
    code_challenge: s256(verifier),
    code_challenge_method: 'S256',
  }).toString();
  return url;
}

/** Signs a user in without a package's help, for packages that do not sign in. */
export async function signIn({ world, web }, login) {
  const verifier = 'v'.repeat(43);
  const { jar, back } = await visit(authorization(web, world.vault, verifier), login);
  const tokens = await token({ world, web }, {
    grant_type: 'authorization_code', code: back.searchParams.get('code'), redirect_uri: CALLBACK, code_verifier: verifier,
  });
  return { jar, ...tokens };
}

/** New tokens for a refresh token, without a package's help. */
export function refresh(vault, refreshToken, more = {}) {
  return token(vault, { grant_type: 'refresh_token', refresh_token: refreshToken, ...more });
}

/** Signs a user in and connects the user's account, without a package's help. */
export async function connected(vault, login) {
  const user = await signIn(vault, login);
  const { world } = vault;
  const me = await refresh(vault, user.refresh_token, { audience: `${world.vault}/me/`, scope: ME_SCOPE });
  const done = await connect(world, me.access_token, login);
  assert.equal(done.status, 201);
  return { ...user, refresh_token: me.refresh_token };
}

async function token({ world, web }, form) {
  const answer = await call({ method: 'POST', url: `${world.vault}/oauth/token`, form: { ...web, ...form } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body.error));
  for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(answer.body[name]);
  return answer.body;
}
