// SPDX-License-Identifier: Apache-2.0
// Leases: answers of an object that this isolate may serve again, until a time that the object chose, without
// asking it. The rules are the vault's, so that both Workers can be compared with leases and without.

const MAX_LEASES = 4096;
const MAX_BYTES = 4 * 1024 * 1024;

const DEFAULT_SECONDS = 15;
const LEAST_LEFT_SECONDS = 120;

/** The leases by key. A Map keeps the order of insertion, so the least recently used is the first. */
const leases = new Map();
let bytes = 0;

/**
 * Until when a token may be served again; the past if it may not.
 *
 * @param {{lease_seconds?: number}} connection  0 turns leases off
 * @param {number} expiresAt  in seconds, as `now` and the result
 */
export function leaseUntil({ lease_seconds: longest = DEFAULT_SECONDS }, expiresAt, now) {
  const left = expiresAt - now;
  return left < LEAST_LEFT_SECONDS ? 0 : now + Math.min(longest, left / 10);
}

/** The answer that was kept under this key, if it may still be served. */
export function borrowed(key, now) {
  const lease = leases.get(key);
  if (!lease) return undefined;
  leases.delete(key);
  if (lease.until <= now) {
    bytes -= lease.size;
    return undefined;
  }
  leases.set(key, lease);
  return lease.given;
}

/** Keeps an answer of an object. The key holds all that the object's decision rested on. */
export function keep(key, given, now) {
  if (given.lease_until <= now) return;
  const size = key.length + given.access_token.length + given.scope.length;
  bytes += size - (leases.get(key)?.size ?? 0);
  leases.delete(key);
  leases.set(key, { given, until: given.lease_until, size });
  for (const [oldest, { size: freed }] of leases) {
    if (leases.size <= MAX_LEASES && bytes <= MAX_BYTES) return;
    leases.delete(oldest);
    bytes -= freed;
  }
}
