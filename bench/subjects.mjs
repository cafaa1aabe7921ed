// SPDX-License-Identifier: Apache-2.0
// What is measured: the vault, the JavaScript Worker that does the same, and one hop without work;
// each on its own workerd, with the same load.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GRANT, TOKEN_TYPE } from '../xtask/js/vault-api.mjs';
import { World } from '../tests/e2e/harness.mjs';
import { accessToken } from '../tests/e2e/tokens.mjs';
import { Workerd, freePort } from '../tests/e2e/workerd.mjs';
import { post } from './load.mjs';
import { bundle } from './workers.mjs';

/** Users that take part in a load. */
export const ACTIVE_USERS = 16;

/** More tokens than either memory of verified tokens holds: 2,048. In turn, none is remembered. */
const UNKNOWN_TOKENS = 2600;

const HOUR = 3600;

/** The built vault, or the peer, with users that have connected. */
export class Exchange {
  /** @type {World} */
  world;

  /** Users that have connected. @type {any[]} */
  users = [];

  /**
   * @param {string} kind  `vault` or `peer`
   * @param {object} [more]  for `World.start`
   */
  static async start(kind, more = {}) {
    const subject = new Exchange();
    const worker = kind === 'peer' ? bundle('peer') : { build: process.env.BENCH_BUILD };
    subject.world = await World.start({ accessTokenTtl: HOUR, ...more, ...worker });
    return subject;
  }

  get port() {
    return this.world.workerd.port;
  }

  get pid() {
    return this.world.workerd.pid;
  }

  /** Connects this many users. */
  async connect(count = ACTIVE_USERS) {
    this.users = [];
    for (let index = 0; index < count; index += 1) {
      const user = await this.world.signIn(`user-${index}`);
      await this.world.connect(user);
      this.users.push(user);
    }
    return this;
  }

  /** One exchange per user, each with a token that is used again and again. */
  get remembered() {
    return this.users.map((user) => this.request(user.access_token));
  }

  /** Exchanges of the same users with tokens that the Worker does not remember. */
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

  async restart() {
    await this.world.stopVault();
    await this.world.startVault();
  }

  close() {
    return this.world.close();
  }
}

/** One hop to an object that answers with a constant. */
export class Hop {
  /** @type {string} */
  directory;

  /** @type {Workerd} */
  workerd;

  static async start() {
    const hop = new Hop();
    hop.directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-hop-'));
    hop.workerd = new Workerd({ ...bundle('hop'), directory: hop.directory, port: await freePort() });
    await hop.restart();
    return hop;
  }

  get port() {
    return this.workerd.port;
  }

  get pid() {
    return this.workerd.pid;
  }

  /** As long as an exchange, to as many objects. */
  get requests() {
    return Array.from({ length: ACTIVE_USERS }, (_, index) => (
      post('/oauth/token', { filler: 'x'.repeat(1200), object: String(index).padStart(16, '0') })
    ));
  }

  async restart() {
    await this.workerd.stop();
    await this.workerd.start({ json: {}, text: {} });
  }

  async close() {
    await this.workerd.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
