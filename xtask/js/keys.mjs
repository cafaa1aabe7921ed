// SPDX-License-Identifier: Apache-2.0
// The signing keys of the development provider, and files for secrets.
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import {
  closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Reads the key set from `file`, and generates it on first use. The keys are kept across starts, because
 * verifiers may still cache the old key when a restarted provider would sign with a new one.
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

/** A new RS256 key whose kid is its thumbprint, so that two keys never have the same kid. */
export function newKeys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' });
  return { keys: [{ ...jwk, kid: thumbprint(jwk), alg: 'RS256', use: 'sig' }] };
}

/** The JWK thumbprint (RFC 7638 §3): of the required members in alphabetical order, without white space. */
export function thumbprint(jwk) {
  const members = jwk.kty === 'EC'
    ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
    : { e: jwk.e, kty: jwk.kty, n: jwk.n };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** Writes a file that only its owner can read. It replaces the file atomically. */
export function writePrivate(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  // `wx`, because the mode applies only when the file is created: an existing file must not be reused.
  const handle = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(handle, text.endsWith('\n') ? text : `${text}\n`);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, file);
}
