// SPDX-License-Identifier: Apache-2.0
// Runs the built Worker on plain workerd, without the proxy of a development server.
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const ENTRY = 'entry.js';
const START_SECONDS = 20;

/** The vault's Durable Object classes, by binding. */
export const OBJECTS = {
  VAULT: 'Vault',
  DIRECTORY: 'Directory',
  REGISTRY: 'Registry',
  CONNECT_SESSION: 'ConnectSession',
  ISSUER_KEYS: 'IssuerKeys',
  AUTHORIZATION: 'Authorization',
  REFRESH_FAMILY: 'RefreshFamily',
  BROWSER_SESSION: 'BrowserSession',
  IDENTITY: 'Identity',
  USER: 'User',
  SIGNING_KEYS: 'SigningKeys',
};

/** A range of ports that operating systems do not assign to outgoing connections or to port 0. */
const PORTS = { first: 11_000, end: 32_000 };
const given = new Set();

/** Finds a port on which nothing listens. This process returns each port only once. */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(PORTS.first, PORTS.end);
    if (!given.has(port) && await isFree(port)) {
      given.add(port);
      return port;
    }
  }
  throw new Error('no free port found');
}

async function isFree(port) {
  const server = createServer();
  const free = await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => { server.close(resolve); });
  return free;
}

export class Workerd {
  /** The output of the runtime and the Worker, over all starts. */
  log = '';

  #child;

  /** The compiled configuration, if there is one. */
  #compiled;

  /**
   * @param {object} options
   * @param {string} options.build      output directory of worker-build
   * @param {string} options.directory  a separate directory; its subdirectory `state` survives restarts
   * @param {number} options.port
   * @param {object} [options.objects]  Durable Object classes by binding, for a Worker other than the vault
   * @param {number} [options.internet]  a port to which all requests of the Worker are sent instead of the
   *   network, whatever their address
   * @param {{key: string, certificate: string}} [options.tls]  makes it listen with https; both are PEM
   * @param {string[]} [options.authorities]  certificates of authorities that the Worker trusts beside the usual
   *   ones, in PEM
   * @param {{port: number, json?: object}[]} [options.isolates]  further isolates of the Worker, which ask the same
   *   objects, each with its port, and bindings that replace those of the Worker
   */
  constructor({ build, directory, port, objects = OBJECTS, internet, tls, authorities = [], isolates = [] }) {
    this.directory = directory;
    this.port = port;
    this.isolates = isolates;
    this.tls = tls;
    this.objects = objects;
    this.internet = internet;
    this.authorities = authorities;
    this.state = join(directory, 'state');
    mkdirSync(this.state, { recursive: true });
    // workerd embeds files relative to its configuration. A copy is also safe from a rebuild meanwhile.
    this.modules = copyModules(build, join(directory, 'modules'));
  }

  /**
   * Compiles the configuration of all further starts, as development servers do. workerd then need not parse it,
   * and does not copy the Worker's modules meanwhile.
   *
   * @param {{json: object, text: Record<string, string>}} bindings
   */
  compile(bindings) {
    const compiled = execFileSync(binary(), ['compile', '--config-only', this.#configure(bindings)], { maxBuffer: 2 ** 28 });
    this.#compiled = join(this.directory, 'config.bin');
    writeFileSync(this.#compiled, compiled, { mode: 0o600 });
  }

  /** Writes the configuration, and returns its path. */
  #configure(bindings) {
    const file = join(this.directory, 'config.capnp');
    writeFileSync(file, configuration({ ...this, bindings }), { mode: 0o600 });
    return file;
  }

  /**
   * Starts the Worker and waits until it listens.
   *
   * @param {{json: object, text: Record<string, string>}} bindings  of no effect after `compile`
   */
  async start(bindings) {
    const from = this.#compiled ? ['--binary', this.#compiled] : [this.#configure(bindings)];
    const child = spawn(binary(), ['serve', '--verbose', '--control-fd=3', ...from], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    this.#child = child;
    const endWithUs = () => child.kill('SIGKILL');
    process.once('exit', endWithUs);
    child.once('exit', () => process.off('exit', endWithUs));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => { this.log += text; });
    }
    const fault = await this.#listens(child);
    if (!fault) return;
    await this.stop();
    throw new Error(`workerd ${fault}:\n${this.log}`);
  }

  /**
   * Resolves when this process reports that it listens, or with an error. A response on the port would not
   * suffice, because another process may listen there.
   */
  #listens(child) {
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(`did not listen within ${START_SECONDS} s`), START_SECONDS * 1000);
      const end = (fault) => { clearTimeout(late); resolve(fault); };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', () => end('ended at once'));
      let said = '';
      child.stdio[3].setEncoding('utf8').on('data', (text) => {
        said += text;
        if (said.includes('"event":"listen"')) end();
      });
    });
  }

  /** The process id of the runtime. */
  get pid() {
    return this.#child?.pid;
  }

  /** Stops the runtime (with `SIGKILL`, immediately). Its storage stays on disk. */
  async stop(/** @type {NodeJS.Signals} */ signal = 'SIGTERM') {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    const kill = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(kill);
  }
}

function copyModules(build, target) {
  mkdirSync(target, { recursive: true });
  const names = readdirSync(build).filter((name) => /\.(js|wasm)$/.test(name));
  if (!names.includes(ENTRY)) throw new Error(`no ${ENTRY} in ${build}: build the Worker first`);
  for (const name of names) copyFileSync(join(build, name), join(target, name));
  // workerd uses the first module as the entry.
  return [ENTRY, ...names.filter((name) => name !== ENTRY)];
}

const text = (value) => JSON.stringify(value);
const list = (items) => `[\n    ${items.join(',\n    ')},\n  ]`;

function configuration({ modules, state, bindings, port, objects: classes, internet, tls, authorities, isolates }) {
  const objects = Object.entries(classes);
  const further = isolates.map((isolate, index) => ({ ...isolate, name: `isolate${index}` }));
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "vault", worker = .vault),
    ${further.map(({ name }) => `(name = "${name}", worker = .${name}),`).join('')}
    (name = "internet", ${outside(internet, authorities)}),
    (name = "state", disk = (path = ${text(state)}, writable = true)),
  ],
  sockets = ${list([
    `(name = "http", address = "127.0.0.1:${port}", ${protocol(tls)}, service = "vault")`,
    ...further.map((isolate) => `(name = "${isolate.name}", address = "127.0.0.1:${isolate.port}", http = (), service = "${isolate.name}")`),
  ])},
);

const vault :Workerd.Worker = (
  ${program(modules)},
  bindings = ${list([
    ...variables(bindings),
    ...objects.map(([binding, name]) => `(name = ${text(binding)}, durableObjectNamespace = ${text(name)})`),
  ])},
  durableObjectNamespaces = ${list(objects.map(([binding, name]) => `(className = ${text(name)}, uniqueKey = ${text(`e2e-${binding}`)}, enableSql = true)`))},
  durableObjectStorage = (localDisk = "state"),
);
${further.map(({ name, json }) => `
const ${name} :Workerd.Worker = (
  ${program(modules)},
  bindings = ${list([
    ...variables({ ...bindings, json: { ...bindings.json, ...json } }),
    ...objects.map(([binding, className]) => (
      `(name = ${text(binding)}, durableObjectNamespace = (className = ${text(className)}, serviceName = "vault"))`
    )),
  ])},
);
`).join('')}`;
}

function program(modules) {
  const embedded = modules.map((name) => (
    `(name = ${text(name)}, ${name.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed ${text(`modules/${name}`)})`
  ));
  return `${compatibility()},\n  modules = ${list(embedded)}`;
}

function variables({ json, text: texts }) {
  return [
    ...Object.entries(json).map(([name, value]) => `(name = ${text(name)}, json = ${text(JSON.stringify(value))})`),
    ...Object.entries(texts).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
  ];
}

function protocol(tls) {
  if (!tls) return 'http = ()';
  const [key, certificate] = [tls.key, tls.certificate].map((pem) => JSON.stringify(pem));
  return `https = (tlsOptions = (keypair = (privateKey = ${key}, certificateChain = ${certificate})))`;
}

function outside(port, authorities) {
  if (port) return `external = (address = "127.0.0.1:${port}", http = (style = host))`;
  const trusted = `trustedCertificates = [${authorities.map((pem) => JSON.stringify(pem)).join(', ')}]`;
  return `network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true, ${trusted}))`;
}

/** The compatibility settings of wrangler.toml, so that tests have the behaviour of a deployment. */
function compatibility() {
  const file = readFileSync(new URL('../../wrangler.toml', import.meta.url), 'utf8');
  const date = /^compatibility_date\s*=\s*("[^"]+")/m.exec(file)?.[1];
  const flags = /^compatibility_flags\s*=\s*(\[[^\]]*\])/m.exec(file)?.[1];
  if (!date || !flags) throw new Error('wrangler.toml lacks compatibility_date or compatibility_flags');
  return `compatibilityDate = ${date},\n  compatibilityFlags = ${flags}`;
}

/**
 * The path of the runtime's program. `bin/workerd` of the npm package may be a script that starts it, and a
 * signal to that script would not stop the runtime.
 */
function binary() {
  const require = createRequire(createRequire(import.meta.url).resolve('workerd'));
  const platform = `${process.platform}-${process.arch === 'x64' ? '64' : process.arch}`;
  return require.resolve(`@cloudflare/workerd-${platform}/bin/workerd`);
}
