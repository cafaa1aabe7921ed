// SPDX-License-Identifier: Apache-2.0
// Creates JWTs for tests: subject tokens, which may have a chosen flaw, and client assertions.
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { thumbprint } from '../../xtask/js/keys.mjs';

const now = () => Math.floor(Date.now() / 1000);

/**
 * @param {Record<string, any>} header  with `alg` RS256, ES256 or none
 * @param {object} claims
 * @param {import('node:crypto').JsonWebKey} [jwk]   private key
 */
export function signJwt(header, claims, jwk) {
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  if (header.alg === 'none') return `${input}.`;
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/**
 * An access token in the form of the identity provider's (RFC 9068); `claims` override the default ones.
 *
 * @param {{issuer: string, audience?: string | string[], sub: string, clientId: string, key: any,
 *   claims?: Record<string, any>, header?: Record<string, any>}} token
 */
export function accessToken({ issuer, audience, sub, clientId, key, claims = {}, header = {} }) {
  return signJwt({ alg: 'RS256', typ: 'at+jwt', kid: key.kid, ...header }, {
    iss: issuer,
    aud: audience,
    sub,
    client_id: clientId,
    jti: randomUUID(),
    iat: now(),
    exp: now() + 3600,
    ...claims,
  }, key);
}

/** The client assertion of a private_key_jwt client (RFC 7523 §3). */
export function clientAssertion({ clientId, audience, key, claims = {} }) {
  return signJwt({ alg: key.alg, kid: key.kid, typ: 'JWT' }, {
    iss: clientId,
    sub: clientId,
    aud: audience,
    jti: randomUUID(),
    iat: now(),
    exp: now() + 120,
    ...claims,
  }, key);
}

/** A new private JWK. */
export function newSigningKey(alg) {
  const { privateKey } = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: thumbprint(jwk), alg, use: 'sig' };
}

/**
 * The public members of a key, as they are published or configured.
 *
 * @param {import('node:crypto').JsonWebKey & Record<string, any>} key
 */
export function publicKey({ kty, crv, x, y, n, e, kid, alg, use }) {
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use }));
}

export { now };
