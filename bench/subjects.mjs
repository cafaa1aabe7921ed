// SPDX-License-Identifier: Apache-2.0
// The Workers that are measured: the vault, the JavaScript Worker that does the same, and one hop without
// work. Each runs on its own workerd, with the same load.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GRANT, TOKEN_TYPE } from '../xtask/js/vault-api.mjs';
import { World } from '../tests/e2e/harness.mjs';
import { REFRESH_TOKEN, RelyingParty } from '../tests/e2e/relying-party.mjs';
import { accessToken } from '../tests/e2e/tokens.mjs';
import { Workerd, freePort } from '../tests/e2e/workerd.mjs';
import { post } from './load.mjs';
import { bundle } from './workers.mjs';

/** The number of users whose tokens a load exchanges. */
export const ACTIVE_USERS = 16;

/**
 * The number of subject tokens that a load uses in turn. The caches of verified tokens hold 2,048, so none
 * of these is still cached when its turn comes again.
 */
const UNKNOWN_TOKENS = 2600;

const HOUR = 3600;

/**
 * The vault and the peer, with leases and without: how their connection is configured.
 *
 * @type {Record<'vault' | 'vault_without_lease' | 'peer_with_lease' | 'peer', {worker: () => object, lease_seconds?: number}>}
 */
const KINDS = {
  vault: { worker: built },
  vault_without_lease: { worker: built, lease_seconds: 0 },
  peer_with_lease: { worker: () => bundle('peer') },
  peer: { worker: () => bundle('peer'), lease_seconds: 0 },
};

function built() {
  return { build: process.env.BENCH_BUILD };
}

/**
 * Starts a world for the vault or the peer.
 *
 * @param {keyof typeof KINDS} kind
 * @param {Parameters<typeof World.start>[0]} [more]
 */
export async function startWorld(kind, more = {}) {
  const { worker, ...connection } = KINDS[kind];
  const world = await World.start({ ...more, ...worker() });
  if (connection.lease_seconds !== undefined) {
    Object.assign(world.bindings.json.CONNECTIONS.demo, connection);
    await world.stopVault();
    await world.startVault();
  }
  return world;
}

/** The built vault, or the peer, with connected users. */
export class Exchange {
  /** @type {keyof typeof KINDS} */
  kind;

  /** @type {World} */
  world;

  /** The connected users. @type {any[]} */
  users = [];

  /**
   * @param {keyof typeof KINDS} kind
   * @param {Parameters<typeof World.start>[0]} [more]
   */
  static async start(kind, more = {}) {
    const subject = new Exchange();
    subject.kind = kind;
    subject.world = await startWorld(kind, { accessTokenTtl: HOUR, ...more });
    return subject;
  }

  get port() {
    return this.world.workerd.port;
  }

  get pid() {
    return this.world.workerd.pid;
  }

  /** Connects further users, up to this number. */
  async connect(count = ACTIVE_USERS) {
    this.users = [];
    for (let index = 0; index < count; index += 1) {
      const user = await this.world.signIn(`user-${index}`);
      await this.world.connect(user);
      this.users.push(user);
    }
    return this;
  }

  /** One exchange per user, with a subject token that is reused, so that it stays in the cache. */
  get remembered() {
    return this.users.map((user) => this.request(user.access_token));
  }

  /** Exchanges of the same users with subject tokens that are not in the Worker's cache. */
  get unknown() {
    const { issuer, vault, jwks } = this.world;
    return Array.from({ length: UNKNOWN_TOKENS }, (_, index) => this.request(accessToken({
      issuer,
      audience: `${vault}/`,
      sub: this.users[index % this.users.length].login,
      clientId: 'spa',
      key: jwks.keys[0],
    })));
  }

  request(subjectToken) {
    return post('/oauth/token', {
      grant_type: GRANT.rfc8693,
      subject_token_type: TOKEN_TYPE.access,
      requested_token_type: TOKEN_TYPE.access,
      audience: 'demo',
      ...this.world.clients.backend,
      subject_token: subjectToken,
    });
  }

  /** Compiles the configuration of all further starts. */
  compile() {
    this.world.workerd.compile(this.world.bindings);
  }

  /** Starts the Worker again, on the storage that `stop` left. */
  start() {
    return this.world.startVault();
  }

  /** Ends the process, and forgets what it printed. */
  async stop() {
    await this.world.stopVault();
    this.world.workerd.log = '';
  }

  close() {
    return this.world.close();
  }
}

/** The number of users who sign in at the vault. */
const SIGNED_IN_USERS = 48;

/** The built vault as an OpenID provider, with users who signed in and connected an account. */
export class SignedIn {
  /** @type {RelyingParty} */
  party;

  /** The users' tokens. @type {any[]} */
  users = [];

  static async start() {
    const subject = new SignedIn();
    subject.party = await RelyingParty.start({ accessTokenTtl: HOUR, build: process.env.BENCH_BUILD });
    for (let index = 0; index < SIGNED_IN_USERS; index += 1) {
      const user = await subject.party.signIn(`signed-in-${index}`);
      const me = await subject.party.meToken(user);
      await subject.party.world.connect({ ...user, ...me, login: `signed-in-${index}` });
      subject.users.push({ ...user, ...me });
    }
    return subject;
  }

  get port() {
    return this.party.world.workerd.port;
  }

  get pid() {
    return this.party.world.workerd.pid;
  }

  /** One exchange for each of so many users, by access token and by refresh token. */
  exchanges(count) {
    const users = this.users.slice(0, count);
    const request = (type, token) => post('/oauth/token', {
      grant_type: GRANT.rfc8693,
      subject_token_type: type,
      requested_token_type: TOKEN_TYPE.access,
      audience: 'demo',
      ...this.party.service(),
      subject_token: token,
    });
    return {
      access: users.map((user) => request(TOKEN_TYPE.access, user.access_token)),
      refresh: users.map((user) => request(REFRESH_TOKEN, user.refresh_token)),
    };
  }

  /** Times of an authorization code grant and of a refresh, in milliseconds. */
  async grants(login) {
    const { code, verifier } = await this.party.begin(login);
    const timed = async (send) => {
      const begun = performance.now();
      const { status, body } = await send();
      if (status !== 200) throw new Error(`${status} ${body.error}`);
      return [performance.now() - begun, body];
    };
    const [codeTime, tokens] = await timed(() => this.party.redeem(code, verifier));
    const [refreshTime] = await timed(() => this.party.refresh(tokens.refresh_token));
    return { code: codeTime, refresh: refreshTime };
  }

  close() {
    return this.party.world.close();
  }
}

const NO_BINDINGS = { json: {}, text: {} };

/** The Worker that only calls an object that responds with a constant. */
export class Hop {
  /** @type {string} */
  directory;

  /** @type {Workerd} */
  workerd;

  static async start() {
    const hop = new Hop();
    hop.directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-hop-'));
    hop.workerd = new Workerd({ ...bundle('hop'), directory: hop.directory, port: await freePort() });
    await hop.start();
    return hop;
  }

  get port() {
    return this.workerd.port;
  }

  get pid() {
    return this.workerd.pid;
  }

  /** Requests as long as an exchange's, to as many objects. */
  get requests() {
    return Array.from({ length: ACTIVE_USERS }, (_, index) => (
      post('/oauth/token', { filler: 'x'.repeat(1200), object: String(index).padStart(16, '0') })
    ));
  }

  compile() {
    this.workerd.compile(NO_BINDINGS);
  }

  start() {
    return this.workerd.start(NO_BINDINGS);
  }

  stop() {
    return this.workerd.stop();
  }

  async close() {
    await this.workerd.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
