// SPDX-License-Identifier: Apache-2.0
// Signing keys of the development provider, and files that hold secrets.
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import {
  closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * The key set in `file`, made on first use. It is kept because the provider forgets everything
 * else when it stops: a new key on each start would meet verifiers that still cache the old one.
 *
 * @returns {{keys: object[]}} private JWKs
 */
export function loadKeys(file) {
  if (!file) return newKeys();
  if (!existsSync(file)) writePrivate(file, JSON.stringify(newKeys(), null, 2));
  const jwks = JSON.parse(readFileSync(file, 'utf8'));
  for (const key of jwks.keys) createPrivateKey({ key, format: 'jwk' });
  return jwks;
}

/** One fresh RS256 key, named by its thumbprint: a new key can then never wear an old kid. */
export function newKeys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' });
  return { keys: [{ ...jwk, kid: thumbprint(jwk), alg: 'RS256', use: 'sig' }] };
}

/** RFC 7638: the required members only, in alphabetical order, without white space. */
export function thumbprint(jwk) {
  const members = jwk.kty === 'EC'
    ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
    : { e: jwk.e, kty: jwk.kty, n: jwk.n };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** Writes a file that only its owner reads, complete or not at all. */
export function writePrivate(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  // `wx`: the mode counts at creation only, so a file left by somebody else must not be reused.
  const handle = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(handle, text.endsWith('\n') ? text : `${text}\n`);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, file);
}
