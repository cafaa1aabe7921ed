// SPDX-License-Identifier: Apache-2.0
// The same questions to a provider that others wrote: Debian's glewlwyd, an OpenID provider in C with strict
// rotation, whose response to a refresh token that it does not accept is 400 without a body. A proxy before it loses
// replies. It runs on the loopback address with a new database, where it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, eventually } from '../e2e/harness.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { FaultWorld } from './world.mjs';

/** Its tables, as Debian installs them. */
const TABLES = '/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3';

const CONNECTION = 'glewlwyd';

const MODULES = '/usr/lib/glewlwyd';

/** The administrator that a new database has. */
const ADMINISTRATOR = { username: 'admin', password: 'password' };

/** The lifetime of the access tokens, in seconds: they have to expire by its clock, which cannot be moved. */
const LIFE = 3;

/** Time in which the server must have started, and in which the vault must have asked again by itself, in seconds. */
const START = 20;
const ASKED_AGAIN = 30;

/** A client of its administration and of its users' sessions. */
class Session {
  #cookie = '';

  constructor(base) {
    this.base = base;
  }

  async call(method, path, json) {
    const response = await fetch(this.base + path, {
      method,
      redirect: 'manual',
      headers: { 'content-type': 'application/json', cookie: this.#cookie },
      body: json && JSON.stringify(json),
    });
    for (const line of response.headers.getSetCookie()) this.#cookie = line.split(';')[0];
    const text = await response.text();
    if (response.status >= 400) throw new Error(`glewlwyd refuses ${method} ${path}: ${response.status} ${text}`);
    return { location: response.headers.get('location'), body: text && JSON.parse(text) };
  }

  /** @param {string} base @param {{username: string, password: string}} person */
  static async begin(base, person) {
    const session = new Session(base);
    await session.call('POST', '/api/auth/', person);
    return session;
  }
}

class Glewlwyd {
  /** How many of the next token requests lose their reply, and whether the server receives them. */
  lose = { count: 0, reach: true };

  /** The grant types of the token requests, oldest first. */
  requests = [];

  /** The status of the last reply to a token request that was passed on. @type {number | undefined} */
  last;

  static isInstalled() {
    return existsSync(TABLES) && spawnSync('glewlwyd', ['--version']).error === undefined;
  }

  static async start() {
    const server = new Glewlwyd();
    try {
      await server.#begin();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  async #begin() {
    this.directory = mkdtempSync(join(tmpdir(), 'edge-token-vault-glewlwyd-'));
    const [port, behind] = [await freePort(), await freePort()];
    this.base = `http://127.0.0.1:${port}`;
    this.issuer = `${this.base}/api/oidc`;
    this.client = { client_id: 'edge-token-vault', client_secret: randomBytes(24).toString('hex') };
    this.#listen(port, behind);
    const database = new DatabaseSync(join(this.directory, 'database'));
    database.exec(readFileSync(TABLES, 'utf8'));
    database.close();
    const file = join(this.directory, 'glewlwyd.conf');
    writeFileSync(file, configuration(this.base, behind, this.directory), { mode: 0o600 });
    this.child = spawn('glewlwyd', [`--config-file=${file}`], { stdio: 'ignore' });
    process.once('exit', () => this.child.kill('SIGKILL'));
    await this.#configure();
  }

  /** The proxy: it forwards all requests, and loses the replies to token requests as told. */
  #listen(port, behind) {
    this.proxy = createServer((request, response) => {
      response.on('error', () => {});
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const isToken = request.method === 'POST' && request.url.startsWith('/api/oidc/token');
        if (isToken) this.requests.push(new URLSearchParams(body.toString()).get('grant_type'));
        const isLost = isToken && this.lose.count > 0;
        if (isLost) this.lose.count -= 1;
        if (isLost && !this.lose.reach) return response.destroy();
        const { method, url: path, headers } = request;
        const onward = forward({ host: '127.0.0.1', port: behind, method, path, headers }, (answer) => {
          if (isLost) {
            answer.resume().on('end', () => response.destroy());
            return;
          }
          if (isToken) this.last = answer.statusCode;
          response.writeHead(answer.statusCode, answer.headers);
          answer.pipe(response);
        });
        onward.on('error', () => response.destroy());
        return onward.end(body);
      });
    });
    this.proxy.keepAliveTimeout = 600_000;
    this.proxy.listen(port, '127.0.0.1');
  }

  async #configure() {
    let administrator;
    for (const until = Date.now() + START * 1000; !administrator;) {
      administrator = await Session.begin(this.base, ADMINISTRATOR).catch((error) => {
        if (Date.now() > until) throw error;
      });
      if (!administrator) await sleep(200);
    }
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    await administrator.call('POST', '/api/mod/plugin/', {
      module: 'oidc',
      name: 'oidc',
      display_name: 'OpenID Connect',
      parameters: {
        iss: this.issuer,
        'jwt-type': 'rsa',
        'jwt-key-size': '256',
        key: privateKey,
        cert: publicKey,
        'access-token-duration': LIFE,
        'refresh-token-duration': 1_209_600,
        'code-duration': 600,
        'refresh-token-rolling': false,
        'refresh-token-one-use': 'always',
        'allow-non-oidc': false,
        'auth-type-code-enabled': true,
        'auth-type-token-enabled': false,
        'auth-type-none-enabled': false,
        'auth-type-password-enabled': false,
        'auth-type-client-enabled': false,
        'auth-type-device-enabled': false,
        'auth-type-refresh-enabled': true,
        'jwks-show': true,
        'pkce-allowed': true,
        'pkce-method-plain-allowed': false,
      },
    });
    this.administrator = administrator;
  }

  /** Registers the vault as a client. */
  async register(redirectUri) {
    await this.administrator.call('POST', '/api/client/', {
      ...this.client,
      name: 'the vault',
      confidential: true,
      enabled: true,
      redirect_uri: [redirectUri],
      authorization_type: ['code', 'refresh_token'],
      scope: ['openid'],
      token_endpoint_auth_method: ['client_secret_basic'],
    });
  }

  /** A new user who is signed in and has consented. */
  async person(username) {
    const password = randomBytes(12).toString('hex');
    await this.administrator.call('POST', '/api/user/', { username, password, name: username, email: `${username}@example.com`, enabled: true, scope: ['openid', 'g_profile'] });
    const session = await Session.begin(this.base, { username, password });
    await session.call('PUT', `/api/auth/grant/${this.client.client_id}`, { scope: 'openid' });
    return session;
  }

  async close() {
    this.proxy?.closeAllConnections();
    this.proxy?.close();
    if (this.child?.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => { this.child.once('exit', resolve); });
      this.child.kill();
      const kill = setTimeout(() => this.child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(kill);
    }
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

function configuration(base, port, directory) {
  const settings = {
    port,
    bind_address: '127.0.0.1',
    external_url: base,
    login_url: 'login.html',
    api_prefix: 'api',
    log_mode: 'file',
    log_level: 'ERROR',
    log_file: join(directory, 'log'),
    cookie_secure: 0,
    session_expiration: 86_400,
    session_key: 'GLEWLWYD2_SESSION_ID',
    admin_scope: 'g_admin',
    profile_scope: 'g_profile',
    user_module_path: `${MODULES}/user`,
    client_module_path: `${MODULES}/client`,
    user_auth_scheme_module_path: `${MODULES}/scheme`,
    plugin_module_path: `${MODULES}/plugin`,
    use_secure_connection: false,
    // It reads these names although the connection is not secure.
    secure_connection_key_file: join(directory, 'none'),
    secure_connection_pem_file: join(directory, 'none'),
    secure_connection_ca_file: join(directory, 'none'),
    hash_algorithm: 'SHA512',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `${lines.join('\n')}\ndatabase = { type = "sqlite3" path = ${JSON.stringify(join(directory, 'database'))} };\n`;
}

/** What is tried, in order. Each returns a complaint, or nothing. */
const TRIALS = {
  'a refresh replaces the refresh token': async (trial) => {
    const before = await trial.living();
    const answer = await trial.renew();
    const after = await trial.living();
    if (answer.status !== 200) return describe(answer);
    return before.length === 1 && after.length === 1 && before[0].token_hash !== after[0].token_hash ? '' : 'no rotation';
  },
  'a request that is lost on its way costs nothing': async (trial) => {
    trial.server.lose = { count: 1, reach: false };
    await trial.renew();
    const answer = await trial.comeAgain();
    return answer.status === 200 && (await trial.living()).length === 1 ? '' : describe(answer);
  },
  'a request that is lost on its way is sent again without a caller': async (trial) => {
    const { server } = trial;
    server.lose = { count: 1, reach: false };
    const before = server.requests.length;
    server.last = undefined;
    await trial.renew();
    await eventually('it is sent again', () => server.requests.length === before + 2 && server.last === 200, ASKED_AGAIN);
    const answer = await trial.exchange();
    return answer.status === 200 && server.requests.length === before + 2 ? '' : describe(answer);
  },
  'a reply that is lost with the new refresh token costs the grant': async (trial) => {
    const { server } = trial;
    server.lose = { count: 1, reach: true };
    const before = server.requests.length;
    server.last = undefined;
    await trial.renew();
    await eventually('it is asked again', () => server.requests.length >= before + 2, ASKED_AGAIN);
    await eventually('glewlwyd refuses the replaced refresh token', () => server.last === 400, ASKED_AGAIN);
    return (await trial.living()).length === 0 ? '' : 'glewlwyd kept the grant';
  },
  'a user whose grant was lost connects again': async (trial) => {
    await trial.connect();
    const answer = await trial.renew();
    return answer.status === 200 ? '' : describe(answer);
  },
  'a grant that the user ended is told as such after a day': async (trial) => {
    const { server, world } = trial;
    const before = server.requests.length;
    for (const { token_hash: hash } of await trial.living()) await trial.end(hash);
    let answer = await trial.renew();
    if (server.last !== 400) return `glewlwyd answered ${server.last}`;
    if (answer.status !== 503) return `at once: ${describe(answer)}`;
    for (let time = 0; time < 6 && answer.status === 503; time += 1) {
      await world.advance(6 * 3600);
      answer = await trial.exchange();
    }
    if (answer.status !== 400 || answer.body.connection_state?.state !== 'reconnect_required') return describe(answer);
    const requests = server.requests.length - before;
    return requests > 20 ? `${requests} requests` : '';
  },
};

/** One user with one connection, and what is done with them. */
function trialOf(server, faulty, session) {
  const { world } = faulty;
  const user = faulty.user('alice');
  // Its user names stand in no token; who the user is there was settled by the first token.
  let subject;
  const owner = async (token) => {
    const response = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
    const { sub } = response.ok ? await response.json() : { sub: undefined };
    subject ??= sub;
    return sub && sub === subject ? user.login : undefined;
  };
  const exchange = () => faulty.exchange(user, CONNECTION, owner);
  return {
    server,
    world,
    exchange,
    connect: () => faulty.connect(user, CONNECTION, async (address) => (
      // The parameter says that the user has signed in and decided.
      (await session.call('GET', `${address.slice(server.base.length)}&g_continue`)).location
    )),
    /** Exchanges once the access token has expired. */
    renew: async () => {
      await sleep(LIFE * 1000);
      return exchange();
    },
    comeAgain: async () => {
      let answer = await exchange();
      for (let time = 0; time < ASKED_AGAIN && answer.status === 503; time += 1) {
        await sleep(1000);
        answer = await exchange();
      }
      return answer;
    },
    /** The refresh tokens of the user that are valid. */
    living: async () => (await session.call('GET', '/api/oidc/token/')).body.filter((token) => token.enabled),
    end: (hash) => session.call('DELETE', `/api/oidc/token/${encodeURIComponent(hash)}`),
  };
}

/** @returns {Promise<{rows?: string[][], failed: number}>} */
export async function glewlwyd() {
  if (!Glewlwyd.isInstalled()) {
    console.log('    skipped: glewlwyd is not installed (Debian: apt-get install glewlwyd)');
    return { failed: 0 };
  }
  let failed = 0;
  const server = await Glewlwyd.start();
  /** @type {FaultWorld} */
  let faulty;
  try {
    faulty = await FaultWorld.start({
      connections: {
        [CONNECTION]: {
          kind: 'oidc',
          issuer: server.issuer,
          client_id: server.client.client_id,
          client_authentication: 'client_secret_basic',
          scopes: ['openid'],
        },
      },
      providerSecrets: { [CONNECTION]: server.client.client_secret },
    });
    await server.register(`${faulty.world.vault}/callback/${CONNECTION}`);
    const trial = trialOf(server, faulty, await server.person('alice'));
    await trial.connect();
    for (const [title, work] of Object.entries(TRIALS)) {
      const wrong = await work(trial).catch((error) => error.message);
      failed += wrong ? 1 : 0;
      console.log(`${wrong ? 'not ok' : 'ok'} - glewlwyd: ${title}${wrong && `: ${wrong}`}`);
    }
    faulty.searchLog();
    for (const complaint of faulty.complaints) console.log(`not ok - ${complaint}`);
    return { failed: failed + faulty.complaints.length };
  } finally {
    await faulty?.close();
    await server.close();
  }
}
