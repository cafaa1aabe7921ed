// SPDX-License-Identifier: Apache-2.0
// Google and Google Workspace issue a refresh token only with access_type=offline, and a second one only with
// prompt=consent. Scopes accumulate with include_granted_scopes, the ID token has `hd`, the error is
// invalid_rapt if an organisation limits sessions, and a revocation ends the whole grant.
import { newSigningKey, publicKey, signJwt } from '../tokens.mjs';
import { Simulator, bearer, empty, json, parameters, proves, random } from './simulator.mjs';

// Both entries of the catalogue have the same issuer.
const KEY = newSigningKey('RS256');

const SHORT = {
  email: 'https://www.googleapis.com/auth/userinfo.email',
  profile: 'https://www.googleapis.com/auth/userinfo.profile',
};

/** The scopes of which `Events: insert` needs one. */
const WRITES_EVENTS = ['https://www.googleapis.com/auth/calendar', 'https://www.googleapis.com/auth/calendar.events'];

/** The scopes of which `Events: list` needs one. */
const READS_EVENTS = [...WRITES_EVENTS, ...['calendar.readonly', 'calendar.events.readonly'].map((name) => `https://www.googleapis.com/auth/${name}`)];

/**
 * An error of the calendar's API.
 *
 * @param {number} code
 * @param {string} message
 * @param {object} error
 * @param {{headers?: object, [member: string]: any}} [more]  further members
 */
export const failure = (code, message, error, { headers = {}, ...more } = {}) => (
  json(code, { error: { errors: [{ domain: 'global', message, ...error }], code, message, ...more } }, headers)
);

export class Google extends Simulator {
  /** Behaviour → where it is documented. */
  sources = {
    connect: 'https://developers.google.com/identity/protocols/oauth2/web-server',
    identity: 'https://developers.google.com/identity/openid-connect/openid-connect',
    refresh: 'https://developers.google.com/identity/protocols/oauth2/web-server#offline',
    dead: 'https://support.google.com/a/answer/9368756',
    errors: 'https://developers.google.com/identity/protocols/oauth2/web-server#exchange-errors',
    revoke: 'https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke',
    calendar: 'https://developers.google.com/calendar/api/v3/reference/events/insert',
    'list of events': 'https://developers.google.com/calendar/api/v3/reference/events/list',
    'errors of the calendar': 'https://developers.google.com/calendar/api/guides/errors',
  };

  hosts = ['accounts.google.com', 'oauth2.googleapis.com', 'www.googleapis.com', 'openidconnect.googleapis.com'];

  authorizeAt = 'accounts.google.com/o/oauth2/v2/auth';

  tokenAt = 'oauth2.googleapis.com/token';

  revokeAt = 'oauth2.googleapis.com/revoke';

  key = KEY;

  /** Login → scopes granted so far. */
  granted = new Map();

  /** Login → id → event of the primary calendar. */
  events = new Map();

  /** Whether the organisation requires users to sign in again. */
  sessionOver = false;

  answer(request) {
    const { host, pathname } = request.url;
    switch (`${host}${pathname}`) {
      case 'accounts.google.com/.well-known/openid-configuration':
        return json(200, {
          issuer: 'https://accounts.google.com',
          authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
          token_endpoint: 'https://oauth2.googleapis.com/token',
          userinfo_endpoint: 'https://openidconnect.googleapis.com/v1/userinfo',
          revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
          jwks_uri: 'https://www.googleapis.com/oauth2/v3/certs',
          code_challenge_methods_supported: ['plain', 'S256'],
        });
      case 'www.googleapis.com/oauth2/v3/certs': return json(200, { keys: [publicKey(this.key)] });
      case 'openidconnect.googleapis.com/v1/userinfo': return this.#userinfo(request);
      case 'oauth2.googleapis.com/token': return this.#token(request);
      case 'oauth2.googleapis.com/revoke': return this.#revoke(request);
      case 'www.googleapis.com/calendar/v3/calendars/primary/events': return this.#events(request);
      default: return undefined;
    }
  }

  #userinfo(request) {
    const login = this.owner(bearer(request));
    if (!login) return json(401, { error: 'invalid_request', error_description: 'Invalid Credentials' });
    const { id, email } = this.user(login);
    return json(200, { sub: id, email, email_verified: true });
  }

  #token(request) {
    const params = parameters(request, 'form');
    if (this.expired || !proves(request, params, this.client, 'post', 'basic')) {
      return json(401, { error: 'invalid_client', error_description: 'The provided client secret is invalid.' });
    }
    if (params.grant_type === 'refresh_token') {
      if (this.sessionOver) {
        return json(400, { error: 'invalid_grant', error_description: 'reauth related error (invalid_rapt)', error_subtype: 'invalid_rapt' });
      }
      const grant = this.renewing(params.refresh_token, false);
      if (!grant) return json(400, { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' });
      return json(200, this.#tokens(grant));
    }
    const grant = this.redeem(params);
    if (!grant) return json(400, { error: 'invalid_grant', error_description: 'Malformed auth code.' });
    const { query, login } = grant;
    const before = this.granted.get(login) ?? [];
    const names = grant.scopes.map((scope) => SHORT[scope] ?? scope);
    const all = query.include_granted_scopes === 'true' ? [...new Set([...names, ...before])] : names;
    this.granted.set(login, [...new Set([...before, ...names])]);
    grant.scopes = all;
    const first = before.length === 0 || query.prompt === 'consent';
    const refresh = query.access_type === 'offline' && first && { refresh_token: this.refreshOf(grant, '1//') };
    return json(200, { ...this.#tokens(grant), ...refresh, id_token: this.#idToken(grant) });
  }

  #tokens(grant) {
    return { access_token: this.accessOf(grant, 'ya29.'), expires_in: 3599, scope: grant.scopes.join(' '), token_type: 'Bearer' };
  }

  #idToken({ login, query }) {
    const { id, email } = this.user(login);
    const now = this.now();
    const [, domain] = email.split('@');
    return signJwt({ alg: 'RS256', kid: this.key.kid, typ: 'JWT' }, {
      iss: 'https://accounts.google.com', azp: this.client.id, aud: this.client.id, sub: id,
      email, email_verified: true, nonce: query.nonce, iat: now, exp: now + 3600,
      ...(this.options.workspace && { hd: this.options.workspace === true ? domain : this.options.workspace }),
    }, this.key);
  }

  #revoke(request) {
    const { token } = parameters(request, 'form');
    const grant = this.access.get(token) ?? this.refreshes.get(token);
    if (!grant) return json(400, { error: 'invalid_token', error_description: 'Token expired or revoked' });
    this.withdraw(grant.login);
    return empty(200);
  }

  /** Ends a user's consent, as the user does on the page of the connections to the Google account. */
  withdraw(login) {
    this.end(login);
    this.granted.delete(login);
  }

  /** `Events: insert` and `Events: list`, for the primary calendar of the token's user. */
  #events(request) {
    if (!['GET', 'POST'].includes(request.method)) return undefined;
    const needed = request.method === 'POST' ? WRITES_EVENTS : READS_EVENTS;
    const grant = this.access.get(bearer(request));
    const realm = 'Bearer realm="https://accounts.google.com/"';
    if (!grant) {
      const about = { reason: 'authError', locationType: 'header', location: 'Authorization' };
      return failure(401, 'Invalid Credentials', about, { headers: { 'www-authenticate': `${realm}, error="invalid_token"` } });
    }
    if (!grant.scopes.some((scope) => needed.includes(scope))) {
      const challenge = `${realm}, error="insufficient_scope", scope="${needed.join(' ')}"`;
      return failure(403, 'Request had insufficient authentication scopes.', { message: 'Insufficient Permission', reason: 'insufficientPermissions' }, {
        headers: { 'www-authenticate': challenge },
        status: 'PERMISSION_DENIED',
        details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'ACCESS_TOKEN_SCOPE_INSUFFICIENT', domain: 'googleapis.com' }],
      });
    }
    return request.method === 'POST' ? this.#insertEvent(request, grant) : this.#listEvents(request, grant);
  }

  #listEvents({ url: { searchParams: query } }, { login }) {
    const ordered = query.get('orderBy') === 'startTime';
    if (ordered && query.get('singleEvents') !== 'true') {
      return failure(400, 'The requested ordering is not available for the particular query.', { reason: 'badRequest' });
    }
    const startOf = ({ start }) => Date.parse(start.dateTime ?? start.date);
    const endOf = ({ end }) => Date.parse(end.dateTime ?? end.date);
    const all = [...(this.events.get(login) ?? new Map()).values()];
    const items = all.filter((event) => endOf(event) > Date.parse(query.get('timeMin') ?? '1970-01-01'));
    if (ordered) items.sort((one, other) => startOf(one) - startOf(other));
    const most = Number(query.get('maxResults') ?? 250);
    return json(200, { kind: 'calendar#events', summary: this.user(login).email, items: items.slice(0, most) });
  }

  #insertEvent(request, { login }) {
    const event = parameters(request, 'json');
    for (const name of ['start', 'end']) {
      if (!event?.[name]?.date && !event?.[name]?.dateTime) return failure(400, `Missing ${name} time.`, { reason: 'required' });
    }
    const { id = random().slice(0, 26) } = event;
    if (!/^[0-9a-v]{5,1024}$/.test(id)) return failure(400, 'Invalid resource id value.', { reason: 'invalid' });
    if (this.events.get(login)?.has(id)) return failure(409, 'The requested identifier already exists.', { reason: 'duplicate' });
    return json(200, this.write(login, { ...event, id }));
  }

  /** Writes an event into a user's calendar. */
  write(login, event) {
    const written = { kind: 'calendar#event', status: 'confirmed', ...event, creator: { email: this.user(login).email, self: true } };
    this.events.set(login, (this.events.get(login) ?? new Map()).set(event.id, written));
    return written;
  }
}
