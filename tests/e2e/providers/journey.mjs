// SPDX-License-Identifier: Apache-2.0
// What a user and an application do with the vault and a simulated provider.
import assert from 'node:assert/strict';
import { CookieJar } from '../../../xtask/js/browser.mjs';
import { ME_SCOPES } from '../../../xtask/js/provider.mjs';
import { APP, World, describe } from '../harness.mjs';
import { accessToken, newSigningKey, now, publicKey } from '../tokens.mjs';
import { Internet } from './internet.mjs';
import { json } from './simulator.mjs';

const redirect = async (url, jar) => {
  const response = await fetch(url, { redirect: 'manual', headers: { cookie: jar.header(url) } });
  jar.keep(url, response);
  const location = response.headers.get('location');
  assert.ok(location, `${response.status} ${await response.text()}`);
  return location;
};

/** The issuer of the users' tokens. It uses the vault's clock, so that clock moves do not expire tokens. */
class Issuer {
  hosts = ['idp.example.com'];

  issuer = 'https://idp.example.com';

  #key = newSigningKey('RS256');

  serve({ url }) {
    switch (url.pathname) {
      case '/.well-known/openid-configuration': return json(200, { issuer: this.issuer, jwks_uri: `${this.issuer}/keys` });
      case '/keys': return json(200, { keys: [publicKey(this.#key)] });
      default: return json(404, {});
    }
  }

  /** A user whose tokens are always valid at the vault's present time. */
  user(world, login) {
    const { issuer } = this;
    const key = this.#key;
    const token = (audience, more) => {
      const iat = now() + world.clock;
      const claims = { iat, exp: iat + 3600, ...more };
      return accessToken({ issuer, audience, sub: login, clientId: 'spa', key, claims });
    };
    return {
      login,
      get access_token() { return token(`${world.vault}/`); },
      get me_token() { return token(`${world.vault}/me/`, { scope: ME_SCOPES.join(' ') }); },
    };
  }
}

/**
 * Starts a vault whose network consists of simulators.
 *
 * @param {Record<string, {entry: object, simulator: any}>} connections  each `simulator` is a `Simulator`
 */
export async function startWorld(connections) {
  const internet = await Internet.start();
  const world = await startVault(internet, Object.entries(connections)).catch(async (error) => {
    await internet.close();
    throw error;
  });
  const issuer = new Issuer();
  internet.add(issuer);
  return Object.assign(world, { internet, arrive: (/** @type {string} */ login) => issuer.user(world, login) });
}

function startVault(internet, all) {
  return World.start({
    internet: internet.port,
    issuers: ({ vault }) => ({
      users: { issuer: 'https://idp.example.com', audiences: [`${vault}/`], algorithms: ['RS256'], typ: 'at+jwt' },
    }),
    providerSecrets: Object.fromEntries(all.map(([connection, { simulator }]) => [connection, simulator.proof ?? simulator.client.secret])),
    connections: ({ vault }) => Object.fromEntries(all.map(([connection, { entry, simulator }]) => {
      simulator.redirectUri = `${vault}/callback/${connection}`;
      return [connection, { client_id: simulator.client.id, ...entry }];
    })),
  });
}

export class Journey {
  /**
   * @param {Awaited<ReturnType<typeof startWorld>>} world
   * @param {string} connection
   * @param {any} simulator  a `Simulator`
   */
  constructor(world, connection, simulator) {
    this.world = world;
    this.connection = connection;
    this.simulator = simulator;
    simulator.ahead = () => world.clock;
    // Two entries may have the same provider: the simulator of the latest journey responds for the host.
    world.internet.add(simulator);
  }

  /**
   * Begins a connect and lets the user decide; returns the application's URL, the response of `complete`, and
   * a function that sends `complete` again.
   *
   * @param {any} user
   * @param {{scopes?: string[], login?: string, consent?: boolean, ticked?: string[]}} [choice]
   */
  async begin(user, { scopes = [], login = user.login, consent, ticked } = {}) {
    const { world, connection, simulator } = this;
    const started = await world.startConnect(user, { connection, scopes });
    const jar = new CookieJar();
    const address = await redirect(world.api.connectLink(started), jar);
    this.asked = new URL(address).searchParams;
    const callback = simulator.authorize(address, { login, consent, scopes: ticked });
    const back = new URL(await redirect(callback, jar));
    assert.equal(back.origin + back.pathname, APP);
    for (const secret of simulator.secrets) world.secrets.add(secret);
    const code = back.searchParams.get('connect_code');
    if (!code) return { back };
    world.secrets.add(code);
    const again = () => world.api.complete(user.me_token, started, code);
    const done = await again();
    for (const secret of simulator.secrets) world.secrets.add(secret);
    return { back, done, again };
  }

  /** Performs a connect that must succeed; returns the account. */
  async connect(user, more) {
    const { done, back } = await this.begin(user, more);
    assert.equal(done?.status, 201, done ? describe(done) : back.href);
    return done.body;
  }

  exchange(user, more) {
    const { world, connection } = this;
    return world.api.exchange(world.clients.backend, user.access_token, connection, more);
  }

  /** Performs an exchange that must succeed; returns the response, with the token's owner at the provider. */
  async token(user, more) {
    const answer = await this.exchange(user, more);
    assert.equal(answer.status, 200, describe(answer));
    for (const secret of this.simulator.secrets) this.world.secrets.add(secret);
    return { ...answer.body, owner: this.simulator.owner(answer.body.access_token) };
  }

  /** Deletes an account; returns the outcome of the revocation. */
  async remove(user, account) {
    const answer = await this.world.api.remove(user.me_token, account.id);
    assert.equal(answer.status, 204, describe(answer));
    return answer.headers.get('token-revocation');
  }
}
