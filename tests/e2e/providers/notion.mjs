// SPDX-License-Identifier: Apache-2.0
// Notion: HTTP Basic, JSON bodies with a fixed set of members, no scopes. Tokens of older integrations do not
// expire; newer integrations have single-use refresh tokens.
import { Simulator, json, parameters, proves } from './simulator.mjs';

export class Notion extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://developers.notion.com/docs/authorization',
    refresh: 'https://developers.notion.com/reference/refresh-a-token',
    errors: 'https://developers.notion.com/reference/create-a-token',
    revoke: 'https://developers.notion.com/reference/revoke-token',
  };

  hosts = ['api.notion.com'];

  authorizeAt = 'api.notion.com/v1/oauth/authorize';

  tokenAt = 'api.notion.com/v1/oauth/token';

  revokeAt = 'api.notion.com/v1/oauth/revoke';

  flawOf({ owner }) {
    return owner === 'user' ? undefined : 'owner';
  }

  answer(request) {
    const { pathname } = request.url;
    const refuse = (status, code) => json(status, { object: 'error', status, code, message: 'Words for people.' });
    const params = parameters(request, 'json');
    if (!params) return refuse(400, 'invalid_json');
    if (!request.headers['notion-version']) return refuse(400, 'missing_version');
    if (this.expired || !proves(request, params, this.client, 'basic')) return refuse(401, 'invalid_client');
    if (pathname === '/v1/oauth/revoke') {
      const grant = this.access.get(params.token) ?? this.refreshes.get(params.token);
      if (!grant) return refuse(400, 'invalid_request');
      this.end(grant.login);
      return json(200, { request_id: '0' });
    }
    if (pathname !== '/v1/oauth/token') return undefined;
    const known = ['grant_type', 'code', 'redirect_uri', 'refresh_token', 'external_account'];
    if (Object.keys(params).some((name) => !known.includes(name))) return refuse(400, 'invalid_request');
    const refresh = params.grant_type === 'refresh_token';
    const grant = refresh ? this.renewing(params.refresh_token, true) : this.redeem(params);
    if (!grant) return refuse(400, 'invalid_grant');
    const { id, email, name } = this.user(grant.login);
    return json(200, {
      access_token: this.accessOf(grant, 'ntn_'), token_type: 'bearer', bot_id: 'b-1',
      ...(this.options.refresh && { refresh_token: this.refreshOf(grant, 'nrt_') }),
      workspace_id: 'w-1', workspace_name: 'A workspace', workspace_icon: null, duplicated_template_id: null,
      owner: { type: 'user', user: { object: 'user', id, name, type: 'person', person: { email } } }, request_id: '0',
    });
  }
}
