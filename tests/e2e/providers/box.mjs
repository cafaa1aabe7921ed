// SPDX-License-Identifier: Apache-2.0
// Box: single-use refresh tokens that are valid for 60 days, and codes that are valid for 30 seconds.
import { Simulator, bearer, empty, json, parameters, proves } from './simulator.mjs';

export class Box extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://developer.box.com/guides/authentication/oauth2/without-sdk/',
    identity: 'https://developer.box.com/reference/get-users-me/',
    refresh: 'https://developer.box.com/guides/authentication/tokens/refresh/',
    errors: 'https://developer.box.com/reference/post-oauth2-token/',
    revoke: 'https://developer.box.com/reference/post-oauth2-revoke/',
  };

  hosts = ['account.box.com', 'api.box.com'];

  authorizeAt = 'account.box.com/api/oauth2/authorize';

  tokenAt = 'api.box.com/oauth2/token';

  revokeAt = 'api.box.com/oauth2/revoke';

  codeLife = 30;

  refreshLife = 60 * 86400;

  answer(request) {
    const { pathname } = request.url;
    if (pathname === '/2.0/users/me') {
      const login = this.owner(bearer(request));
      if (!login) return json(401, {});
      const { id, email, name } = this.user(login);
      return json(200, { type: 'user', id, login: email, name });
    }
    const params = parameters(request, 'form');
    if (!params) return undefined;
    if (this.expired || !proves(request, params, this.client, 'post')) {
      return json(400, { error: 'invalid_client', error_description: 'The client credentials are invalid' });
    }
    if (pathname === '/oauth2/revoke') {
      // The revocation of either token of a pair invalidates both.
      const grant = this.access.get(params.token) ?? this.refreshes.get(params.token);
      if (grant) this.end(grant.login);
      return empty(200);
    }
    if (pathname !== '/oauth2/token') return undefined;
    const refresh = params.grant_type === 'refresh_token';
    const grant = refresh ? this.renewing(params.refresh_token, true) : this.redeem(params);
    if (!grant) {
      return json(400, { error: 'invalid_grant', error_description: refresh ? 'Refresh token has expired' : 'Auth code doesn\'t exist or is invalid for the client' });
    }
    return json(200, {
      access_token: this.accessOf(grant), expires_in: 3600, restricted_to: [],
      refresh_token: this.refreshOf(grant), token_type: 'bearer',
    });
  }
}
