// SPDX-License-Identifier: Apache-2.0
// A provider that fails as told. It is written from RFC 6749 and RFC 9700 and uses nothing of the vault's code, so
// that its records say what really happened to a grant. It is also the issuer of the users' tokens.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { accessToken, newSigningKey, now, publicKey } from '../e2e/tokens.mjs';
import { ME_SCOPES } from '../../xtask/js/provider.mjs';

/** The lifetime of the provider's access tokens, in seconds. */
export const LIFE = 1800;

/** The leeway of the clients that have one, in seconds. */
export const LEEWAY = 90;

/**
 * What a refresh does to the refresh token (RFC 6749 §6, RFC 9700 §4.14.2): it stays the same, or a new one
 * replaces it. The replaced one is good for `leeway` seconds more; after that its use ends the grant, because it may
 * have been stolen.
 *
 * @type {Record<string, {rotates: boolean, leeway: number}>}
 */
export const MODES = {
  strict: { rotates: true, leeway: 0 },
  leeway: { rotates: true, leeway: LEEWAY },
  none: { rotates: false, leeway: 0 },
};

const random = (prefix) => prefix + randomBytes(18).toString('hex');
const headers = { 'content-type': 'application/json' };

/** Sends a JSON document with its length. */
const json = (response, status, value) => {
  const body = JSON.stringify(value);
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
};

/** One consent of a user, with what the provider knows of it. */
class Grant {
  /** Refresh token → when it was replaced, in milliseconds; undefined while it is not. */
  tokens = new Map();

  /** Why the grant ended: `reuse` of a replaced token, or by its `user`. */
  ended;

  /** The refresh requests: when they arrived, and when the reply was handed to the network, in milliseconds. */
  requests = [];

  constructor(login, mode) {
    this.login = login;
    this.mode = mode;
  }

  end(why) {
    this.ended ??= why;
  }

  newToken() {
    const token = random('refresh-');
    this.tokens.set(token, undefined);
    return token;
  }

  /** Whether this refresh token is accepted. A replaced one that comes too late ends the grant. */
  accepts(token) {
    if (this.ended) return false;
    const replaced = this.tokens.get(token);
    if (replaced === undefined || Date.now() - replaced <= MODES[this.mode].leeway * 1000) return true;
    this.end('reuse');
    return false;
  }

  /** Replaces a token, where the mode does; returns the new one. */
  rotate(token) {
    if (!MODES[this.mode].rotates) return undefined;
    if (this.tokens.get(token) === undefined) this.tokens.set(token, Date.now());
    return this.newToken();
  }
}

export class FaultProvider {
  /** @type {import('node:http').Server} */
  server;

  /** @type {string} */
  origin;

  /** @type {number} */
  port;

  /** All issued tokens and codes: none of them may be in the vault's log. */
  secrets = new Set();

  /** The lifetime of the access tokens that it issues now, in seconds. */
  expiresIn = LIFE;

  #key = newSigningKey('RS256');

  #codes = new Map();

  /** Refresh token → grant. */
  #grants = new Map();

  /** Access token → login. */
  #owners = new Map();

  /** Login → the user's last grant. @type {Map<string, Grant>} */
  grants = new Map();

  /** Login → what to do with the next refresh instead of answering it. @type {Map<string, Fault>} */
  faults = new Map();

  /** Login → until when all refreshes are dropped, in milliseconds. */
  #unreachable = new Map();

  static async start() {
    const provider = new FaultProvider();
    provider.server = createServer((request, response) => {
      response.on('error', () => {});
      provider.#serve(request, response).catch((error) => { response.destroy(error); });
    });
    // An idle connection that is closed while a request is on its way would be one fault more.
    provider.server.keepAliveTimeout = 600_000;
    await new Promise((resolve) => { provider.server.listen(0, '127.0.0.1', () => resolve(undefined)); });
    ({ port: provider.port } = /** @type {import('node:net').AddressInfo} */ (provider.server.address()));
    provider.origin = `http://127.0.0.1:${provider.port}`;
    return provider;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }

  /** A user of the vault, whose tokens are always valid at the vault's present time. */
  user(world, login) {
    const token = (audience, more) => {
      const iat = now() + world.clock;
      return accessToken({
        issuer: this.origin, audience, sub: login, clientId: 'spa', key: this.#key, claims: { iat, exp: iat + 3600, ...more },
      });
    };
    return {
      login,
      get access_token() { return token(`${world.vault}/`); },
      get me_token() { return token(`${world.vault}/me/`, { scope: ME_SCOPES.join(' ') }); },
    };
  }

  /** Lets a user consent to an authorization request; returns the redirect to the vault (RFC 6749 §4.1.2). */
  consent(address, login) {
    const { client_id: client, redirect_uri: redirectUri, code_challenge: challenge, state } = Object.fromEntries(new URL(address).searchParams);
    const code = random('code-');
    this.secrets.add(code);
    this.#codes.set(code, { login, mode: client, redirectUri, challenge });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('state', state);
    return back.href;
  }

  /** The user of an access token that this provider issued. */
  owner(token) {
    return this.#owners.get(token);
  }

  async #serve(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    let body = '';
    for await (const chunk of request) body += chunk;
    switch (`${request.method} ${pathname}`) {
      case 'GET /.well-known/openid-configuration':
        return json(response, 200, { issuer: this.origin, jwks_uri: `${this.origin}/keys` });
      case 'GET /keys':
        return json(response, 200, { keys: [publicKey(this.#key)] });
      case 'POST /token':
        return this.#token(new URLSearchParams(body), response);
      default:
        return json(response, 404, {});
    }
  }

  async #token(parameters, response) {
    switch (parameters.get('grant_type')) {
      case 'authorization_code': return this.#redeem(parameters, response);
      case 'refresh_token': return this.#refresh(parameters, response);
      default: return json(response, 400, { error: 'unsupported_grant_type' });
    }
  }

  /** RFC 6749 §4.1.3, RFC 7636 §4.6: a code is good once, for its redirect URI and its verifier. */
  #redeem(parameters, response) {
    const code = parameters.get('code');
    const found = this.#codes.get(code);
    this.#codes.delete(code);
    const hash = createHash('sha256').update(parameters.get('code_verifier') ?? '').digest('base64url');
    if (!found || found.redirectUri !== parameters.get('redirect_uri') || found.challenge !== hash || found.mode !== parameters.get('client_id')) {
      return json(response, 400, { error: 'invalid_grant' });
    }
    const grant = new Grant(found.login, found.mode);
    this.grants.set(found.login, grant);
    return json(response, 200, this.#issue(grant, grant.newToken()));
  }

  async #refresh(parameters, response) {
    const token = parameters.get('refresh_token');
    const grant = this.#grants.get(token);
    if (!grant || grant.mode !== parameters.get('client_id')) return json(response, 400, { error: 'invalid_grant' });
    const asked = { at: Date.now(), sent: undefined };
    grant.requests.push(asked);
    response.on('finish', () => { asked.sent = Date.now(); });
    const { login } = grant;
    if (Date.now() < (this.#unreachable.get(login) ?? 0)) return response.destroy();
    const fault = this.faults.get(login);
    this.faults.delete(login);
    if (fault?.before) await sleep(fault.before * 1000);
    if (fault?.outlasts) this.#unreachable.set(login, Date.now() + fault.outlasts * 1000);
    if (fault?.ends) grant.end('user');
    if (fault && !fault.commits) return fault.act(response, undefined);
    if (!grant.accepts(token)) return json(response, 400, { error: 'invalid_grant' });
    const tokens = this.#issue(grant, grant.rotate(token));
    if (fault) return fault.act(response, JSON.stringify(tokens));
    return json(response, 200, tokens);
  }

  /** A token response (RFC 6749 §5.1); `user` is this provider's own. */
  #issue(grant, refreshToken) {
    const access = random(`access-${'x'.repeat(300)}-`);
    this.#owners.set(access, grant.login);
    this.secrets.add(access);
    if (refreshToken) {
      this.secrets.add(refreshToken);
      this.#grants.set(refreshToken, grant);
    }
    return {
      access_token: access,
      token_type: 'Bearer',
      expires_in: this.expiresIn,
      ...(refreshToken && { refresh_token: refreshToken }),
      user: grant.login,
    };
  }
}

/**
 * What happens to one refresh.
 *
 * @typedef {object} Fault
 * @property {string} title
 * @property {boolean} [commits]   whether the provider has issued new tokens when it fails
 * @property {boolean} [delivers]  whether a new refresh token reaches the vault whole
 * @property {boolean} [ends]      whether the provider ends the grant, and says so
 * @property {boolean} [unclear]   whether the reply leaves open what happened, so that the vault must ask again by itself
 * @property {number} [before]    for how many seconds the provider waits before it decides
 * @property {number} [outlasts]   for how many seconds all further requests of the user are dropped
 * @property {number} [quiet]      for how many seconds the provider told the vault not to come again
 * @property {string} [door]       the way to the token endpoint that fails, instead of the endpoint
 * @property {boolean} [gone]      whether the caller closes its connection before the reply
 * @property {(response: import('node:http').ServerResponse, body: string | undefined) => void} [act]
 *   sends the reply; `body` is the token response, if the provider `commits`
 */
