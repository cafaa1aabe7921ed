// SPDX-License-Identifier: Apache-2.0
// What all simulated providers share: users who consent, codes, grants, tokens. How each one speaks
// stands in a file of its own, written from its documentation; nothing here is of the vault.
import { createHash, randomBytes } from 'node:crypto';

/** An answer. */
export const json = (status, value, headers = {}) => (
  { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
);
export const form = (status, value) => (
  { status, headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }, body: String(new URLSearchParams(value)) }
);
export const empty = (status) => ({ status, headers: {}, body: '' });

export const random = (prefix = '') => prefix + randomBytes(18).toString('hex');

/** `Authorization: Basic`, or undefined. */
export function basic({ headers }) {
  const [scheme, pair] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic') return undefined;
  const [user, password] = Buffer.from(pair, 'base64').toString().split(':').map(decodeURIComponent);
  return { user, password };
}

export const bearer = ({ headers }) => /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];

/** Parameters of a body that must be a form, or must be JSON; undefined if it is not. */
export function parameters({ headers, body }, ...types) {
  const type = (headers['content-type'] ?? '').split(';')[0];
  if (type === 'application/x-www-form-urlencoded' && types.includes('form')) {
    return Object.fromEntries(new URLSearchParams(body));
  }
  if (type === 'application/json' && types.includes('json')) return JSON.parse(body);
  return undefined;
}

/** Whether the client proved itself in one of these ways: `basic`, `post`. */
export function proves(request, params, { id, secret }, ...ways) {
  const pair = basic(request);
  return (ways.includes('basic') && pair?.user === id && pair.password === secret)
    || (ways.includes('post') && params.client_id === id && params.client_secret === secret);
}

/**
 * What the simulator of a provider says of itself, where it differs: `hosts`, the names it answers for; where its
 * endpoints are, as host and path; `proof`, if the vault proves itself with more than the secret; `sources`,
 * behaviour → where it is documented; `responseType`, null where none is asked for; what stands between scopes; how many
 * seconds a code and a refresh token serve; what else the callback has, for a user.
 *
 * @typedef {{hosts?: string[], authorizeAt?: string, tokenAt?: string, refreshAt?: string, revokeAt?: string,
 *   proof?: any, sources?: Record<string, string>, responseType?: null, separator?: string, codeLife?: number,
 *   refreshLife?: number, callback?: (login: string) => Record<string, string>}} Provider
 *
 * @typedef {{method: string, url: URL, headers: import('node:http').IncomingHttpHeaders, body: string}} Request
 * @typedef {{status: number, headers: Record<string, string>, body: string}} Answer
 */

export class Simulator {
  /** Requests that came, oldest first: `{ path, grant }`. */
  requests = [];

  /** Tokens, codes and secrets that were given out. */
  secrets = new Set();

  /** An answer that the token endpoint gives to everything, while it is down. */
  outage;

  /** Whether the registration is no longer good: its secret ran out. */
  expired = false;

  codes = new Map();

  /** Access token → grant. */
  access = new Map();

  /** Refresh token → grant. */
  refreshes = new Map();

  /** Refresh token → when it ends, where `refreshLife` says so. */
  #ends = new Map();

  /** How often a refresh token came that had served. */
  reused = 0;

  #spent = new Set();

  /** @param {{redirectUri?: string, [option: string]: any}} options */
  constructor({ redirectUri, ...options }) {
    this.client = { id: `client-of-${new.target.name.toLowerCase()}`, secret: random('secret-') };
    this.redirectUri = redirectUri;
    this.options = options;
    this.secrets.add(this.client.secret);
  }

  /** Seconds that the vault's clock is ahead: what has an end and a date goes by it. */
  ahead = () => 0;

  now() {
    return Math.floor(Date.now() / 1000) + this.ahead();
  }

  /** This, with what it says of itself. @returns {Provider} */
  get #provider() {
    return /** @type {any} */ (this);
  }

  /** A user's facts at this provider. */
  user(login) {
    const number = createHash('sha256').update(login).digest().readUInt32BE(0);
    return { login, id: String(number), number, email: `${login}@example.com`, name: `${login} of example` };
  }

  /**
   * What the provider answers; nothing where there is no such address.
   *
   * @param {Request} _request
   * @returns {any} an `Answer`, now or later
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
   * While it works, requests that `is` picks are answered as `given` says, or as ever where it gives
   * nothing.
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
   * How many requests for tokens came, of this grant or of all.
   *
   * @param {string} [grant]
   */
  count(grant) {
    return this.requests.filter((one) => one.grant && (!grant || one.grant === grant)).length;
  }

  /**
   * What the user's browser does at the authorization endpoint, and where it is sent: to the vault.
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
    if (query.client_id !== this.client.id) refuse('client_id');
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
   * What is wrong with an authorization request at this provider.
   *
   * @param {any} _query
   * @returns {any} true, or better the parameter, if something is
   */
  flawOf(_query) {
    return undefined;
  }

  asked(query) {
    return (query.scope ?? '').split(this.#provider.separator ?? ' ').filter(Boolean);
  }

  /** The grant of a code that came with its redirect URI and verifier; each code serves once. */
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

  /** A new access token. */
  accessOf(grant, prefix = 'access-') {
    const token = random(prefix);
    this.secrets.add(token);
    this.access.set(token, grant);
    return token;
  }

  /** A new refresh token. */
  refreshOf(grant, prefix = 'refresh-') {
    const token = random(prefix);
    this.secrets.add(token);
    this.refreshes.set(token, grant);
    if (this.#provider.refreshLife) this.#ends.set(token, this.now() + this.#provider.refreshLife);
    return token;
  }

  /** The grant of a refresh token, which then has served if it serves `once`. */
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

  /** Whose access token it is, while it is good. */
  owner(token) {
    return this.access.get(token)?.login;
  }

  /** Ends a user's grants, as the user or an administrator does. */
  end(login) {
    for (const tokens of [this.access, this.refreshes]) {
      for (const [token, grant] of tokens) if (grant.login === login) tokens.delete(token);
    }
  }

  /** How many tokens of a user are good. */
  living(login) {
    return [...this.access.values(), ...this.refreshes.values()].filter((grant) => grant.login === login).length;
  }
}
