// SPDX-License-Identifier: Apache-2.0
// Microsoft's identity platform, for one directory or for all: one metadata document with `{tenantid}` in
// its issuer, tokens for one resource each, AADSTS error codes, and no revocation. A refresh returns a new
// refresh token, and the old one stays valid. Users can consent to several resources at once; the redemption
// of the code then names the scopes of one resource.
import { newSigningKey, publicKey, signJwt } from '../tokens.mjs';
import { Simulator, bearer, json, parameters, proves } from './simulator.mjs';

const HOST = 'login.microsoftonline.com';
const GRAPH = 'https://graph.microsoft.com';
const OPEN_ID = ['openid', 'profile', 'email', 'offline_access'];

/** The directory of all users. */
export const DIRECTORY = '9122040d-6c67-4c5b-b112-36a304b66dad';

const resourceOf = (scope) => (scope.includes('://') ? scope.slice(0, scope.lastIndexOf('/')) : GRAPH);

/** The resources of scopes, in the order of the scopes. */
const resourcesOf = (scopes) => [...new Set(scopes.filter((one) => !OPEN_ID.includes(one)).map((one) => resourceOf(one)))];

export class Microsoft extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow',
    identity: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc',
    scopes: 'https://learn.microsoft.com/en-us/entra/identity-platform/scopes-oidc',
    resources: 'https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/125',
    several: 'https://github.com/Azure-Samples/active-directory-aspnetcore-webapp-openidconnect-v2/issues/271',
    refresh: 'https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens',
    errors: 'https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes',
    revoke: 'https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens#token-revocation',
  };

  hosts = [HOST, 'graph.microsoft.com'];

  key = newSigningKey('RS256');

  /** The AADSTS code with which refreshes are rejected, if any. */
  refusal;

  get tenant() {
    return this.options.tenant ?? 'common';
  }

  get authorizeAt() {
    return `${HOST}/${this.tenant}/oauth2/v2.0/authorize`;
  }

  get tokenAt() {
    return `${HOST}/${this.tenant}/oauth2/v2.0/token`;
  }

  flawOf({ scope, nonce }) {
    if (!scope.split(' ').includes('openid') || !nonce) return 'openid, nonce';
    return undefined;
  }

  answer(request) {
    const { host, pathname } = request.url;
    const at = `https://${HOST}/${this.tenant}`;
    switch (`${host}${pathname}`) {
      case `${HOST}/${this.tenant}/v2.0/.well-known/openid-configuration`:
        return json(200, {
          issuer: `https://${HOST}/${/^[0-9a-f-]{36}$/.test(this.tenant) ? this.tenant : '{tenantid}'}/v2.0`,
          authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
          token_endpoint: `${at}/oauth2/v2.0/token`,
          jwks_uri: `${at}/discovery/v2.0/keys`,
          userinfo_endpoint: 'https://graph.microsoft.com/oidc/userinfo',
        });
      case `${HOST}/${this.tenant}/discovery/v2.0/keys`: return json(200, { keys: [publicKey(this.key)] });
      case 'graph.microsoft.com/oidc/userinfo': {
        const login = this.owner(bearer(request));
        return login ? json(200, this.#claims(login)) : json(401, {});
      }
      case this.tokenAt: return this.#token(request);
      default: return undefined;
    }
  }

  #refuse(status, error, code, more = {}) {
    return json(status, {
      error, error_description: `AADSTS${code}: Words for people. Trace ID: 0. Correlation ID: 0.`, error_codes: [code],
      timestamp: '2026-01-01 00:00:00Z', trace_id: '0', correlation_id: '0', ...more,
    });
  }

  #token(request) {
    const params = parameters(request, 'form');
    if (this.expired) return this.#refuse(401, 'invalid_client', 7000222);
    if (!proves(request, params, this.client, 'post', 'basic')) return this.#refuse(401, 'invalid_client', 7000215);
    if (params.grant_type === 'refresh_token') return this.#refresh(params);
    const grant = this.redeem(params);
    if (!grant) return this.#refuse(400, 'invalid_grant', 70008);
    const consented = resourcesOf(grant.scopes);
    const asked = params.scope?.split(' ').filter(Boolean) ?? [];
    if (asked.length === 0 && consented.length > 1) return this.#refuse(400, 'invalid_request', 28003);
    const resources = resourcesOf(asked);
    if (resources.length > 1) return this.#refuse(400, 'invalid_scope', 28000);
    // Scopes of OpenID Connect alone do not select one of the resources of the code.
    if (asked.length > 0 && resources.length === 0 && consented.some((one) => one !== GRAPH)) return this.#refuse(400, 'invalid_scope', 28002);
    return json(200, { ...this.#tokens(grant, resources[0] ?? consented[0] ?? GRAPH), id_token: this.#idToken(grant) });
  }

  #refresh({ refresh_token: token, scope }) {
    if (this.refusal) return this.#refuse(400, 'invalid_grant', this.refusal);
    const grant = this.renewing(token, false);
    if (!grant) return this.#refuse(400, 'invalid_grant', 700082);
    const asked = scope?.split(' ') ?? grant.scopes;
    const missing = asked.filter((one) => !grant.scopes.includes(one) && !OPEN_ID.includes(one));
    if (missing.length > 0) return this.#refuse(400, 'invalid_grant', 65001, { suberror: 'consent_required' });
    // If there are several resources, the token is for the first.
    return json(200, this.#tokens(grant, resourcesOf(asked)[0] ?? GRAPH));
  }

  #tokens(grant, resource) {
    const of = grant.scopes.filter((scope) => (OPEN_ID.includes(scope) ? scope !== 'offline_access' && resource === GRAPH : resourceOf(scope) === resource));
    return {
      token_type: 'Bearer', scope: of.join(' '), expires_in: 3700, ext_expires_in: 3700,
      access_token: this.accessOf({ ...grant, resource }, 'eyJ0'),
      ...(grant.scopes.includes('offline_access') && { refresh_token: this.refreshOf(grant, '0.A') }),
    };
  }

  /** The resource of an access token. */
  resource(token) {
    return this.access.get(token)?.resource;
  }

  #claims(login) {
    const { id, email, name } = this.user(login);
    return { sub: `pairwise-${id}`, email, name, preferred_username: email };
  }

  #idToken({ login, query }) {
    const now = this.now();
    const tid = this.options.foreign ?? DIRECTORY;
    return signJwt({ alg: 'RS256', kid: this.key.kid, typ: 'JWT' }, {
      iss: `https://${HOST}/${tid}/v2.0`, tid, oid: this.user(login).id, aud: this.client.id,
      nonce: query.nonce, iat: now, nbf: now, exp: now + 300, ver: '2.0', ...this.#claims(login),
    }, this.key);
  }
}
