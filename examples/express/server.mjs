// SPDX-License-Identifier: Apache-2.0
// An Express application whose users sign in to the vault, connect an account, and read their profile at the provider.
// README.md says how to configure both sides; then: npm install; node server.mjs settings.json
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import express from 'express';
import openid from 'express-openid-connect';

/** @param {{vault: string, origin: string, client_id: string, client_secret: string, secret: string, connection: string, profile: string}} settings */
export function application({ vault, origin, client_id, client_secret, secret, connection, profile }) {
  const app = express();
  app.use(openid.auth({
    issuerBaseURL: vault,
    baseURL: origin,
    clientID: client_id,
    clientSecret: client_secret,
    secret,
    authRequired: false,
    idpLogout: true,
    // The session's access token is for the connected-accounts API. The exchange uses the refresh token.
    authorizationParams: { response_type: 'code', audience: `${vault}/me/`, scope: 'openid profile offline_access create:me:connected_accounts' },
  }));

  /** Calls the connected-accounts API for the user. */
  async function connectedAccounts({ oidc }, path, body) {
    const token = oidc.accessToken.isExpired() ? await oidc.accessToken.refresh() : oidc.accessToken;
    const response = await fetch(`${vault}/me/v1/connected-accounts/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.access_token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, redirect_uri: `${origin}/connected` }),
    });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status });
    return answer;
  }

  app.get('/', ({ oidc }, response) => response.send(oidc.isAuthenticated()
    ? `<p>Signed in.</p><a href="/connect">Connect</a> <a href="/profile">Call the provider</a> <a href="/logout">Sign out</a>`
    : '<a href="/login">Sign in</a>'));

  app.get('/connect', openid.requiresAuth(), async (request, response) => {
    const [state, verifier] = [randomBytes(16).toString('base64url'), randomBytes(32).toString('base64url')];
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const started = await connectedAccounts(request, 'connect', {
      connection, state, scopes: [], code_challenge: challenge, code_challenge_method: 'S256',
    });
    // In the session of this browser: what the return needs is found there, and not by `state` in a table of all users.
    request.appSession.connect = { state, verifier, session: started.auth_session };
    response.redirect(`${started.connect_uri}?ticket=${encodeURIComponent(started.connect_params.ticket)}`);
  });

  app.get('/connected', openid.requiresAuth(), async (request, response) => {
    const { connect } = request.appSession;
    delete request.appSession.connect; // it is good for one return
    const { state, connect_code, error_description: refusal } = request.query;
    // A browser that did not begin this connect ends here: somebody else's link brought it.
    if (!connect || connect.state !== state || !connect_code) return response.status(400).type('text').send(refusal ?? 'Begin again.');
    // With the token of the user who is signed in to this browser.
    await connectedAccounts(request, 'complete', { auth_session: connect.session, code_verifier: connect.verifier, connect_code });
    return response.redirect('/profile');
  });

  app.get('/profile', openid.requiresAuth(), async ({ oidc }, response) => {
    const subject = { subject_token: oidc.refreshToken, subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' };
    // Without the empty scope, the SDK would name those of the sign-in.
    const { access_token: token } = await oidc.customTokenExchange({ ...subject, audience: connection, scope: '' });
    const answer = await fetch(profile, { headers: { authorization: `Bearer ${token}` } });
    response.status(answer.status).json(await answer.json());
  });

  // `invalid_target`: the user must connect (again).
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).json({ error: error.error, message: error.error_description ?? error.message }));
  return app;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const settings = JSON.parse(readFileSync(process.argv[2] ?? 'settings.json', 'utf8'));
  application(settings).listen(new URL(settings.origin).port, () => console.log(settings.origin));
}
