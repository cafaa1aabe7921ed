// SPDX-License-Identifier: Apache-2.0
// GitHub: an OAuth app whose tokens do not expire, and a GitHub App whose tokens do. Responses are
// form-encoded unless the request accepts JSON, errors have status 200, a refresh invalidates the former
// access token, and a token has only those requested scopes that no other requested scope includes.
import { Simulator, basic, bearer, empty, form, json, parameters, proves } from './simulator.mjs';

/** Scope → the scopes that it includes, from GitHub's list of scopes. */
const INCLUDES = {
  repo: ['repo:status', 'repo_deployment', 'public_repo', 'repo:invite', 'security_events'],
  'admin:repo_hook': ['write:repo_hook', 'read:repo_hook'],
  'write:repo_hook': ['read:repo_hook'],
  'admin:org': ['write:org', 'read:org'],
  'write:org': ['read:org'],
  'admin:public_key': ['write:public_key', 'read:public_key'],
  'write:public_key': ['read:public_key'],
  'admin:gpg_key': ['write:gpg_key', 'read:gpg_key'],
  'write:gpg_key': ['read:gpg_key'],
  user: ['read:user', 'user:email', 'user:follow'],
  project: ['read:project'],
};

const normalized = (scopes) => {
  const included = new Set(scopes.flatMap((scope) => INCLUDES[scope] ?? []));
  return [...new Set(scopes)].filter((scope) => !included.has(scope));
};

export class GitHub extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
    scopes: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps#normalized-scopes',
    identity: 'https://docs.github.com/en/rest/users/users#get-the-authenticated-user',
    refresh: 'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens',
    dead: 'https://www.nango.dev/blog/github-app-oauth-refresh-token-bad-refresh-token',
    misconfigured: 'https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors',
    revoke: 'https://docs.github.com/en/rest/apps/oauth-applications',
  };

  hosts = ['github.com', 'api.github.com'];

  authorizeAt = 'github.com/login/oauth/authorize';

  tokenAt = 'github.com/login/oauth/access_token';

  flawOf({ code_challenge_method: method, scope }) {
    if (method !== undefined && method !== 'S256') return 'code_challenge_method';
    // A GitHub App has permissions instead of scopes.
    return this.options.app && scope ? 'scope' : undefined;
  }

  answer(request) {
    const { method, url } = request;
    if (url.host === 'api.github.com') return this.#api(request);
    return method === 'POST' && url.pathname === '/login/oauth/access_token' && this.#token(request);
  }

  #token(request) {
    const write = /application\/json/.test(request.headers.accept ?? '') ? json : form;
    const params = parameters(request, 'form', 'json');
    // Errors have status 200.
    const refuse = (error) => write(200, { error, error_description: 'Words for people.', error_uri: 'https://docs.github.com/' });
    if (this.expired || !proves(request, params, this.client, 'post')) return refuse('incorrect_client_credentials');
    if (params.grant_type === 'refresh_token') {
      const grant = this.renewing(params.refresh_token, true);
      if (!grant) return refuse('bad_refresh_token');
      this.access.delete(grant.current);
      return write(200, this.#tokens(grant));
    }
    const grant = this.redeem(params);
    return grant ? write(200, this.#tokens(grant)) : refuse('bad_verification_code');
  }

  #tokens(grant) {
    const scope = this.options.app ? '' : normalized(grant.scopes).join(',');
    grant.current = this.accessOf(grant, this.options.app ? 'ghu_' : 'gho_');
    const plain = { access_token: grant.current, scope, token_type: 'bearer' };
    // An App can be configured without expiry.
    if (!this.options.app || this.options.endless) return plain;
    return { ...plain, expires_in: 28800, refresh_token: this.refreshOf(grant, 'ghr_'), refresh_token_expires_in: 15897600 };
  }

  #api(request) {
    const { method, url, headers, body } = request;
    if (!headers['user-agent']) return json(403, { message: 'Request forbidden by administrative rules.' });
    if (method === 'GET' && url.pathname === '/user') {
      const login = this.owner(bearer(request));
      if (!login) return json(401, { message: 'Bad credentials' });
      const { number, email, name } = this.user(login);
      return json(200, { login, id: number, email, name });
    }
    const what = new RegExp(`^/applications/${this.client.id}/(token|grant)$`).exec(url.pathname)?.[1];
    if (method !== 'DELETE' || !what) return undefined;
    const pair = basic(request);
    if (this.expired || pair?.user !== this.client.id || pair.password !== this.client.secret) return json(404, { message: 'Not Found' });
    const { access_token: token } = JSON.parse(body);
    const login = this.owner(token);
    if (!login) return json(404, { message: 'Not Found' });
    if (what === 'grant') this.end(login);
    else this.access.delete(token);
    return empty(204);
  }
}
