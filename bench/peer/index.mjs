// SPDX-License-Identifier: Apache-2.0
// The Worker with which the vault is compared: the same exchange as one would write it in JavaScript, with
// jose, WebCrypto and a SQLite Durable Object. It passes the vault's end-to-end cases of the exchange
// (tests/e2e/exchange-cases.mjs) and implements nothing else.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { callback, complete, openTicket, startConnect } from './connect.mjs';
import { moveClock, now, sha256Hex, sameText } from './common.mjs';
import { borrowed, keep } from './leases.mjs';

export { ConnectSession } from './connect.mjs';
export { Vault } from './vault.mjs';

const GRANTS = {
  'urn:ietf:params:oauth:grant-type:token-exchange': {
    target: 'audience',
    issued: 'urn:ietf:params:oauth:token-type:access_token',
    refused: [400, 'invalid_request'],
  },
  'urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token': {
    target: 'connection',
    issued: 'http://auth0.com/oauth/token-type/federated-connection-access-token',
    refused: [403, 'invalid_grant'],
  },
};
const PARAMETERS = ['grant_type', 'subject_token', 'audience', 'connection', 'client_id', 'client_secret'];
const MAX_BODY = 64 * 1024;
const REMEMBERED_TOKENS = 2048;

const keySets = new Map();
const verified = new Map();

class Refused extends Error {
  constructor(status, code, description, headers = {}) {
    super(description);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const route = `${request.method} ${pathname}`;
    if (route === 'POST /oauth/token') return token(request, env);
    if (route === 'POST /me/v1/connected-accounts/connect') return startConnect(request, env, verifyUser);
    if (route === 'POST /me/v1/connected-accounts/complete') return complete(request, env, verifyUser);
    if (route === 'GET /connected-accounts/connect') return openTicket(request, env);
    if (route === 'GET /callback/demo') return callback(request, env);
    if (route === 'GET /health') return Response.json({ status: 'ok' });
    if (route === 'POST /test-clock') return moveClock(request);
    return new Response(null, { status: 404 });
  },
};

async function token(request, env) {
  const started = Date.now();
  const line = { event: 'request', route: 'POST /oauth/token' };
  try {
    const body = await exchange(request, env, line);
    line.status = 200;
    return answer(200, body);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    line.status = error.status;
    line.error = error.code;
    return answer(error.status, { error: error.code, error_description: error.message }, error.headers);
  } finally {
    line.duration_ms = Date.now() - started;
    console.log(JSON.stringify(line));
  }
}

function answer(status, body, headers = {}) {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', pragma: 'no-cache', ...headers },
  });
}

async function exchange(request, env, line) {
  const params = await parameters(request);
  const grant = GRANTS[params.grant_type];
  if (!grant) throw new Refused(400, 'unsupported_grant_type', 'unknown grant_type');
  const [clientId, client] = await authenticate(request.headers.get('authorization'), params, env);
  line.client_id = clientId;
  const connection = params[grant.target];
  if (!params.subject_token || !connection) throw new Refused(400, 'invalid_request', 'a parameter is missing');
  const user = await verifyUser(params.subject_token, env, `${env.PUBLIC_URL}/`).catch(() => refuseToken(grant));
  if (user.client_id !== clientId && !client.accepts_from?.includes(user.client_id)) refuseToken(grant);
  if (!env.CONNECTIONS[connection] || !client.connections.includes(connection)) {
    throw new Refused(400, 'invalid_target', 'no such connection');
  }
  line.connection = connection;
  const key = JSON.stringify([clientId, user.iss, user.sub, connection]);
  const given = borrowed(key, now()) ?? await ask(env, user, connection, key);
  return {
    access_token: given.access_token,
    issued_token_type: grant.issued,
    token_type: 'Bearer',
    expires_in: given.expires_at - now(),
    scope: given.scope,
  };
}

async function ask(env, { iss, sub }, connection, key) {
  const name = JSON.stringify([iss, sub, connection]);
  const given = await env.VAULT.get(env.VAULT.idFromName(name)).release({ connection, name });
  if (given.error) throw new Refused(given.status, given.error, given.description);
  keep(key, given, now());
  return given;
}

function refuseToken({ refused: [status, code] }) {
  throw new Refused(status, code, 'the subject token is not accepted');
}

async function parameters(request) {
  if (Number(request.headers.get('content-length')) > MAX_BODY) throw new Refused(413, 'invalid_request', 'too large');
  const text = await request.text();
  if (request.headers.get('content-type')?.startsWith('application/json')) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Refused(400, 'invalid_request', 'not JSON');
    }
  }
  const params = {};
  for (const [name, value] of new URLSearchParams(text)) {
    if (params[name] !== undefined && PARAMETERS.includes(name)) {
      throw new Refused(400, name === 'audience' ? 'invalid_target' : 'invalid_request', `${name} is repeated`);
    }
    params[name] = value;
  }
  return params;
}

async function authenticate(authorization, params, env) {
  const basic = authorization?.startsWith('Basic ') && atob(authorization.slice(6)).split(':').map(decodeURIComponent);
  const [id, secret] = basic || [params.client_id, params.client_secret];
  const client = env.CLIENTS[id];
  const hash = secret && await sha256Hex(secret);
  if (!hash || !client?.secret_sha256?.some((known) => sameText(known, hash))) {
    throw new Refused(401, 'invalid_client', 'client authentication failed', basic ? { 'www-authenticate': 'Basic' } : {});
  }
  return [id, client];
}

/** Verifies a user's access token for the given audience, and returns its claims. */
async function verifyUser(jwt, env, audience) {
  const known = verified.get(jwt);
  if (known && known.aud === audience && known.exp > now()) return known;
  const { iss } = decodeJwt(jwt);
  const issuer = Object.values(env.ISSUERS).find((one) => one.issuer === iss);
  if (!issuer) throw new Error('unknown issuer');
  const { payload } = await jwtVerify(jwt, keysOf(iss), {
    issuer: iss,
    audience,
    algorithms: issuer.algorithms,
    typ: issuer.typ,
    requiredClaims: ['exp', 'iat', 'sub', 'client_id'],
    clockTolerance: 60,
  });
  if (payload.exp - payload.iat > 24 * 3600) throw new Error('lives too long');
  verified.set(jwt, payload);
  if (verified.size > REMEMBERED_TOKENS) verified.delete(verified.keys().next().value);
  return payload;
}

function keysOf(issuer) {
  let keys = keySets.get(issuer);
  if (!keys) {
    keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
    keySets.set(issuer, keys);
  }
  return keys;
}
