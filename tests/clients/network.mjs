// SPDX-License-Identifier: Apache-2.0
// https on the loopback address: a certificate of an authority that is made for this run and that this process alone trusts, and
// host names below `localhost`, which are loopback (RFC 6761 §6.3).
//
// Browsers take the last two labels of such a name for a site. So `vault.example.localhost` and
// `app.example.localhost` are one site, and `app.other.localhost` is another.
import { X509Certificate, createHash } from 'node:crypto';
import dns from 'node:dns';
import { createServer as createTlsServer } from 'node:https';
import tls from 'node:tls';
import { newCertificates } from '../../xtask/js/certificates.mjs';

export const VAULT_HOST = 'vault.example.localhost';
export const APP_HOST = 'app.example.localhost';
export const OTHER_HOST = 'app.other.localhost';

/**
 * Makes this process trust a new authority and resolve the host names. Returns the authority's certificate, one for
 * the host names, its private key, and `pin`, by which Chromium accepts it.
 */
export function trustLoopback() {
  const made = newCertificates([VAULT_HOST, APP_HOST, OTHER_HOST]);
  trust(made.ca);
  const publicKeyInfo = new X509Certificate(made.certificate).publicKey.export({ type: 'spki', format: 'der' });
  return { ...made, pin: createHash('sha256').update(publicKeyInfo).digest('base64') };
}

/**
 * Makes this process trust an authority, and no other, and resolve the host names. Platforms differ in whether
 * they resolve names below `localhost`.
 *
 * @param {string} authority  its certificate
 */
export function trust(authority) {
  tls.setDefaultCACertificates([authority]);
  const { lookup } = dns;
  const local = (/** @type {string} */ host, ...rest) => {
    const name = host.endsWith('.localhost') ? '127.0.0.1' : host;
    return /** @type {any} */ (lookup)(name, ...rest);
  };
  dns.lookup = /** @type {typeof lookup} */ (local);
}

/**
 * Serves a plain http server with https on a port of the loopback address.
 *
 * @param {{key: string, certificate: string}} made
 * @param {number} port
 * @param {import('node:http').RequestListener} listener
 * @returns {Promise<{close(): Promise<void>}>}
 */
export async function serveTls({ key, certificate }, port, listener) {
  const server = createTlsServer({ key, cert: certificate }, listener);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  return {
    close: () => new Promise((resolve) => {
      server.close(() => resolve(undefined));
      server.closeAllConnections();
    }),
  };
}
