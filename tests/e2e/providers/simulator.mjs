// SPDX-License-Identifier: Apache-2.0
// The base of all simulated providers: users who consent, codes, grants and tokens. The format of each
// provider is in a separate file, written from its documentation; nothing here uses the vault's code.
import { createHash, randomBytes } from 'node:crypto';

/** A response with a JSON body. */
export const json = (status, value, headers = {}) => (
  { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
);
export const form = (status, value) => (
  { status, headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }, body: String(new URLSearchParams(value)) }
);
export const empty = (status) => ({ status, headers: {}, body: '' });

export const random = (prefix = '') => prefix + randomBytes(18).toString('hex');

/** The id and secret of `Authorization: Basic`, or undefined. */
export function basic({ headers }) {
  const [scheme, pair] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic') return undefined;
  const [user, password] = Buffer.from(pair, 'base64').toString().split(':').map(decodeURIComponent);
  return { user, password };
}

export const bearer = ({ headers }) => /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];

/** The parameters of a body that has one of these media types; undefined for another type. */
export function parameters({ headers, body }, ...types) {
  const type = (headers['content-type'] ?? '').split(';')[0];
  if (type === 'application/x-www-form-urlencoded' && types.includes('form')) {
    return Object.fromEntries(new URLSearchParams(body));
  }
  if (type === 'application/json' && types.includes('json')) return JSON.parse(body);
  return undefined;
}

/** Whether the client authenticated with one of these methods: `basic`, `post`. */
export function proves(request, params, { id, secret, parameter = 'client_id' }, ...ways) {
  const pair = basic(request);
  return (ways.includes('basic') && pair?.user === id && pair.password === secret)
    || (ways.includes('post') && params[parameter] === id && params.client_secret === secret);
}

/**
 * The properties that a provider's simulator overrides: `hosts`, the host names for which it responds; the
 * endpoints, as host and path; `proof`, further credentials of the vault beside the secret; `sources`,
 * behaviour → where it is documented; `responseType`, null if none is sent; the separator of scopes; the
 * lifetime of a code and of a refresh token in seconds; and further parameters of a user's callback.
 *
 * @typedef {{hosts?: string[], authorizeAt?: string, tokenAt?: string, refreshAt?: string, revokeAt?: string,
 *   proof?: any, sources?: Record<string, string>, responseType?: null, separator?: string, codeLife?: number,
 *   refreshLife?: number, callback?: (login: string) => Record<string, string>}} Provider
 *
 * @typedef {{method: string, url: URL, headers: import('node:http').IncomingHttpHeaders, body: string}} Request
 * @typedef {{status: number, headers: Record<string, string>, body: string}} Answer
 */

export class Simulator {
  /** The received requests, oldest first: `{ path, grant }`. */
  requests = [];

  /** All issued tokens, codes and secrets. */
  secrets = new Set();

  /** The token endpoint's response to every request during an outage. */
  outage;

  /** Whether the client's secret has expired, so that the client is rejected. */
  expired = false;

  codes = new Map();

  /** Access token → grant. */
  access = new Map();

  /** Refresh token → grant. */
  refreshes = new Map();

  /** Refresh token → when it expires, if there is a `refreshLife`. */
  #ends = new Map();

  /** How often a used single-use refresh token was sent again. */
  reused = 0;

  #spent = new Set();

  /** @param {{redirectUri?: string, [option: string]: any}} options */
  constructor({ redirectUri, ...options }) {
    /** `parameter`: the name of the parameter for the id, if it is not `client_id`. @type {{id: string, secret: string, parameter?: string}} */
    this.client = { id: `client-of-${new.target.name.toLowerCase()}`, secret: random('secret-') };
    this.redirectUri = redirectUri;
    this.options = options;
    this.secrets.add(this.client.secret);
  }

  /** How far the vault's clock is ahead, in seconds: expiry times and dates use the vault's clock. */
  ahead = () => 0;

  now() {
    return Math.floor(Date.now() / 1000) + this.ahead();
  }

  /** This object, with the overridden properties. @returns {Provider} */
  get #provider() {
    return /** @type {any} */ (this);
  }

  /** A user's profile at this provider. */
  user(login) {
    const number = createHash('sha256').update(login).digest().readUInt32BE(0);
    return { login, id: String(number), number, email: `${login}@example.com`, name: `${login} of example` };
  }

  /**
   * The provider's response to a request; undefined if there is no such endpoint.
   *
   * @param {Request} _request
   * @returns {any} an `Answer`, or a promise of one
   */
  answer(_request) {
    return undefined;
  }

  async serve(request) {
    const { pathname } = request.url;
    const text = request.body;
    const grant = /grant_type"?[=:]"?(\w+)/.exec(text)?.[1] ?? /(?:^|&)type=(\w+)/.exec(text)?.[1];
    this.requests.push({ host: request.url.host, method: request.method, path: pathname, grant });
    const answer = this.isTokenEndpoint(request) && this.outage;
    return answer || (await this.answer(request)) || json(404, { message: 'Not Found' });
  }

  /**
   * While `work` runs, `given` responds to the requests that `is` selects; if it returns nothing, the
   * provider responds as usual.
   */
  async meanwhile(is, given, work) {
    const { answer } = this;
    this.answer = function troubled(request) {
      return (is(request) && given(request)) || answer.call(this, request);
    };
    try {
      return await work();
    } finally {
      this.answer = answer;
    }
  }

  isTokenEndpoint({ url }) {
    const endpoints = [this.#provider.tokenAt, this.#provider.refreshAt, this.#provider.revokeAt];
    return endpoints.includes(`${url.host}${url.pathname}`);
  }

  /**
   * Counts the token requests, of this grant type or of all.
   *
   * @param {string} [grant]
   */
  count(grant) {
    return this.requests.filter((one) => one.grant && (!grant || one.grant === grant)).length;
  }

  /**
   * Performs the user's visit to the authorization endpoint; returns the redirect to the vault.
   *
   * @param {string} address
   * @param {{login: string, consent?: boolean, scopes?: string[]}} choice  `scopes`: those the user
   *   leaves ticked
   */
  authorize(address, { login, consent = true, scopes }) {
    const url = new URL(address);
    const query = Object.fromEntries(url.searchParams);
    const back = new URL(query.redirect_uri);
    const refuse = (why) => { throw new Error(`the authorization request is wrong: ${why}\n${address}`); };
    if (`${url.host}${url.pathname}` !== this.#provider.authorizeAt) refuse(`not ${this.#provider.authorizeAt}`);
    const { id, parameter = 'client_id' } = this.client;
    if (query[parameter] !== id) refuse(parameter);
    if (query.redirect_uri !== this.redirectUri) refuse('redirect_uri');
    if (query.response_type !== 'code' && this.#provider.responseType !== null) refuse('response_type');
    const flaw = this.flawOf(query);
    if (flaw) refuse(flaw);
    back.searchParams.set('state', query.state);
    if (!consent) {
      back.searchParams.set('error', 'access_denied');
      return back.href;
    }
    const asked = this.asked(query);
    const code = random('code-');
    this.secrets.add(code);
    this.codes.set(code, {
      login, query, at: Date.now(), challenge: query.code_challenge,
      scopes: scopes ? asked.filter((one) => scopes.includes(one)) : asked,
    });
    back.searchParams.set('code', code);
    for (const [name, value] of Object.entries(this.#provider.callback?.(login) ?? {})) back.searchParams.set(name, value);
    return back.href;
  }

  /**
   * Checks the parameters of an authorization request that are specific to this provider.
   *
   * @param {any} _query
   * @returns {any} the name of the wrong parameter, or true, if the request is invalid
   */
  flawOf(_query) {
    return undefined;
  }

  asked(query) {
    return (query.scope ?? '').split(this.#provider.separator ?? ' ').filter(Boolean);
  }

  /** Redeems a code with its redirect URI and verifier; returns its grant. Each code can be used once. */
  redeem({ code, redirect_uri: redirectUri, code_verifier: verifier }) {
    const found = this.codes.get(code);
    this.codes.delete(code);
    if (!found || redirectUri !== this.redirectUri) return undefined;
    if (Date.now() - found.at > (this.#provider.codeLife ?? 60) * 1000) return undefined;
    if (found.challenge) {
      const hash = createHash('sha256').update(verifier ?? '').digest('base64url');
      if (hash !== found.challenge) return undefined;
    }
    return { login: found.login, scopes: found.scopes, query: found.query };
  }

  /** Issues an access token for a grant. */
  accessOf(grant, prefix = 'access-') {
    const token = random(prefix);
    this.secrets.add(token);
    this.access.set(token, grant);
    return token;
  }

  /** Issues a refresh token for a grant. */
  refreshOf(grant, prefix = 'refresh-') {
    const token = random(prefix);
    this.secrets.add(token);
    this.refreshes.set(token, grant);
    if (this.#provider.refreshLife) this.#ends.set(token, this.now() + this.#provider.refreshLife);
    return token;
  }

  /** Returns the grant of a refresh token, and invalidates the token if it can be used only `once`. */
  renewing(token, once) {
    if (this.#ends.get(token) <= this.now()) this.refreshes.delete(token);
    const grant = this.refreshes.get(token);
    if (!grant && this.#spent.has(token)) this.reused += 1;
    if (grant && once) {
      this.refreshes.delete(token);
      this.#spent.add(token);
    }
    return grant;
  }

  /** The user of an access token, if it is valid. */
  owner(token) {
    return this.access.get(token)?.login;
  }

  /** Ends a user's grants, as the user or an administrator does. */
  end(login) {
    for (const tokens of [this.access, this.refreshes]) {
      for (const [token, grant] of tokens) if (grant.login === login) tokens.delete(token);
    }
  }

  /** Counts the valid tokens of a user. */
  living(login) {
    return [...this.access.values(), ...this.refreshes.values()].filter((grant) => grant.login === login).length;
  }
}
