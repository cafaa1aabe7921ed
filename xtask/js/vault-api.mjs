// SPDX-License-Identifier: Apache-2.0
// A client of the vault's HTTP interface. It checks nothing: each call returns the request and the response,
// and the caller compares them with what it expects.
import { randomBytes } from 'node:crypto';
import { basicAuth, s256 } from './browser.mjs';

export const GRANT = {
  rfc8693: 'urn:ietf:params:oauth:grant-type:token-exchange',
  auth0: 'urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token',
};

export const TOKEN_TYPE = {
  access: 'urn:ietf:params:oauth:token-type:access_token',
  refresh: 'urn:ietf:params:oauth:token-type:refresh_token',
  auth0: 'http://auth0.com/oauth/token-type/federated-connection-access-token',
};

/**
 * A request, with at most one of `json` and `form`.
 *
 * @typedef {{method?: string, url: string, headers?: Record<string, string>, json?: any,
 *   form?: Record<string, any>, signal?: AbortSignal}} Request
 *
 * The response to a request; `body` is the parsed JSON, or else text.
 * @typedef {{request: Request, status: number, headers: Headers, body: any}} Answer
 */

/**
 * Sends one HTTP request.
 *
 * @param {Request} request
 * @returns {Promise<Answer>}
 */
export async function call(request) {
  const { method = 'GET', url, headers = {}, json, form, signal } = request;
  const response = await fetch(url, {
    method,
    signal,
    redirect: 'manual',
    headers: { ...headers, ...(json !== undefined && { 'content-type': 'application/json' }) },
    body: json !== undefined ? JSON.stringify(json) : form && new URLSearchParams(form),
  });
  const text = await response.text();
  return { request: { ...request, method }, status: response.status, headers: response.headers, body: parsed(text) };
}

/**
 * A client of the vault.
 * @typedef {{client_id: string, client_secret?: string}} Client
 *
 * How the client sends its credentials; `secret_only`: the secret without the client_id.
 * @typedef {'basic' | 'post' | 'secret_only' | 'none'} Authentication
 */

export class VaultApi {
  /** Every response so far. @type {Answer[]} */
  answers = [];

  /** @param {string} vault PUBLIC_URL, without trailing slash */
  constructor(vault) {
    this.vault = vault;
  }

  /**
   * Sends a request to any path of the vault, with `token` as bearer token.
   *
   * @param {string} method
   * @param {string} path
   * @param {{token?: string} & Omit<Request, 'method' | 'url'>} [request]
   */
  async call(method, path, { token, headers, ...rest } = {}) {
    const authorization = token && { authorization: `Bearer ${token}` };
    const answer = await call({ method, url: this.vault + path, headers: { ...authorization, ...headers }, ...rest });
    this.answers.push(answer);
    return answer;
  }

  /** Begins a connect. The result also has the values that `complete` needs. */
  async connect(token, { connection, redirectUri, ...more }) {
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    const answer = await this.call('POST', '/me/v1/connected-accounts/connect', {
      token,
      json: {
        connection,
        redirect_uri: redirectUri,
        state,
        code_challenge: s256(verifier),
        code_challenge_method: 'S256',
        scopes: [],
        ...more,
      },
    });
    return { ...answer, verifier, state, redirectUri };
  }

  /** The URL that the browser opens after `connect`. */
  connectLink(started) {
    return `${started.body.connect_uri}?ticket=${encodeURIComponent(started.body.connect_params.ticket)}`;
  }

  /** Completes a connect; `more` overrides members of the body. */
  complete(token, started, connectCode, more = {}) {
    return this.call('POST', '/me/v1/connected-accounts/complete', {
      token,
      json: {
        auth_session: started.body.auth_session,
        connect_code: connectCode,
        redirect_uri: started.redirectUri,
        code_verifier: started.verifier,
        ...more,
      },
    });
  }

  accounts(token, query = '') {
    return this.call('GET', `/me/v1/connected-accounts/accounts${query}`, { token });
  }

  connections(token) {
    return this.call('GET', '/me/v1/connected-accounts/connections', { token });
  }

  remove(token, id) {
    return this.call('DELETE', `/me/v1/connected-accounts/accounts/${encodeURIComponent(id)}`, { token });
  }

  /**
   * Exchanges a token with the RFC 8693 grant: form body, and HTTP Basic unless `auth` says otherwise.
   *
   * @param {Client} client
   * @param {string} subjectToken
   * @param {string} connection
   * @param {{auth?: Authentication, signal?: AbortSignal, headers?: Record<string, string>, [parameter: string]: any}}
   *   [options]  further parameters
   */
  exchange(client, subjectToken, connection, { auth = 'basic', signal, headers = {}, ...more } = {}) {
    return this.#token(client, auth, 'form', { signal, headers }, {
      grant_type: GRANT.rfc8693,
      subject_token: subjectToken,
      subject_token_type: TOKEN_TYPE.access,
      requested_token_type: TOKEN_TYPE.access,
      audience: connection,
      ...more,
    });
  }

  /**
   * Exchanges a token with Auth0's grant.
   *
   * @param {Client} client
   * @param {string} subjectToken
   * @param {string} connection
   * @param {{auth?: Authentication, body?: 'form' | 'json', signal?: AbortSignal, [parameter: string]: any}}
   *   [options]  further parameters
   */
  exchangeAuth0(client, subjectToken, connection, { auth = 'post', body = 'form', signal, ...more } = {}) {
    return this.#token(client, auth, body, { signal, headers: {} }, {
      grant_type: GRANT.auth0,
      subject_token: subjectToken,
      subject_token_type: TOKEN_TYPE.access,
      requested_token_type: TOKEN_TYPE.auth0,
      connection,
      ...more,
    });
  }

  /**
   * @param {Client} client
   * @param {Authentication} auth
   * @param {'form' | 'json'} body
   * @param {{signal?: AbortSignal, headers: Record<string, string>}} how
   * @param {Record<string, any>} params
   */
  #token({ client_id, client_secret }, auth, body, { signal, headers: more }, params) {
    const headers = { ...(auth === 'basic' && { authorization: basicAuth(client_id, client_secret) }), ...more };
    const credentials = {
      post: { client_id, client_secret },
      secret_only: { client_secret },
    }[auth];
    return this.call('POST', '/oauth/token', { headers, signal, [body]: { ...params, ...credentials } });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
