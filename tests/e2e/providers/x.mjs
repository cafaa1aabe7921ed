// SPDX-License-Identifier: Apache-2.0
// X: HTTP Basic, required PKCE, single-use refresh tokens, and the error `invalid_request` for a used one.
import { Simulator, bearer, json, parameters, proves } from './simulator.mjs';

export class X extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/authorization-code',
    identity: 'https://docs.x.com/x-api/users/get-my-user',
    refresh: 'https://github.com/elizaOS/eliza/issues/20027',
    dead: 'https://github.com/transitive-bullshit/chatgpt-twitter-bot',
    errors: 'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token',
    revoke: 'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token',
  };

  hosts = ['x.com', 'api.x.com'];

  authorizeAt = 'x.com/i/oauth2/authorize';

  tokenAt = 'api.x.com/2/oauth2/token';

  revokeAt = 'api.x.com/2/oauth2/revoke';

  flawOf({ code_challenge: challenge, code_challenge_method: method }) {
    return challenge && method === 'S256' ? undefined : 'code_challenge';
  }

  answer(request) {
    const { pathname } = request.url;
    if (pathname === '/2/users/me') {
      const grant = this.access.get(bearer(request));
      if (!grant || !['users.read', 'tweet.read'].every((scope) => grant.scopes.includes(scope))) return json(401, { title: 'Unauthorized', status: 401 });
      const { id, login, name } = this.user(grant.login);
      return json(200, { data: { id, name, username: login } });
    }
    const params = parameters(request, 'form');
    const refuse = (error, description, status = 400) => json(status, { error, error_description: description });
    if (this.expired || !params || !proves(request, params, this.client, 'basic')) return refuse('unauthorized_client', 'Missing valid authorization header', 401);
    if (pathname === '/2/oauth2/revoke') {
      const grant = this.access.get(params.token) ?? this.refreshes.get(params.token);
      this.access.delete(params.token);
      this.refreshes.delete(params.token);
      return json(200, { revoked: grant !== undefined });
    }
    if (pathname !== '/2/oauth2/token') return undefined;
    if (params.grant_type === 'refresh_token') {
      const grant = this.renewing(params.refresh_token, true);
      return grant ? json(200, this.#tokens(grant)) : refuse('invalid_request', 'Value passed for the token was invalid.');
    }
    const grant = this.redeem(params);
    return grant ? json(200, this.#tokens(grant)) : refuse('invalid_request', 'Value passed for the authorization code was invalid.');
  }

  #tokens(grant) {
    const offline = grant.scopes.includes('offline.access') && { refresh_token: this.refreshOf(grant) };
    return { token_type: 'bearer', expires_in: 7200, access_token: this.accessOf(grant), scope: grant.scopes.join(' '), ...offline };
  }
}
