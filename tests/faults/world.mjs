// SPDX-License-Identifier: Apache-2.0
// A vault with the connections of the fault provider, the ways to it, and what users and applications do.
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { CookieJar } from '../../xtask/js/browser.mjs';
import { newCertificates } from '../../xtask/js/certificates.mjs';
import { World, describe } from '../e2e/harness.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { FaultProvider, MODES } from './provider.mjs';

/** How many requests run at the same time where a measure does not say otherwise. */
export const SLOTS = 16;

/** How long a caller waits for an answer, in milliseconds: longer than the vault lets callers wait, on a busy machine too. */
const PATIENCE = 60_000;

/** A way to the provider that can be closed: for connections that are refused, or for TLS that fails. */
class Door {
  #sockets = new Set();

  constructor(port, pipe, good, bad) {
    this.port = port;
    this.good = good;
    this.bad = bad;
    this.server = good ? createTlsServer(good, pipe) : createServer(pipe);
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
    // A failed handshake.
    this.server.on('tlsClientError', () => {});
  }

  /** @param {number} target  the port of the provider @param {{good: object, bad: object}} [tls] */
  static async open(target, { good, bad } = { good: undefined, bad: undefined }) {
    const door = new Door(await freePort(), (socket) => {
      const onward = connect(target, '127.0.0.1');
      for (const end of [socket, onward]) end.on('error', () => { socket.destroy(); onward.destroy(); });
      socket.pipe(onward).pipe(socket);
    }, good, bad);
    await door.#listen();
    return door;
  }

  /** @returns {Promise<void>} */
  #listen() {
    return new Promise((resolve) => { this.server.listen(this.port, '127.0.0.1', () => resolve()); });
  }

  #drop() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets every connection fail: with TLS by the certificate of an unknown authority. */
  async fail() {
    if (this.good) /** @type {import('node:tls').Server} */ (this.server).setSecureContext(this.bad);
    else await this.close();
    this.#drop();
  }

  async heal() {
    if (this.good) /** @type {import('node:tls').Server} */ (this.server).setSecureContext(this.good);
    else await this.#listen();
    this.#drop();
  }

  /** @returns {Promise<void>} */
  close() {
    this.#drop();
    return new Promise((resolve) => { this.server.close(() => resolve()); });
  }
}

/** The ways to the token endpoint. */
const DOORS = ['open', 'refused', 'tls'];

export const connectionOf = (mode, door = 'open') => `${mode}-${door}`;

const redirect = async (url, jar) => {
  const response = await fetch(url, { redirect: 'manual', headers: { cookie: jar.header(url) }, signal: AbortSignal.timeout(PATIENCE) });
  jar.keep(url, response);
  const location = response.headers.get('location');
  if (!location) throw new Error(`${response.status} ${await response.text()}`);
  return location;
};

export class FaultWorld {
  /** Callers that had no answer, and answers that no caller should have: one line each. */
  complaints = [];

  /** @type {World} */
  world;

  /**
   * Starts a fault provider and a vault. Call `close` at the end.
   *
   * @param {object} [more]
   * @param {object} [more.connections]  further connections, by name
   * @param {Record<string, string>} [more.providerSecrets]  of the further connections
   */
  static async start(more = {}) {
    const faulty = new FaultWorld();
    try {
      await faulty.#begin(more);
      return faulty;
    } catch (error) {
      await faulty.close();
      throw error;
    }
  }

  async #begin({ connections = {}, providerSecrets = {} }) {
    const provider = await FaultProvider.start();
    this.provider = provider;
    const tls = ({ key, certificate }) => ({ key, cert: certificate });
    const [good, bad] = [newCertificates(), newCertificates()];
    this.doors = {
      refused: await Door.open(provider.port),
      tls: await Door.open(provider.port, { good: tls(good), bad: tls(bad) }),
    };
    const origins = {
      open: provider.origin,
      refused: `http://127.0.0.1:${this.doors.refused.port}`,
      tls: `https://127.0.0.1:${this.doors.tls.port}`,
    };
    this.world = await World.start({
      authorities: [good.ca],
      providerSecrets,
      issuers: ({ vault }) => ({
        faults: { issuer: provider.origin, audiences: [`${vault}/`], algorithms: ['RS256'], typ: 'at+jwt' },
      }),
      connections: () => ({ ...connections, ...Object.fromEntries(Object.entries(MODES).flatMap(([mode, { leeway }]) => DOORS.map((door) => [
        connectionOf(mode, door), {
          kind: 'oauth2',
          client_id: mode,
          client_authentication: 'none',
          authorization_endpoint: `${provider.origin}/authorize`,
          token_endpoint: `${origins[door]}/token`,
          identity: { from: 'answer', id: 'user' },
          ...(leeway && { reuse_grace: leeway }),
        },
      ]))) }),
    });
  }

  async close() {
    await this.world?.close();
    for (const door of Object.values(this.doors ?? {})) if (door.server.listening) await door.close();
    await this.provider?.close();
  }

  user(login) {
    return this.provider.user(this.world, login);
  }

  /**
   * Connects a user's account at the provider; returns it.
   *
   * @param {any} user
   * @param {string} connection
   * @param {(address: string, login: string) => any} [consent]  lets the user consent at another provider; returns
   *   the redirect to the vault
   */
  async connect(user, connection, consent = (address, login) => this.provider.consent(address, login)) {
    const { world } = this;
    const started = await world.startConnect(user, { connection });
    const jar = new CookieJar();
    const callback = await consent(await redirect(world.api.connectLink(started), jar), user.login);
    const code = new URL(await redirect(callback, jar)).searchParams.get('connect_code');
    world.secrets.add(code);
    const done = await world.api.complete(user.me_token, started, code);
    if (done.status !== 201) throw new Error(`${user.login} cannot connect: ${describe(done)}`);
    return done.body;
  }

  /**
   * Exchanges; a caller that has no answer, and a token of somebody else, are complaints. Returns the answer, or
   * undefined.
   *
   * @param {any} user
   * @param {string} connection
   * @param {(token: string) => any} [owner]  says whose token it is, at another provider
   */
  async exchange(user, connection, owner = (token) => this.provider.owner(token)) {
    const { world } = this;
    let answer;
    try {
      answer = await world.api.exchange(world.clients.backend, user.access_token, connection, { signal: AbortSignal.timeout(PATIENCE) });
    } catch (error) {
      this.complaints.push(`a caller of ${user.login} had no answer: ${error.cause?.message ?? error.message}`);
      return undefined;
    }
    if (answer.status === 200 && await owner(answer.body.access_token) !== user.login) {
      this.complaints.push(`${user.login} was given the token of somebody else`);
    }
    if (answer.status !== 200 && answer.body.access_token !== undefined) this.complaints.push(`${user.login}: a refusal with a token`);
    if (![200, 400, 403, 503].includes(answer.status)) this.complaints.push(`${user.login}: ${describe(answer)}`);
    if (answer.status === 503 && !(Number(answer.headers.get('retry-after')) > 0)) this.complaints.push(`${user.login}: 503 without Retry-After`);
    return answer;
  }

  /** Complains of each secret that was logged. */
  searchLog() {
    const { world, provider } = this;
    const leaked = [...world.secrets, ...provider.secrets].filter((one) => world.workerd.log.includes(one));
    if (leaked.length > 0) this.complaints.push(`${leaked.length} secrets stand in the log`);
  }
}

/** Runs `work` for all items, so many at a time. */
export async function inSlots(items, work, slots = SLOTS) {
  const left = [...items];
  await Promise.all(Array.from({ length: slots }, async () => {
    while (left.length > 0) await work(left.shift());
  }));
}
