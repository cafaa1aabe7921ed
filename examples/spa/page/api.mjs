// SPDX-License-Identifier: Apache-2.0
// The vault's connected-accounts API, as a browser calls it.

/** The user's access token is missing, has expired or was ended by a sign-out: the user must sign in again. */
export class SignInNeeded extends Error {}

/** The most accounts that the vault lists at once. */
const PAGE_SIZE = 20;

/**
 * Sends a request to the API; returns the response, whose status is a success.
 *
 * @param {string} vault  `PUBLIC_URL` of the vault
 * @param {string} token  an access token with the audience `{vault}/me/`
 * @param {string} method
 * @param {string} path  below the API's address
 * @param {object} [body]  is sent as JSON
 * @throws {SignInNeeded} if the vault rejects the token
 */
export async function call(vault, token, method, path, body) {
  const response = await fetch(`${vault}/me/v1/connected-accounts${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  }).catch(() => { throw new Error('The vault cannot be reached. Try again later.'); });
  if (response.ok) return response;
  if (response.status === 401) throw new SignInNeeded();
  // RFC 9457. Something before the vault may answer in another form.
  const { title = 'The vault could not answer', detail = `status ${response.status}` } = await response.json().catch(() => ({}));
  throw new Error(`${title}: ${detail}`);
}

/** All accounts of the user that the application may see, oldest first. */
export async function listAccounts(vault, token) {
  const accounts = [];
  let next = '';
  do {
    const query = new URLSearchParams({ take: String(PAGE_SIZE), ...(next && { from: next }) });
    const page = await (await call(vault, token, 'GET', `/accounts?${query}`)).json();
    accounts.push(...page.accounts);
    next = page.next;
  } while (next);
  return accounts;
}

/**
 * Deletes an account; returns what became of its tokens at the provider: `revoked`, `pending`, `not_supported`
 * or `failed`, or null if there was no such account any more.
 */
export async function deleteAccount(vault, token, id) {
  const response = await call(vault, token, 'DELETE', `/accounts/${encodeURIComponent(id)}`);
  return response.headers.get('token-revocation');
}
