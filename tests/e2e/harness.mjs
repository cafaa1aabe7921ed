// SPDX-License-Identifier: Apache-2.0
// A world: one vault on workerd, one provider, and the configuration that connects them. Each test file has
// its own world, so that the files share no state and can run in any order.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorize, signIn } from '../../xtask/js/browser.mjs';
import { newKeys } from '../../xtask/js/keys.mjs';
import { ME_SCOPES, startProvider } from '../../xtask/js/provider.mjs';
import { GRANT, VaultApi, call } from '../../xtask/js/vault-api.mjs';
import { newSigningKey, publicKey } from './tokens.mjs';
import { Workerd, freePort } from './workerd.mjs';

/** The application's origin. Nothing listens there: user agents stop before they request it. */
export const APP_ORIGIN = 'http://127.0.0.1:3000';
export const APP = `${APP_ORIGIN}/app`;

/** The lifetime of the connection's access tokens, in seconds; tests move the clock past it. */
export const PROVIDER_TOKEN_SECONDS = 600;

// Longer than any clock move of a test, and shorter than a day, which is the vault's limit.
const USER_TOKEN_SECONDS = 23 * 3600;

const secret = () => randomBytes(32).toString('base64url');

export class World {
  /** Strings that must not appear in any log. */
  secrets = new Set();

  /** How far the vault's clock is ahead, in seconds. */
  clock = 0;

  /** @type {undefined | ((request: any) => any)} */
  #intercept;

  /** The vault's client ids at the provider. */
  #upstream = new Set();

  /** Further isolates of the vault. @type {Isolate[]} */
  isolates = [];

  /**
   * Starts a provider and a vault. Call `close` at the end, also after a failed test.
   *
   * @param {object} [more]
   * @param {any[]} [more.upstream]  further clients of the vault at the provider
   * @param {string[]} [more.offers]  the connections that the page offers
   * @param {(world: World) => object} [more.connections]  further connections, by name
   * @param {(world: World) => object} [more.issuers]  further trusted issuers, by name
   * @param {string} [more.build]  directory of a built Worker; default `E2E_BUILD`
   * @param {object} [more.objects]  Durable Object classes of that Worker, by binding
   * @param {((json: any) => object)[]} [more.isolates]  for each further isolate, the bindings that differ from these
   * @param {Record<string, string | object>} [more.providerSecrets]  of the further connections, by name
   * @param {number} [more.internet]  port to which all requests of the Worker are sent
   * @param {string[]} [more.authorities]  certificates of authorities that the Worker trusts, in PEM
   * @param {number} [more.accessTokenTtl]  lifetime of the connection's access tokens, in seconds
   * @param {{host: string, key: string, certificate: string}} [more.tls]  serves the vault with https at this host
   *   name, which this process must resolve to the loopback address
   * @param {(world: World) => {clients?: object, apis?: object, [field: string]: any}} [more.signIn]  makes the
   *   vault an OpenID provider: `SIGN_IN`, with further clients and the entries of `APIS`
   */
  static async start(more = {}) {
    const world = new World();
    try {
      await world.#begin(more);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** @param {Parameters<typeof World.start>[0]} more */
  async #begin({
    upstream: further = [],
    offers = ['demo'],
    connections = () => ({}),
    issuers = () => ({}),
    build = process.env.E2E_BUILD,
    objects,
    internet,
    providerSecrets = {},
    accessTokenTtl = PROVIDER_TOKEN_SECONDS,
    signIn,
    tls,
    authorities,
    isolates = [],
  }) {
    if (!build) throw new Error('E2E_BUILD must name the directory of the built Worker');
    const port = await freePort();
    const providerPort = await freePort();
    this.vault = tls ? `https://${tls.host}:${port}` : `http://127.0.0.1:${port}`;
    this.issuer = `http://127.0.0.1:${providerPort}`;
    /** The page that the provider serves: an application whose redirect URI is reachable. */
    this.page = `${this.issuer}/app`;
    this.api = new VaultApi(this.vault);
    this.idp = {
      spa: { client_id: 'spa', redirect_uris: [APP, this.page] },
      // A second public client; no client of the vault may exchange its users' tokens.
      stranger: { client_id: 'stranger', redirect_uris: [APP] },
      webapp: { client_id: 'webapp', client_secret: secret(), redirect_uris: [APP] },
    };
    this.jwks = newKeys();
    const upstream = { client_id: 'edge-token-vault', client_secret: secret() };
    this.provider = await startProvider({
      port: providerPort,
      app: { client_id: 'spa', connections: offers },
      jwks: this.jwks,
      vault: this.vault,
      clients: [
        ...Object.values(this.idp),
        { ...upstream, redirect_uris: [`${this.vault}/callback/demo`] },
        ...further.map(({ connection, ...client }) => (
          { ...client, redirect_uris: [`${this.vault}/callback/${connection}`] }
        )),
      ],
      accessTokenTtl,
      userTokenTtl: USER_TOKEN_SECONDS,
      idTokenTtl: USER_TOKEN_SECONDS,
      onTokenRequest: (request) => this.#intercept?.(request),
    });
    this.clients = {
      backend: { client_id: 'backend', client_secret: secret() },
      webapp: { client_id: 'webapp', client_secret: secret() },
      outsider: { client_id: 'outsider', client_secret: secret() },
      agent: { client_id: 'agent', keys: ['RS256', 'ES256'].map(newSigningKey) },
    };
    this.bindings = this.#configuration(upstream, connections(this), issuers(this));
    if (signIn) {
      const { clients = {}, apis = {}, ...own } = signIn(this);
      this.bindings.json.SIGN_IN = { connections: ['demo'], ...own };
      this.bindings.json.APIS = apis;
      Object.assign(this.bindings.json.CLIENTS, clients);
    }
    for (const { connection, client_secret: text } of further) {
      if (text) this.#addSecret(connection, text);
    }
    for (const [connection, proof] of Object.entries(providerSecrets)) this.#addSecret(connection, proof);
    this.#upstream = new Set([upstream, ...further].map((client) => client.client_id));
    this.directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-'));
    this.isolates = [];
    this.isolates = await Promise.all(isolates.map((change) => Isolate.prepare(change(this.bindings.json))));
    this.workerd = new Workerd({
      build, directory: this.directory, port, objects, internet, tls, authorities, isolates: this.isolates,
    });
    for (const value of [
      upstream.client_secret,
      this.idp.webapp.client_secret,
      this.clients.backend.client_secret,
      this.clients.webapp.client_secret,
      this.clients.outsider.client_secret,
      this.bindings.text.OBJECT_NAME_KEY,
      this.keyRing.keys.k1,
    ]) this.secrets.add(value);
    await this.startVault();
  }

  #addSecret(connection, proof) {
    const { text: bindings } = this.bindings;
    const secrets = { ...JSON.parse(bindings.PROVIDER_SECRETS), [connection]: proof };
    bindings.PROVIDER_SECRETS = JSON.stringify(secrets);
    this.secrets.add(proof.client_secret ?? proof);
  }

  #configuration(upstream, further, issuers) {
    const connections = ['demo', ...Object.keys(further)];
    const may = {
      grants: Object.values(GRANT),
      audiences: [`${this.vault}/`],
      connections,
    };
    const withSecret = ({ client_secret }) => ({
      authentication: 'client_secret',
      secret_sha256: [createHash('sha256').update(client_secret).digest('hex')],
    });
    this.keyRing = { write: 'k1', keys: { k1: secret() } };
    return {
      json: {
        ISSUERS: {
          dev: { issuer: this.issuer, audiences: [`${this.vault}/`], algorithms: ['RS256'], typ: 'at+jwt' },
          ...issuers,
        },
        CONNECTIONS: {
          demo: {
            kind: 'oidc',
            issuer: this.issuer,
            client_id: upstream.client_id,
            client_authentication: 'client_secret_basic',
            scopes: ['openid', 'email', 'profile', 'offline_access'],
            authorization_params: { prompt: 'consent' },
          },
          ...further,
        },
        CLIENTS: {
          backend: { ...withSecret(this.clients.backend), ...may, accepts_from: ['spa'] },
          agent: {
            authentication: 'private_key_jwt',
            jwks: { keys: this.clients.agent.keys.map(publicKey) },
            ...may,
            accepts_from: ['spa'],
          },
          // Without accepts_from it may exchange only tokens that were issued to itself.
          webapp: { ...withSecret(this.clients.webapp), ...may },
          outsider: { ...withSecret(this.clients.outsider), ...may, accepts_from: ['spa'], connections: [] },
          spa: { authentication: 'none', connections, redirect_uris: [APP, this.page], origins: [APP_ORIGIN, this.issuer] },
        },
      },
      text: {
        PUBLIC_URL: this.vault,
        KEY_RING: JSON.stringify(this.keyRing),
        OBJECT_NAME_KEY: secret(),
        PROVIDER_SECRETS: JSON.stringify({ demo: upstream.client_secret }),
      },
    };
  }

  /** Starts the vault; `text` replaces single text bindings for this start only. */
  async startVault(text = {}) {
    await this.workerd.start({ ...this.bindings, text: { ...this.bindings.text, ...text } });
    if (this.clock) await this.#setClock();
  }

  stopVault(signal) {
    return this.workerd.stop(signal);
  }

  /** Moves the vault's clock forward. The providers' clocks do not change. */
  async advance(seconds) {
    this.clock += seconds;
    await this.#setClock();
  }

  async #setClock() {
    await setClock(this.vault, this.clock);
    for (const isolate of this.isolates) await isolate.setClock(this.clock);
  }

  /**
   * Lets `handler` respond to the vault's token requests (or revocations) instead of the provider, until
   * this is called again without a handler. The provider still counts the requests.
   *
   * @param {(request: any) => any} [handler]
   */
  intercept(handler, path = '/token') {
    const meant = (request) => request.path === path && this.#upstream.has(request.client);
    this.#intercept = handler && (async (request) => {
      if (!meant(request)) return undefined;
      const answer = await handler(request);
      this.#remember(answer?.body);
      return answer;
    });
  }

  /** Adds the tokens of a test's own response to the secrets that must not be logged. */
  #remember(body) {
    const tokens = typeof body === 'string' ? Object.fromEntries(new URLSearchParams(body)) : body ?? {};
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      if (typeof token === 'string' && token) this.secrets.add(token);
    }
  }

  /**
   * Signs a user in through a client of the identity provider.
   *
   * @param {string} login
   * @param {{client?: string, jar?: import('../../xtask/js/browser.mjs').CookieJar}} [options]
   */
  async signIn(login, { client = 'spa', jar } = {}) {
    const { client_id: clientId, client_secret: clientSecret } = this.idp[client];
    const user = await signIn({
      issuer: this.issuer,
      clientId,
      clientSecret,
      redirectUri: APP,
      login,
      jar,
      audience: `${this.vault}/`,
      meAudience: `${this.vault}/me/`,
      scopes: ME_SCOPES,
    });
    return { ...user, login };
  }

  /** Begins a connect for a user; adds the response's handles to the secrets. */
  async startConnect(user, more = {}) {
    const started = await this.api.connect(user.me_token, { connection: 'demo', redirectUri: APP, ...more });
    assert.equal(started.status, 201, describe(started));
    this.secrets.add(started.body.auth_session).add(started.body.connect_params.ticket).add(started.verifier);
    return started;
  }

  /**
   * Performs the browser's part of a connect; returns the URL with which it returns to the application.
   *
   * @param {any} started
   * @param {{login?: string, jar?: import('../../xtask/js/browser.mjs').CookieJar, cancel?: boolean}} [options]
   */
  async visit(started, { login, jar, cancel } = {}) {
    const back = await authorize(this.api.connectLink(started), { login, jar, cancel, redirectUri: APP });
    const code = back.searchParams.get('connect_code');
    if (code) this.secrets.add(code);
    return back;
  }

  /** Performs a whole connect, as `login` at the provider; returns the account. */
  async connect(user, login = user.login, more = {}) {
    const started = await this.startConnect(user, more);
    const back = await this.visit(started, { login });
    const done = await this.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    assert.equal(done.status, 201, describe(done));
    return done.body;
  }

  /** Exchanges as the client `backend`, which must succeed; returns the body. */
  async exchange(user, { connection = 'demo', ...more } = {}) {
    const answer = await this.api.exchange(this.clients.backend, user.access_token, connection, more);
    assert.equal(answer.status, 200, describe(answer));
    return answer.body;
  }

  /** The user of an access token, or undefined if the provider rejects it. */
  async owner(accessToken) {
    const answer = await call({ url: `${this.issuer}/me`, headers: { authorization: `Bearer ${accessToken}` } });
    if (answer.status === 401) return undefined;
    assert.equal(answer.status, 200, describe(answer));
    return answer.body.sub;
  }

  async accounts(user) {
    const answer = await this.api.accounts(user.me_token);
    assert.equal(answer.status, 200, describe(answer));
    return answer.body.accounts;
  }

  /** Counts the vault's token requests that reached the provider, by grant type. */
  tokenRequests(grant, client = 'edge-token-vault') {
    return this.provider.stats.count({ path: '/token', client, grant });
  }

  /**
   * Fails if the Worker printed a token, a secret or a key, or if a log line is missing: each response that
   * `api` received must have one, because an empty log would contain no secret either.
   *
   * @param {string} [only]  the path of the endpoint whose requests the Worker logs, if it is only one
   */
  async assertLogHasNoSecret(only) {
    const expected = this.api.answers.map(loggedAs).filter((one) => one && (!only || one.includes(only)));
    assert.ok(expected.length > 0, 'nothing was asked of the vault');
    const missing = () => {
      const left = counted(this.requestLines().map(({ route, status, error }) => lineKey(route, status, error)));
      return expected.filter((one) => {
        left.set(one, (left.get(one) ?? 0) - 1);
        return left.get(one) < 0;
      });
    };
    await eventually('each answer has its line in the log', () => missing().length === 0)
      .catch(() => assert.deepEqual(missing(), [], 'answers without a line in the log'));
    const secrets = [...this.secrets, ...this.provider.stats.issued];
    const leaked = secrets.filter((one) => this.workerd.log.includes(one));
    assert.equal(leaked.length, 0, `${leaked.length} of ${secrets.length} secrets stand in the log`);
  }

  /** The vault's log lines of requests, oldest first. */
  requestLines() {
    return this.workerd.log.split('\n')
      .filter((line) => line.includes('"event":"request"'))
      .map((line) => JSON.parse(line.slice(line.indexOf('{'))));
  }

  /** The objects of a class that were ever asked, by the name of their file. */
  objects(binding) {
    const directory = join(this.workerd.state, `e2e-${binding}`);
    return existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.sqlite')) : [];
  }

  /** All bytes that the vault stores on disk. */
  storedBytes() {
    return readdirSync(this.workerd.state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  }

  async close() {
    await this.workerd?.stop();
    await this.provider?.close();
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A further isolate of the vault: it asks the same objects, and has its own memory and clock. */
export class Isolate {
  /**
   * @param {number} port
   * @param {object} json  the bindings in which it differs
   */
  constructor(port, json) {
    this.port = port;
    this.json = json;
    this.api = new VaultApi(`http://127.0.0.1:${port}`);
  }

  /** @param {object} json */
  static async prepare(json) {
    return new Isolate(await freePort(), json);
  }

  /** Sets its clock to so many seconds ahead. */
  setClock(seconds) {
    return setClock(this.api.vault, seconds);
  }
}

async function setClock(vault, seconds) {
  const answer = await call({ method: 'POST', url: `${vault}/test-clock`, json: { offset_seconds: seconds } });
  assert.equal(answer.status, 204, 'the build under test has no test clock');
}

/** The endpoints whose `route` in the log is their method and path. */
const LOGGED = [
  'POST /oauth/token',
  'POST /me/v1/connected-accounts/connect',
  'POST /me/v1/connected-accounts/complete',
  'GET /me/v1/connected-accounts/accounts',
  'GET /me/v1/connected-accounts/connections',
];

/** The line that the log must have for a response, or undefined for an endpoint with another `route`. */
function loggedAs({ request, status, body }) {
  const route = `${request.method} ${new URL(request.url).pathname}`;
  if (!LOGGED.includes(route)) return undefined;
  return lineKey(route, status, route.endsWith('/oauth/token') ? body.error : undefined);
}

const lineKey = (route, status, error) => (
  [route, status, ...(route.endsWith('/oauth/token') && error ? [error] : [])].join(' ')
);

function counted(items) {
  const counts = new Map();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** Waits until `check` returns a truthy value, and returns it; fails after `seconds`. */
export async function eventually(what, check, seconds = 10) {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline;) {
    const result = await check();
    if (result) return result;
    await sleep(100);
  }
  return assert.fail(`${what}: not within ${seconds} s`);
}

/**
 * Resolves when this process has completely sent `number` further requests to `path`.
 *
 * @param {string} path
 * @param {number} number
 * @returns {Promise<void>}
 */
export function sentInFull(path, number) {
  /** @type {PromiseWithResolvers<void>} */
  const { promise, resolve } = Promise.withResolvers();
  let left = number;
  const count = (/** @type {any} */ { request }) => {
    if (request.path !== path) return;
    left -= 1;
    if (left > 0) return;
    diagnostics.unsubscribe('undici:request:bodySent', count);
    resolve();
  };
  diagnostics.subscribe('undici:request:bodySent', count);
  return promise;
}

/**
 * Formats a response in one line, for messages of failed assertions.
 *
 * @param {{status?: number, body?: any}} answer
 */
export function describe({ status, body }) {
  return `${status} ${JSON.stringify(body)}`.slice(0, 600);
}

/** Asserts that a response of the connect API is a problem document with this status (RFC 9457). */
export function assertProblem(answer, status) {
  assert.equal(answer.status, status, describe(answer));
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof answer.body[member], 'string', describe(answer));
  assert.equal(answer.body.status, answer.status);
}

/** Asserts that an exchange failed with this status and error code, and returned no token. */
export function assertRefused(answer, status, error, { challenge = null } = {}) {
  assert.equal(answer.status, status, describe(answer));
  assert.equal(answer.body.error, error, describe(answer));
  assert.equal(answer.body.access_token, undefined);
  // Some client libraries ignore the error if there is a charset or an unexpected challenge.
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(answer.headers.get('www-authenticate')?.split(' ')[0] ?? null, challenge);
}
