// SPDX-License-Identifier: Apache-2.0
// A simulator that follows a provider's documented format, as described in shapes.mjs.
import { newSigningKey, publicKey, signJwt } from '../tokens.mjs';
import { Simulator, basic, bearer, empty, json, parameters, proves } from './simulator.mjs';

const KEY = newSigningKey('RS256');

export class Shaped extends Simulator {
  /** @param {any} shape  one of shapes.mjs */
  constructor(shape) {
    super(shape);
    this.shape = shape;
    if (shape.idParameter) this.client.parameter = shape.idParameter;
    this.authorizeAt = shape.authorize;
    this.tokenAt = shape.token;
    this.revokeAt = shape.revoke;
    this.separator = shape.separator ?? ' ';
    const addresses = [shape.authorize, shape.token, shape.me?.at, shape.issuer, shape.revoke].filter(Boolean);
    this.hosts = [...new Set(addresses.map((address) => address.split('/')[0]))];
    this.callback = (login) => shape.callback?.(this.user(login)) ?? {};
    // Unless another response is documented, an ended grant has the error of RFC 6749.
    this.sources = { connect: shape.source, revoke: shape.revokeSource, dead: shape.deadSource ?? 'https://www.rfc-editor.org/rfc/rfc6749#section-5.2' };
  }

  flawOf(query) {
    const { asks = {}, pkce, scopes = true, issuer } = this.shape;
    for (const [name, value] of Object.entries(asks)) if (query[name] !== value) return name;
    if (pkce === 'required' && query.code_challenge_method !== 'S256') return 'code_challenge';
    if (pkce === 'refused' && query.code_challenge !== undefined) return 'code_challenge';
    if (!scopes && query.scope !== undefined) return 'scope';
    if (issuer && !query.nonce) return 'nonce';
    if (this.shape.idParameter && query.client_id !== undefined) return 'client_id';
    return undefined;
  }

  answer(request) {
    const { shape } = this;
    const { host, pathname } = request.url;
    const at = `${host}${pathname}`;
    if (shape.issuer && at === `${shape.issuer}/.well-known/openid-configuration`) return json(200, this.#metadata());
    if (shape.issuer && at === `${shape.issuer}/keys`) return json(200, { keys: [publicKey(KEY)] });
    if (at === shape.me?.at) return this.#me(request);
    if (at === shape.revoke) return this.#revoke(request);
    return at === shape.token && this.#token(request);
  }

  #revoke(request) {
    const { shape } = this;
    const { auth = shape.auth, bodies = shape.bodies ?? ['form'], parameter = 'token', access = false } = shape.revokes ?? {};
    const params = request.method === 'POST' && parameters(request, ...bodies);
    const { id, secret } = this.client;
    const known = auth === 'none' || (auth === 'client'
      ? request.headers.authorization === `Client ${secret}` && params.client_id === id
      : proves(request, params, this.client, auth));
    if (!params || !known) return json(401, { error: 'invalid_client' });
    const login = access && this.owner(params[parameter]);
    if (login) this.end(login);
    return login || this.refreshes.delete(params[parameter]) ? empty(200) : json(400, shape.dead ?? { error: 'invalid_request' });
  }

  #metadata() {
    const { issuer, authorize, token, me } = this.shape;
    return {
      issuer: `https://${issuer}`, jwks_uri: `https://${issuer}/keys`, authorization_endpoint: `https://${authorize}`,
      token_endpoint: `https://${token}`, ...(me && { userinfo_endpoint: `https://${me.at}` }),
    };
  }

  #me(request) {
    const { me } = this.shape;
    const token = me.scheme ? request.headers.authorization?.replace(`${me.scheme} `, '') : bearer(request);
    const login = this.owner(token);
    if (!login || request.method !== (me.method ?? 'GET')) return json(401, { message: 'Unauthorized' });
    for (const name of me.headers ?? []) if (!request.headers[name]) return json(400, { message: name });
    return json(200, me.says(this.user(login)));
  }

  #token(request) {
    const { shape } = this;
    const params = parameters(request, ...(shape.bodies ?? ['form']));
    const key = shape.auth === 'key' && basic(request)?.user === this.client.secret;
    if (!params || !(key || proves(request, params, this.client, shape.auth))) return json(401, { error: 'invalid_client' });
    const refresh = params.grant_type === 'refresh_token';
    const wanted = { ...shape.sends, ...(refresh && shape.renews) };
    for (const [name, value] of Object.entries(wanted)) {
      if (params[name] !== (value === 'callback' ? this.redirectUri : value)) return json(400, { error: 'invalid_request', error_description: name });
    }
    if (shape.pkce === 'refused' && params.code_verifier !== undefined) return json(400, { error: 'invalid_request' });
    const never = [...(shape.never ?? []), ...(shape.idParameter ? ['client_id'] : [])];
    for (const name of never) if (params[name] !== undefined) return json(400, { error: 'invalid_request', error_description: name });
    const code = never.includes('redirect_uri') ? { ...params, redirect_uri: this.redirectUri } : params;
    const grant = refresh ? this.renewing(params.refresh_token, shape.once) : this.redeem(code);
    if (!grant) return json(400, (refresh && shape.dead) || { error: 'invalid_grant' });
    const again = shape.refresh !== false && (!refresh || shape.once) && { refresh_token: this.refreshOf(grant) };
    const scope = shape.told?.(grant.scopes) ?? { scope: grant.scopes.join(this.separator) };
    return json(200, {
      access_token: this.accessOf(grant), token_type: 'Bearer', ...(shape.tells !== false && { expires_in: shape.life ?? 0 }),
      ...(shape.tellsAt && { [shape.tellsAt]: new Date((this.now() + shape.life) * 1000).toISOString().replace(/\.\d+Z/, 'Z') }),
      ...again, ...scope, ...shape.says?.(this.user(grant.login)), ...(shape.issuer && !refresh && { id_token: this.#idToken(grant) }),
    });
  }

  #idToken({ login, query }) {
    const { id, email, name } = this.user(login);
    const iat = this.now();
    return signJwt({ alg: 'RS256', kid: KEY.kid }, {
      iss: `https://${this.shape.issuer}`, sub: id, aud: this.client.id, iat, exp: iat + 600, nonce: query.nonce, email, name,
    }, KEY);
  }
}
