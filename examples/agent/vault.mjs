// SPDX-License-Identifier: Apache-2.0
// The three requests that the agent sends to the vault.

/**
 * A response: the body of a success; or the error's code, the state of the connection, and in how many seconds to
 * try again.
 *
 * @typedef {{ok: boolean, body?: any, error?: string, state?: {state: string, missing_scopes?: string[]},
 *   retryAfter?: number}} Answer
 */

/** @typedef {{vault: string, clientId: string, clientSecret: string}} Client */

/**
 * Exchanges a user's refresh token for the provider's access token (RFC 8693). This does not replace the refresh
 * token. Do not store the result: the vault does.
 *
 * @param {Client} client
 * @param {string} refreshToken
 * @param {{connection: string, scope: string}} wanted
 */
export function exchange(client, refreshToken, { connection, scope }) {
  return send(client, '/oauth/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token',
    subject_token: refreshToken,
    audience: connection,
    scope,
  });
}

/**
 * Replaces a refresh token (RFC 6749 §6). The response has the new one, and the old one has to be forgotten.
 *
 * @param {Client} client
 * @param {string} refreshToken
 */
export function refresh(client, refreshToken) {
  return send(client, '/oauth/token', { grant_type: 'refresh_token', refresh_token: refreshToken });
}

/**
 * Ends a refresh token (RFC 7009).
 *
 * @param {Client} client
 * @param {string} refreshToken
 */
export function revoke(client, refreshToken) {
  return send(client, '/oauth/revoke', { token: refreshToken });
}

/**
 * @param {Client} client
 * @param {string} path
 * @param {Record<string, string>} form
 * @returns {Promise<Answer>}
 */
async function send({ vault, clientId, clientSecret }, path, form) {
  const credentials = [clientId, clientSecret].map(encodeURIComponent).join(':');
  try {
    const response = await fetch(vault + path, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
      body: new URLSearchParams(form),
      redirect: 'error', // nothing else than the vault may get these tokens
      // Shorter than the 60 seconds for which the vault repeats the response to a refresh.
      signal: AbortSignal.timeout(30_000),
    });
    const body = await response.json();
    if (response.ok) return { ok: true, body };
    const retryAfter = Number(response.headers.get('retry-after')) || undefined;
    return { ok: false, error: body.error, state: body.connection_state, retryAfter };
  } catch {
    // The message of such an error is not logged, because nobody promises what it contains.
    return { ok: false, error: 'vault_unreachable' };
  }
}
