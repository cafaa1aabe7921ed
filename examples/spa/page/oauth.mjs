// SPDX-License-Identifier: Apache-2.0
// Signs users in and connects accounts without an SDK: the requests of RFC 6749 with PKCE (RFC 7636), and those
// of the vault's connected-accounts API. The access token is kept in this tab and is not renewed.
import { SignInNeeded, call } from './api.mjs';

const ME_SCOPES = ['create', 'read', 'delete'].map((verb) => `${verb}:me:connected_accounts`);

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const challenge = async (verifier) => base64url(
  await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));

const read = (name) => JSON.parse(sessionStorage.getItem(name) ?? 'null');

/** Takes what this tab stored when it began a sign-in or a connect. Nobody else's may be completed. */
function take(name, state) {
  const begun = read(name);
  if (begun?.state !== state) return undefined;
  sessionStorage.removeItem(name);
  return begun;
}

/** The claims of the access token. The vault verifies it; this page only shows what it says. */
function claims() {
  const token = sessionStorage.getItem('token');
  if (!token) return undefined;
  const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/**
 * @param {import('../server.mjs').PageSettings} settings
 * @returns {Promise<import('./app.mjs').Session>}
 */
export async function openSession({ vault, client_id, issuer }) {
  const here = `${location.origin}${location.pathname}`;
  const resource = `${vault}/me/`;

  /** Adds PKCE and a state to the parameters of a flow, and stores in this tab what its end needs. */
  async function begin(name, send) {
    const [code_verifier, state] = [random(), random()];
    const proof = { state, code_challenge: await challenge(code_verifier), code_challenge_method: 'S256' };
    const { address, ...more } = await send({ ...proof, redirect_uri: here });
    sessionStorage.setItem(name, JSON.stringify({ state, code_verifier, ...more }));
    location.assign(address);
  }

  async function redeem(begun, code) {
    const response = await fetch(issuer.token, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code', client_id, code, code_verifier: begun.code_verifier, redirect_uri: here, resource,
      }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(body.error_description ?? body.error);
    sessionStorage.setItem('token', body.access_token);
    return { signedIn: true };
  }

  async function complete({ auth_session, code_verifier }, connect_code) {
    const body = { auth_session, connect_code, code_verifier, redirect_uri: here };
    const account = await (await call(vault, await token(), 'POST', '/complete', body)).json();
    return { connected: account.connection };
  }

  async function token() {
    const stored = sessionStorage.getItem('token');
    if (!stored) throw new SignInNeeded();
    return stored;
  }

  return {
    async comeBack() {
      const query = new URLSearchParams(location.search);
      if (!['code', 'connect_code', 'error'].some((name) => query.has(name))) return undefined;
      history.replaceState(null, '', here);
      const state = query.get('state');
      const connecting = take('connect', state);
      const begun = connecting ?? take('sign-in', state);
      if (!begun) {
        throw new Error(`This tab did not begin this. If a script did, give it this address:\n${here}?${query}`);
      }
      const error = query.get('error');
      if (error === 'access_denied') return { declined: connecting ? 'connect' : 'sign-in' };
      if (error) throw new Error(query.get('error_description') ?? error);
      return connecting ? complete(begun, query.get('connect_code')) : redeem(begun, query.get('code'));
    },

    async user() {
      const known = claims();
      return known && { name: known.name ?? known.sub, id: known.sub, expires: new Date(known.exp * 1000) };
    },

    signIn: () => begin('sign-in', (proof) => {
      const address = new URL(issuer.authorize);
      address.search = new URLSearchParams({
        ...proof, client_id, response_type: 'code', resource, scope: ['openid', 'profile', 'email', ...ME_SCOPES].join(' '),
      }).toString();
      return { address };
    }),

    async signOut() {
      sessionStorage.clear();
      if (!issuer.logout) return;
      const address = new URL(issuer.logout);
      address.search = new URLSearchParams({ client_id, returnTo: here }).toString();
      location.assign(address);
    },

    forget: async () => sessionStorage.removeItem('token'),

    connect: (connection) => begin('connect', async (proof) => {
      const response = await call(vault, await token(), 'POST', '/connect', { connection, scopes: [], ...proof });
      const { connect_uri, connect_params, auth_session } = await response.json();
      return { address: `${connect_uri}?ticket=${encodeURIComponent(connect_params.ticket)}`, auth_session };
    }),

    token,
  };
}
