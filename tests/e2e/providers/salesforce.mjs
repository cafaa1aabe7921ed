// SPDX-License-Identifier: Apache-2.0
// Salesforce: responses have no `expires_in` but the address of the API, and a refresh returns no new refresh
// token unless rotation is enabled for the app.
import { Simulator, empty, json, parameters, proves } from './simulator.mjs';

export class Salesforce extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm',
    refresh: 'https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_refresh_token_flow.htm',
    errors: 'https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_flow_errors.htm',
    revoke: 'https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html',
  };

  hosts = ['login.salesforce.com'];

  authorizeAt = 'login.salesforce.com/services/oauth2/authorize';

  tokenAt = 'login.salesforce.com/services/oauth2/token';

  revokeAt = 'login.salesforce.com/services/oauth2/revoke';

  answer(request) {
    const params = parameters(request, 'form');
    const refuse = (error, description) => json(400, { error, error_description: description });
    switch (`${request.url.host}${request.url.pathname}`) {
      case this.revokeAt: {
        const grant = this.access.get(params.token) ?? this.refreshes.get(params.token);
        if (!grant) return refuse('invalid_token', 'the token is invalid');
        this.end(grant.login);
        return empty(200);
      }
      case this.tokenAt: {
        if (this.expired || !proves(request, params, this.client, 'post', 'basic')) return refuse('invalid_client', 'invalid client credentials');
        const refresh = params.grant_type === 'refresh_token';
        const grant = refresh ? this.renewing(params.refresh_token, false) : this.redeem(params);
        if (!grant) return refuse('invalid_grant', refresh ? 'expired access/refresh token' : 'expired authorization code');
        const more = !refresh && grant.scopes.includes('refresh_token') && { refresh_token: this.refreshOf(grant, '5Aep') };
        return json(200, {
          access_token: this.accessOf(grant, '00D!'), ...more, signature: 'c2ln', scope: grant.scopes.join(' '),
          instance_url: 'https://acme.my.salesforce.com',
          id: `https://login.salesforce.com/id/00D000000000001EAA/${this.user(grant.login).id}`,
          token_type: 'Bearer', issued_at: String(Date.now()),
        });
      }
      default: return undefined;
    }
  }
}
