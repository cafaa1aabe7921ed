// SPDX-License-Identifier: Apache-2.0
// Slack: scopes for a bot and for a user, separated by commas; both tokens in one response; errors with
// status 200 and `ok: false`; optional token rotation: access tokens are valid for twelve hours, and refresh
// tokens can be used once.
import { Simulator, bearer, json, parameters, proves } from './simulator.mjs';

export class Slack extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://docs.slack.dev/authentication/installing-with-oauth',
    refresh: 'https://docs.slack.dev/authentication/using-token-rotation',
    errors: 'https://docs.slack.dev/reference/methods/oauth.v2.access',
    revoke: 'https://docs.slack.dev/reference/methods/auth.revoke',
  };

  hosts = ['slack.com'];

  authorizeAt = 'slack.com/oauth/v2/authorize';

  tokenAt = 'slack.com/api/oauth.v2.access';

  revokeAt = 'slack.com/api/auth.revoke';

  separator = ',';

  flawOf({ scope, user_scope: user }) {
    if (!scope && !user) return 'no scopes';
    return /\s/.test(`${scope ?? ''}${user ?? ''}`) ? 'scopes are separated by commas' : undefined;
  }

  asked(query) {
    return (query.user_scope ?? '').split(',').filter(Boolean);
  }

  answer(request) {
    const { pathname } = request.url;
    if (pathname === '/api/oauth.v2.access') return this.#access(request);
    return pathname === '/api/auth.revoke' && this.#revoke(request);
  }

  #refuse(error) {
    return json(200, { ok: false, error });
  }

  #access(request) {
    const params = parameters(request, 'form');
    if (!params) return this.#refuse('invalid_arguments');
    if (this.expired || !proves(request, params, this.client, 'basic', 'post')) return this.#refuse('bad_client_secret');
    if (params.grant_type === 'refresh_token') {
      const grant = this.renewing(params.refresh_token, true);
      if (!grant) return this.#refuse('invalid_refresh_token');
      return json(200, { ok: true, ...this.#tokens(grant), ...this.#team() });
    }
    const user = this.redeem(params);
    if (!user) return this.#refuse('invalid_code');
    const bots = (user.query.scope ?? '').split(',').filter(Boolean);
    const bot = bots.length > 0 && { kind: 'bot', login: `bot of ${user.login}`, scopes: bots };
    const { id } = this.user(user.login);
    return json(200, {
      ok: true,
      ...(bot && { ...this.#tokens(bot), bot_user_id: 'U0BOT' }),
      ...this.#team(),
      authed_user: { id, ...(user.scopes.length > 0 && this.#tokens({ ...user, kind: 'user' })) },
    });
  }

  #team() {
    return { app_id: 'A012', team: { id: 'T012', name: 'A team' }, enterprise: null, is_enterprise_install: false };
  }

  #tokens(grant) {
    const rotated = this.options.rotation && { expires_in: 43200, refresh_token: this.refreshOf(grant, 'xoxe-1-') };
    const token = this.accessOf(grant, grant.kind === 'bot' ? 'xoxb-' : 'xoxp-');
    return { access_token: token, token_type: grant.kind, scope: grant.scopes.join(','), ...rotated };
  }

  #revoke(request) {
    const token = bearer(request);
    if (!this.access.has(token)) return this.#refuse('token_revoked');
    this.access.delete(token);
    return json(200, { ok: true, revoked: true });
  }
}
