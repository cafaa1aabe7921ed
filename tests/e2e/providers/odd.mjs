// SPDX-License-Identifier: Apache-2.0
// Simulators of eight providers with unusual formats.
import { Simulator, bearer, empty, json, parameters, proves } from './simulator.mjs';

/** Scopes are a list, errors are a status and a message, and API calls need `client-id` with the token. */
export class Twitch extends Simulator {
  sources = {
    connect: 'https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/',
    refresh: 'https://dev.twitch.tv/docs/authentication/refresh-tokens/',
    revoke: 'https://dev.twitch.tv/docs/authentication/revoke-tokens/',
  };

  hosts = ['id.twitch.tv', 'api.twitch.tv'];

  authorizeAt = 'id.twitch.tv/oauth2/authorize';

  tokenAt = 'id.twitch.tv/oauth2/token';

  revokeAt = 'id.twitch.tv/oauth2/revoke';

  answer(request) {
    const { pathname } = request.url;
    const refuse = (status, message) => json(status, { status, message });
    if (pathname === '/helix/users') {
      const login = this.owner(bearer(request));
      if (!login || request.headers['client-id'] !== this.client.id) return refuse(401, 'Invalid OAuth token');
      const { id, email } = this.user(login);
      return json(200, { data: [{ id, login, display_name: login, email }] });
    }
    const params = parameters(request, 'form');
    if (pathname === '/oauth2/revoke') {
      if (params.client_id !== this.client.id) return refuse(404, 'client does not exist');
      if (!this.access.has(params.token)) return refuse(400, 'Invalid token');
      this.end(this.owner(params.token));
      return empty(200);
    }
    if (!proves(request, params, this.client, 'post')) return refuse(403, 'invalid client secret');
    const refresh = params.grant_type === 'refresh_token';
    const grant = refresh ? this.renewing(params.refresh_token, false) : this.redeem(params);
    if (!grant) return refuse(400, refresh ? 'Invalid refresh token' : 'Invalid authorization code');
    return json(200, {
      access_token: this.accessOf(grant), refresh_token: refresh ? params.refresh_token : this.refreshOf(grant),
      expires_in: 14124, scope: grant.scopes, token_type: 'bearer',
    });
  }
}

/** Refreshes have a separate endpoint and return no refresh token. */
export class Figma extends Simulator {
  sources = { connect: 'https://developers.figma.com/docs/rest-api/authentication/', refresh: 'https://developers.figma.com/docs/rest-api/authentication/' };

  hosts = ['www.figma.com', 'api.figma.com'];

  authorizeAt = 'www.figma.com/oauth';

  tokenAt = 'api.figma.com/v1/oauth/token';

  refreshAt = 'api.figma.com/v1/oauth/refresh';

  separator = ',';

  answer(request) {
    const { pathname } = request.url;
    if (pathname === '/v1/me') {
      const login = this.owner(bearer(request));
      const may = this.access.get(bearer(request))?.scopes.includes('current_user:read');
      return may ? json(200, { ...this.user(login), handle: login }) : json(403, { status: 403, err: 'Invalid token' });
    }
    const params = parameters(request, 'form');
    if (!proves(request, params, this.client, 'basic')) return json(401, { error: 'invalid_client' });
    const refresh = pathname === '/v1/oauth/refresh';
    if (refresh !== (params.grant_type === 'refresh_token')) return json(404, { status: 404, err: 'Not found' });
    const grant = refresh ? this.renewing(params.refresh_token, false) : this.redeem(params);
    if (!grant) return json(400, { error: 'invalid_grant' });
    const first = !refresh && { user_id_string: this.user(grant.login).id, refresh_token: this.refreshOf(grant) };
    return json(200, { access_token: this.accessOf(grant), token_type: 'bearer', expires_in: 7776000, ...first });
  }
}

/** The parameter is `type` instead of `grant_type`, and there are no scopes. */
export class Basecamp extends Simulator {
  sources = {
    connect: 'https://github.com/basecamp/api/blob/master/sections/authentication.md',
    refresh: 'https://github.com/basecamp/api/blob/master/sections/authentication.md',
  };

  hosts = ['launchpad.37signals.com'];

  authorizeAt = 'launchpad.37signals.com/authorization/new';

  tokenAt = 'launchpad.37signals.com/authorization/token';

  flawOf({ type, scope }) {
    if (type !== 'web_server') return 'type';
    return scope === undefined ? undefined : 'scope';
  }

  answer(request) {
    const { pathname } = request.url;
    if (pathname === '/authorization.json') {
      const login = this.owner(bearer(request));
      if (!login) return json(401, { error: 'OAuth token could not be verified.' });
      const { number, email } = this.user(login);
      return json(200, { identity: { id: number, first_name: 'A', last_name: login, email_address: email }, accounts: [] });
    }
    const params = parameters(request, 'form');
    if (params.grant_type !== undefined) return json(400, { error: 'unsupported_grant_type' });
    if (!proves(request, params, this.client, 'post')) return json(400, { error: 'invalid_client' });
    const refresh = params.type === 'refresh';
    if (!refresh && params.type !== 'web_server') return json(400, { error: 'invalid_request' });
    const grant = refresh ? this.renewing(params.refresh_token, false) : this.redeem(params);
    if (!grant) return json(400, { error: 'invalid_grant' });
    return json(200, { access_token: this.accessOf(grant), expires_in: 1209600, ...(!refresh && { refresh_token: this.refreshOf(grant) }) });
  }
}

/** Tokens expire only if the request asks for it; a refresh invalidates both former tokens. */
export class Zendesk extends Simulator {
  sources = {
    connect: 'https://developer.zendesk.com/documentation/api-basics/authentication/refresh-token',
    refresh: 'https://support.zendesk.com/hc/en-us/articles/9182123625370-Announcing-support-for-OAuth-refresh-token-grant-type-and-OAuth-access-and-refresh-token-expirations',
    revoke: 'https://developer.zendesk.com/api-reference/ticketing/oauth/oauth_tokens/',
  };

  hosts = ['acme.zendesk.com'];

  authorizeAt = 'acme.zendesk.com/oauth/authorizations/new';

  tokenAt = 'acme.zendesk.com/oauth/tokens';

  answer(request) {
    const { method, url: { pathname } } = request;
    const login = this.owner(bearer(request));
    if (pathname === '/api/v2/users/me.json') {
      const { number, email, name } = this.user(login ?? '');
      return login ? json(200, { user: { id: number, email, name } }) : json(401, { error: 'invalid_token' });
    }
    if (pathname === '/api/v2/oauth/tokens/current.json' && method === 'DELETE') {
      if (!login) return json(401, { error: 'invalid_token' });
      this.end(login);
      return empty(204);
    }
    const params = parameters(request, 'form', 'json');
    if (!proves(request, params, this.client, 'post')) return json(401, { error: 'invalid_client' });
    const grant = params.grant_type === 'refresh_token' ? this.renewing(params.refresh_token, true) : this.redeem(params);
    if (!grant) return json(400, { error: 'invalid_grant' });
    this.access.delete(grant.current);
    grant.current = this.accessOf(grant);
    const ends = params.expires_in && {
      expires_in: Number(params.expires_in), refresh_token_expires_in: Number(params.refresh_token_expires_in), refresh_token: this.refreshOf(grant),
    };
    return json(200, { access_token: grant.current, token_type: 'bearer', scope: grant.scopes.join(' '), ...ends });
  }
}

/**
 * Tokens expire only if the request asks for it; the old refresh token stays valid until the new one is used;
 * the response omits a read scope if the write scope is granted.
 */
export class Shopify extends Simulator {
  sources = {
    connect: 'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant',
    refresh: 'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens',
    scopes: 'https://github.com/Shopify/shopify-api-ruby/pull/829',
  };

  hosts = ['acme.myshopify.com'];

  authorizeAt = 'acme.myshopify.com/admin/oauth/authorize';

  tokenAt = 'acme.myshopify.com/admin/oauth/access_token';

  separator = ',';

  callback = () => ({ shop: 'acme.myshopify.com', hmac: '0'.repeat(64), host: 'YWRtaW4', timestamp: '1337178173' });

  answer(request) {
    const params = parameters(request, 'form', 'json');
    if (!proves(request, params, this.client, 'post')) return json(400, { error: 'application_cannot_be_found' });
    const refresh = params.grant_type === 'refresh_token';
    const grant = refresh ? this.renewing(params.refresh_token) : this.redeem(params);
    if (!grant) return json(400, { error: 'invalid_grant' });
    if (grant.served && grant.served !== params.refresh_token) this.refreshes.delete(grant.served);
    if (refresh) grant.served = params.refresh_token;
    const ends = (refresh || params.expiring === '1') && { expires_in: 3600, refresh_token: this.refreshOf(grant), refresh_token_expires_in: 7776000 };
    const implied = grant.scopes.filter((one) => /^(unauthenticated_)?write_/.test(one)).map((one) => one.replace('write_', 'read_'));
    const scope = grant.scopes.filter((one) => !implied.includes(one));
    return json(200, { access_token: this.accessOf(grant, 'shpat_'), scope: scope.join(','), ...ends });
  }
}

/**
 * JSON bodies, an audience, and single-use refresh tokens. For an invalid refresh token, the response in
 * practice (`dead`) differs from the documented one.
 */
export class Atlassian extends Simulator {
  sources = {
    connect: 'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/',
    refresh: 'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/#use-a-refresh-token-to-get-another-access-token-and-refresh-token-pair',
    dead: 'https://github.com/raycast/extensions/issues/11836',
  };

  hosts = ['auth.atlassian.com', 'api.atlassian.com'];

  authorizeAt = 'auth.atlassian.com/authorize';

  tokenAt = 'auth.atlassian.com/oauth/token';

  flawOf({ audience, prompt }) {
    if (audience !== 'api.atlassian.com') return 'audience';
    return prompt === 'consent' ? undefined : 'prompt';
  }

  answer(request) {
    if (request.url.pathname === '/me') {
      const login = this.owner(bearer(request));
      const { id, email, name } = this.user(login ?? '');
      return login ? json(200, { account_id: id, account_type: 'atlassian', email, name }) : json(401, { code: 401, message: 'Unauthorized' });
    }
    const params = parameters(request, 'json');
    if (!params || !proves(request, params, this.client, 'post')) return json(401, { error: 'access_denied', error_description: 'Unauthorized' });
    const refresh = params.grant_type === 'refresh_token';
    const grant = refresh ? this.renewing(params.refresh_token, true) : this.redeem(params);
    if (!grant && refresh) return json(403, { error: 'unauthorized_client', error_description: 'refresh_token is invalid' });
    if (!grant) return json(403, { error: 'invalid_grant', error_description: 'Invalid authorization code' });
    return json(200, {
      access_token: this.accessOf(grant), expires_in: 3600, token_type: 'Bearer', scope: grant.scopes.join(' '),
      ...(grant.scopes.includes('offline_access') && { refresh_token: this.refreshOf(grant) }),
    });
  }
}

const FAULT = { error: { message: 'Error validating access token', type: 'OAuthException', code: 190, error_subcode: 460, fbtrace_id: 'x' } };

/** No refresh tokens: as long as an access token is valid, it is exchanged for one that lives 60 days. */
class Meta extends Simulator {
  separator = ',';

  /** Access token → when it expires. */
  #ends = new Map();

  /** Issues an access token with this lifetime. */
  issue(grant, life) {
    const token = this.accessOf(grant);
    this.#ends.set(token, this.now() + life);
    return token;
  }

  /** The grant of an access token that has not expired. */
  alive(token) {
    return this.#ends.get(token) > this.now() ? this.access.get(token) : undefined;
  }

  flawOf(query) {
    return query.code_challenge !== undefined;
  }

  code(request) {
    const params = parameters(request, 'form');
    const known = request.method === 'POST' && params?.grant_type === 'authorization_code' && proves(request, params, this.client, 'post');
    return known ? this.redeem(params) : undefined;
  }

  exchanged(token) {
    const grant = this.alive(token);
    return grant ? json(200, { access_token: this.issue(grant, 5183944), token_type: 'bearer', expires_in: 5183944 }) : json(400, FAULT);
  }
}

/** Every exchange has the same endpoint as the code; the app is removed from the user's account with `DELETE`. */
export class Facebook extends Meta {
  sources = {
    connect: 'https://developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow',
    refresh: 'https://developers.facebook.com/documentation/facebook-login/guides/access-tokens/get-long-lived',
    dead: 'https://developers.facebook.com/docs/graph-api/guides/error-handling',
    revoke: 'https://developers.facebook.com/docs/graph-api/reference/user/permissions',
  };

  hosts = ['www.facebook.com', 'graph.facebook.com'];

  authorizeAt = 'www.facebook.com/v25.0/dialog/oauth';

  tokenAt = 'graph.facebook.com/v25.0/oauth/access_token';

  answer(request) {
    const { method, url: { pathname, searchParams } } = request;
    const login = this.alive(bearer(request))?.login;
    if (pathname === '/v25.0/me' && method === 'GET') {
      if (!login || searchParams.get('fields') !== 'id,name,email') return json(400, FAULT);
      const { id, name, email } = this.user(login);
      return json(200, { id, name, email });
    }
    if (pathname === '/v25.0/me/permissions' && method === 'DELETE') {
      if (!login) return json(400, FAULT);
      this.end(login);
      return json(200, { success: true });
    }
    if (method === 'POST') {
      const grant = this.code(request);
      return grant ? json(200, { access_token: this.issue(grant, 7200), token_type: 'bearer', expires_in: 7200 }) : json(400, { error: { code: 100 } });
    }
    const { fb_exchange_token: token, ...query } = Object.fromEntries(searchParams);
    const { id, secret } = this.client;
    const wanted = { grant_type: 'fb_exchange_token', client_id: id, client_secret: secret };
    const known = Object.entries(wanted).every(([name, value]) => query[name] === value);
    return known ? this.exchanged(token) : json(400, { error: { code: 101 } });
  }
}

/**
 * A code brings a token of an hour, whose lifetime no member tells. It is exchanged at one endpoint, and the next
 * ones at another, once they are a day old. The documentation has the response to a code in a list (`listed`);
 * others read it without.
 */
export class Instagram extends Meta {
  sources = {
    connect: 'https://developers.facebook.com/documentation/instagram-platform/instagram-api-with-instagram-login/business-login',
    refresh: 'https://developers.facebook.com/documentation/instagram-platform/reference/refresh_access_token',
    dead: 'https://developers.facebook.com/docs/graph-api/guides/error-handling',
  };

  hosts = ['www.instagram.com', 'api.instagram.com', 'graph.instagram.com'];

  authorizeAt = 'www.instagram.com/oauth/authorize';

  tokenAt = 'api.instagram.com/oauth/access_token';

  listed = true;

  /** Tokens of an hour, and when the others were issued. */
  #short = new Set();

  #issued = new Map();

  answer(request) {
    const { url: { host, pathname, searchParams } } = request;
    if (host === 'api.instagram.com') {
      const grant = this.code(request);
      if (!grant) return json(400, { error_type: 'OAuthException', code: 400, error_message: 'Matching code was not found or was already used' });
      const token = this.issue(grant, 3600);
      this.#short.add(token);
      const { id, number } = this.user(grant.login);
      return json(200, this.listed
        ? { data: [{ access_token: token, user_id: id, permissions: grant.scopes.join(',') }] }
        : { access_token: token, user_id: number, permissions: grant.scopes });
    }
    const { access_token: token, grant_type: type, client_secret: secret } = Object.fromEntries(searchParams);
    const first = this.#short.has(token);
    const known = first
      ? pathname === '/access_token' && type === 'ig_exchange_token' && secret === this.client.secret
      : pathname === '/refresh_access_token' && type === 'ig_refresh_token' && this.now() - (this.#issued.get(token) ?? 0) >= 86400;
    if (request.method !== 'GET' || !known) return json(400, { error: { code: 100 } });
    const answer = this.exchanged(token);
    this.#issued.set(JSON.parse(answer.body).access_token, this.now());
    return answer;
  }
}
