// SPDX-License-Identifier: Apache-2.0
// One vault on workerd, one provider, and the configuration that joins them. Each test file makes
// its own world, so that files neither share state nor need an order.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorize, signIn } from '../../xtask/js/browser.mjs';
import { newKeys } from '../../xtask/js/keys.mjs';
import { ME_SCOPES, startProvider } from '../../xtask/js/provider.mjs';
import { GRANT, VaultApi, call } from '../../xtask/js/vault-api.mjs';
import { newSigningKey, publicKey } from './tokens.mjs';
import { Workerd, freePort } from './workerd.mjs';

/** The application. Nobody listens there: user agents stop before they would go. */
export const APP_ORIGIN = 'http://127.0.0.1:3000';
export const APP = `${APP_ORIGIN}/app`;

/** How long an access token of the connection lives; tests move the clock past it. */
export const PROVIDER_TOKEN_SECONDS = 600;

// Longer than every clock move of a test, shorter than the day at which the vault refuses.
const USER_TOKEN_SECONDS = 23 * 3600;

const secret = () => randomBytes(32).toString('base64url');

export class World {
  /** Strings that must appear in no log. */
  secrets = new Set();

  /** Seconds the vault's clock is ahead. */
  clock = 0;

  /** @type {undefined | ((request: any) => any)} */
  #intercept;

  /** The vault's client ids at the provider. */
  #upstream = new Set();

  /**
   * Starts a provider and a vault. End it with `close`, also when a test failed.
   *
   * @param {object} [more]
   * @param {any[]} [more.upstream]  further clients that the vault has at the provider
   * @param {(world: World) => object} [more.connections]  further connections, by name
   * @param {(world: World) => object} [more.issuers]  further trusted issuers, by name
   * @param {string} [more.build]  directory of a built Worker; default `E2E_BUILD`
   * @param {object} [more.objects]  Durable Object classes of that Worker, by binding
   * @param {Record<string, string | object>} [more.providerSecrets]  of connections to other providers
   * @param {number} [more.internet]  port that all requests of the Worker go to
   * @param {number} [more.accessTokenTtl]  seconds a token of the connection lives
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
    connections = () => ({}),
    issuers = () => ({}),
    build = process.env.E2E_BUILD,
    objects,
    internet,
    providerSecrets = {},
    accessTokenTtl = PROVIDER_TOKEN_SECONDS,
  }) {
    if (!build) throw new Error('E2E_BUILD must name the directory of the built Worker');
    const port = await freePort();
    const providerPort = await freePort();
    this.vault = `http://127.0.0.1:${port}`;
    this.issuer = `http://127.0.0.1:${providerPort}`;
    /** The page that the provider serves: an application that does listen. */
    this.page = `${this.issuer}/app`;
    this.api = new VaultApi(this.vault);
    this.idp = {
      spa: { client_id: 'spa', redirect_uris: [APP, this.page] },
      // A second public client, which no client of the vault accepts tokens from.
      stranger: { client_id: 'stranger', redirect_uris: [APP] },
      webapp: { client_id: 'webapp', client_secret: secret(), redirect_uris: [APP] },
    };
    this.jwks = newKeys();
    const upstream = { client_id: 'edge-token-vault', client_secret: secret() };
    this.provider = await startProvider({
      port: providerPort,
      app: { client_id: 'spa', connections: ['demo'] },
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
    for (const { connection, client_secret: text } of further) {
      if (text) this.#addSecret(connection, text);
    }
    for (const [connection, proof] of Object.entries(providerSecrets)) this.#addSecret(connection, proof);
    this.#upstream = new Set([upstream, ...further].map((client) => client.client_id));
    this.directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-'));
    this.workerd = new Workerd({ build, directory: this.directory, port, objects, internet });
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
          // No accepts_from: only for tokens that were issued to itself.
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

  /** Moves the vault's clock, and only that; providers stay in the present. */
  async advance(seconds) {
    this.clock += seconds;
    await this.#setClock();
  }

  async #setClock() {
    const answer = await call({ method: 'POST', url: `${this.vault}/test-clock`, json: { offset_seconds: this.clock } });
    assert.equal(answer.status, 204, 'the build under test has no test clock');
  }

  /**
   * Lets `handler` answer the vault's token requests (or revocations) instead of the provider, until
   * it is called again without one. The provider still counts them.
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

  /** Tokens of an answer that a test made up are as secret as the provider's own. */
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

  /** Starts a connect for a user; the answer's secrets are remembered. */
  async startConnect(user, more = {}) {
    const started = await this.api.connect(user.me_token, { connection: 'demo', redirectUri: APP, ...more });
    assert.equal(started.status, 201, describe(started));
    this.secrets.add(started.body.auth_session).add(started.body.connect_params.ticket).add(started.verifier);
    return started;
  }

  /**
   * The browser's part of a connect: the URL at which the application gets the browser back.
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

  /** A whole connect, as `login` at the provider; returns the account. */
  async connect(user, login = user.login, more = {}) {
    const started = await this.startConnect(user, more);
    const back = await this.visit(started, { login });
    const done = await this.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
    assert.equal(done.status, 201, describe(done));
    return done.body;
  }

  /** Exchange by `backend` that must work; returns the body. */
  async exchange(user, { connection = 'demo', ...more } = {}) {
    const answer = await this.api.exchange(this.clients.backend, user.access_token, connection, more);
    assert.equal(answer.status, 200, describe(answer));
    return answer.body;
  }

  /** Whose token it is, or undefined when the provider refuses it. */
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

  /** Token requests of the vault that reached the provider, by grant type. */
  tokenRequests(grant, client = 'edge-token-vault') {
    return this.provider.stats.count({ path: '/token', client, grant });
  }

  /**
   * Fails when a token, a secret or a key stands in what the Worker printed, and when a line is missing:
   * each answer that `api` got must have one, because an empty log would hold no secret either.
   *
   * @param {string} [only]  path of the one endpoint whose requests the Worker under test logs
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

  /** The lines the vault logged about requests, oldest first. */
  requestLines() {
    return this.workerd.log.split('\n')
      .filter((line) => line.includes('"event":"request"'))
      .map((line) => JSON.parse(line.slice(line.indexOf('{'))));
  }

  /** Every byte the vault keeps on disk. */
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

/** Endpoints whose lines in the log are named after method and path. */
const LOGGED = [
  'POST /oauth/token',
  'POST /me/v1/connected-accounts/connect',
  'POST /me/v1/connected-accounts/complete',
  'GET /me/v1/connected-accounts/accounts',
  'GET /me/v1/connected-accounts/connections',
];

/** The line that the log must have for an answer, or undefined where it is not named after the path. */
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

/** Waits until `check` answers something true; fails after `seconds`. */
export async function eventually(what, check, seconds = 10) {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline;) {
    const result = await check();
    if (result) return result;
    await sleep(100);
  }
  return assert.fail(`${what}: not within ${seconds} s`);
}

/**
 * Resolves when `number` further requests of this process to `path` left it, body included.
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
 * An answer in one line, for messages of failed assertions.
 *
 * @param {{status?: number, body?: any}} answer
 */
export function describe({ status, body }) {
  return `${status} ${JSON.stringify(body)}`.slice(0, 600);
}

/** A problem document of the user's API, with this status. */
export function assertProblem(answer, status) {
  assert.equal(answer.status, status, describe(answer));
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof answer.body[member], 'string', describe(answer));
  assert.equal(answer.body.status, answer.status);
}

/** A failed exchange: no token, and the code that the grant prescribes. */
export function assertRefused(answer, status, error, { challenge = null } = {}) {
  assert.equal(answer.status, status, describe(answer));
  assert.equal(answer.body.error, error, describe(answer));
  assert.equal(answer.body.access_token, undefined);
  // Client libraries read the error only so (a charset or a challenge makes them lose it).
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(answer.headers.get('www-authenticate')?.split(' ')[0] ?? null, challenge);
}
