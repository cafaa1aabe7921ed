// SPDX-License-Identifier: Apache-2.0
// https on the loopback address: a certificate that is made for this run and that this process alone trusts, and
// host names below `localhost`, which are loopback (RFC 6761 §6.3).
//
// Browsers take the last two labels of such a name for a site. So `vault.example.localhost` and
// `app.example.localhost` are one site, and `app.other.localhost` is another.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import dns from 'node:dns';
import { createServer as createTlsServer } from 'node:https';
import tls from 'node:tls';

export const VAULT_HOST = 'vault.example.localhost';
export const APP_HOST = 'app.example.localhost';
export const OTHER_HOST = 'app.other.localhost';

const DAY = 86_400_000;

/** A value in DER (X.690 §8.1): its tag, its length and its content. */
function der(tag, ...content) {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)));
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...content) => der(0x30, ...content);
const utcTime = (/** @type {number} */ time) => (
  der(0x17, Buffer.from(`${new Date(time).toISOString().replace(/\D/g, '').slice(2, 14)}Z`))
);

// Object identifiers: ecdsa-with-SHA256, commonName, subjectAltName.
const ECDSA_SHA256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
const COMMON_NAME = der(0x06, [0x55, 0x04, 0x03]);
const ALTERNATIVE_NAME = der(0x06, [0x55, 0x1d, 0x11]);

/**
 * A self-signed certificate for the host names (RFC 5280 §4.1), with its private key; both are PEM. `pin` is what
 * Chromium accepts it by.
 */
function newCertificate() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from('Tests of edge-token-vault')))));
  const hosts = [VAULT_HOST, APP_HOST, OTHER_HOST].map((host) => der(0x82, Buffer.from(host)));
  const content = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1], randomBytes(15)),
    ECDSA_SHA256,
    name,
    sequence(utcTime(Date.now() - DAY), utcTime(Date.now() + DAY)),
    name,
    publicKeyInfo,
    der(0xa3, sequence(sequence(ALTERNATIVE_NAME, der(0x04, sequence(...hosts))))),
  );
  const certificate = sequence(content, ECDSA_SHA256, der(0x03, [0], sign('sha256', content, privateKey)));
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    key: /** @type {string} */ (privateKey.export({ type: 'pkcs8', format: 'pem' })),
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    pin: createHash('sha256').update(publicKeyInfo).digest('base64'),
  };
}

/** Makes this process trust a new certificate and resolve the host names; returns the certificate. */
export function trustLoopback() {
  const made = newCertificate();
  trust(made.certificate);
  return made;
}

/**
 * Makes this process trust a certificate, and no other, and resolve the host names. Platforms differ in whether
 * they resolve names below `localhost`.
 *
 * @param {string} certificate
 */
export function trust(certificate) {
  tls.setDefaultCACertificates([certificate]);
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
