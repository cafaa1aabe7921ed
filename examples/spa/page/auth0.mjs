// SPDX-License-Identifier: Apache-2.0
// Signs users in and connects accounts with Auth0's SDK for browsers, which has the vault as its domain.
// @ts-expect-error: server.mjs serves this file of the npm package
import { createAuth0Client } from './auth0-spa-js.js';
import { SignInNeeded } from './api.mjs';

/** The SDK's errors that only a sign-in of the user can mend. */
const ENDED = ['login_required', 'interaction_required', 'consent_required', 'invalid_grant', 'missing_refresh_token'];

/**
 * @param {import('../server.mjs').PageSettings} settings
 * @returns {Promise<import('./app.mjs').Session>}
 */
export async function openSession({ vault, client_id: clientId }) {
  const here = `${location.origin}${location.pathname}`;
  const auth0 = await createAuth0Client({
    domain: vault,
    clientId,
    // One refresh token serves the vault's two resource servers. After a reload it is gone, and the SDK signs in
    // silently in a frame, which works where the vault is on the page's own site.
    useRefreshTokens: true,
    useMrrt: true,
    useRefreshTokensFallback: true,
    authorizationParams: {
      redirect_uri: here,
      audience: `${vault}/`,
      scope: 'openid profile email offline_access',
    },
  });

  /** Runs a call of the SDK that needs the user's session. */
  async function signedIn(action) {
    try {
      return await action();
    } catch (error) {
      throw ENDED.includes(error.error) ? new SignInNeeded() : error;
    }
  }

  const backEndToken = (more = {}) => signedIn(() => auth0.getTokenSilently({ ...more, detailedResponse: true }));
  const endOf = ({ expires_in: seconds }) => new Date(Date.now() + seconds * 1000);

  return {
    async comeBack() {
      const query = new URLSearchParams(location.search);
      if (!query.has('state') || !['code', 'connect_code', 'error'].some((name) => query.has(name))) return undefined;
      try {
        const result = await signedIn(() => auth0.handleRedirectCallback());
        return result.response_type === 'connect_code' ? { connected: result.connection } : { signedIn: true };
      } catch (error) {
        if (error.error !== 'access_denied') throw error;
        return { declined: error.connection ? 'connect' : 'sign-in' };
      } finally {
        history.replaceState(null, '', here);
      }
    },

    async user() {
      const user = await auth0.getUser();
      if (!user) return undefined;
      return { name: user.name ?? user.email ?? user.sub, id: user.sub, expires: endOf(await backEndToken()) };
    },

    signIn: () => auth0.loginWithRedirect(),
    signOut: () => auth0.logout({ logoutParams: { returnTo: here } }),
    forget: () => auth0.logout({ openUrl: false }),
    connect: (connection) => signedIn(() => auth0.connectAccountWithRedirect({ connection })),

    // The SDK gets an access token for the API when it has none.
    token: (scope) => signedIn(() => auth0.getTokenSilently({ authorizationParams: { audience: `${vault}/me/`, scope } })),

    renew: async () => endOf(await backEndToken({ cacheMode: 'off' })),

    async profile() {
      const { access_token: token } = await backEndToken();
      const response = await fetch('api/profile', { headers: { authorization: `Bearer ${token}` } });
      const body = await response.json();
      if (!response.ok) throw new Error(body.message ?? body.error);
      return body;
    },
  };
}
