// SPDX-License-Identifier: Apache-2.0
// The minimum of the connect that gives the exchange a token to release.
import { DurableObject } from 'cloudflare:workers';
import { randomText, tokenRequest } from './common.mjs';

export class ConnectSession extends DurableObject {
  async put(values) {
    await this.ctx.storage.put({ ...await this.get(), ...values });
  }

  async get() {
    return Object.fromEntries(await this.ctx.storage.list());
  }
}

const session = (env, id) => env.CONNECT_SESSION.get(env.CONNECT_SESSION.idFromName(id));

async function userOf(request, env, verifyUser) {
  const jwt = request.headers.get('authorization')?.replace(/^Bearer /, '') ?? '';
  return verifyUser(jwt, env, `${env.PUBLIC_URL}/me/`);
}

export async function startConnect(request, env, verifyUser) {
  const user = await userOf(request, env, verifyUser);
  const { connection, redirect_uri: redirectUri, state } = await request.json();
  const id = randomText();
  await session(env, id).put({ iss: user.iss, sub: user.sub, connection, redirectUri, state });
  return Response.json({
    auth_session: id,
    connect_uri: `${env.PUBLIC_URL}/connected-accounts/connect`,
    connect_params: { ticket: id },
    expires_in: 300,
  }, { status: 201 });
}

export async function openTicket(request, env) {
  const id = new URL(request.url).searchParams.get('ticket');
  const { connection: name } = await session(env, id).get();
  const connection = env.CONNECTIONS[name];
  const url = new URL(`${connection.issuer}/auth`);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: connection.client_id,
    redirect_uri: `${env.PUBLIC_URL}/callback/${name}`,
    scope: connection.scopes.join(' '),
    state: id,
    ...connection.authorization_params,
    ...await challenge(env, id),
  }).toString();
  return new Response(null, { status: 303, headers: { location: url.href } });
}

async function challenge(env, id) {
  const verifier = randomText() + randomText();
  await session(env, id).put({ verifier });
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const text = new Uint8Array(hash).toBase64({ alphabet: 'base64url', omitPadding: true });
  return { code_challenge: text, code_challenge_method: 'S256' };
}

export async function callback(request, env) {
  const params = new URL(request.url).searchParams;
  const id = params.get('state');
  const { redirectUri, state } = await session(env, id).get();
  const connectCode = randomText();
  await session(env, id).put({ code: params.get('code'), connectCode });
  const back = new URL(redirectUri);
  back.searchParams.set('connect_code', connectCode);
  back.searchParams.set('state', state);
  return new Response(null, { status: 303, headers: { location: back.href } });
}

export async function complete(request, env, verifyUser) {
  const user = await userOf(request, env, verifyUser);
  const { auth_session: id, connect_code: connectCode } = await request.json();
  const { iss, sub, connection, code, verifier, connectCode: expected } = await session(env, id).get();
  if (user.iss !== iss || user.sub !== sub || connectCode !== expected) return new Response(null, { status: 403 });
  const tokens = await tokenRequest(env, connection, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: `${env.PUBLIC_URL}/callback/${connection}`,
  });
  const name = JSON.stringify([iss, sub, connection]);
  await env.VAULT.get(env.VAULT.idFromName(name)).keep({ connection, name }, tokens);
  return Response.json({ id: 'cac_1', connection, scopes: tokens.scope.split(' ') }, { status: 201 });
}
