// SPDX-License-Identifier: Apache-2.0
// Functions that the exchange and the connect of the peer share.

let offset = 0;

/** Lets tests move the clock. */
export async function moveClock(request) {
  offset = (await request.json()).offset_seconds;
  return new Response(null, { status: 204 });
}

export const now = () => Math.floor(Date.now() / 1000) + offset;

export async function sha256Hex(text) {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex();
}

/** Compares in constant time. */
export function sameText(one, other) {
  const [a, b] = [one, other].map((text) => new TextEncoder().encode(text));
  // `timingSafeEqual` exists only on the Workers platform.
  return a.length === b.length && /** @type {any} */ (crypto.subtle).timingSafeEqual(a, b);
}

export const randomText = () => crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: 'base64url' });

/** Sends a token request to the connection's provider. */
export async function tokenRequest(env, name, params) {
  const connection = env.CONNECTIONS[name];
  const secret = JSON.parse(env.PROVIDER_SECRETS)[name];
  const response = await fetch(`${connection.issuer}/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${btoa([connection.client_id, secret].map(encodeURIComponent).join(':'))}`,
    },
    body: new URLSearchParams(params),
  });
  if (!response.ok) throw new Error(`the provider responded ${response.status}`);
  return response.json();
}
