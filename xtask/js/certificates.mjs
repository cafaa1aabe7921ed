// SPDX-License-Identifier: Apache-2.0
// The certificates of a development run, or of tests, with https: one of an authority, which clients trust, and one of the
// servers on the loopback address, which the authority has signed.
//
//   node xtask/js/certificates.mjs <directory>
//
// writes ca.pem, server.pem and server-key.pem, unless the directory has some that are valid for another week.
// The authority's key is forgotten at once, so that nobody can sign another certificate with it.
import { X509Certificate, createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writePrivate } from './keys.mjs';

const DAY = 86_400_000;
const LIFE = 90 * DAY;
const LEFT = 7 * DAY;

/** A value in DER (X.690 §8.1, §10.1): its tag, its length in the shortest form, and its content. */
function der(tag, ...content) {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)));
  const { length: size } = body;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...content) => der(0x30, ...content);
const octets = (content) => der(0x04, content);
const identifier = (...bytes) => der(0x06, bytes);
const utcTime = (/** @type {number} */ time) => (
  der(0x17, Buffer.from(`${new Date(time).toISOString().replace(/\D/g, '').slice(2, 14)}Z`))
);

const ECDSA_SHA256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const COMMON_NAME = identifier(0x55, 0x04, 0x03);
const SERVER_AUTHENTICATION = identifier(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01);

/** An extension of a certificate (RFC 5280 §4.2): the last byte of its identifier, and its value. */
const extension = (number, value, critical = false) => (
  sequence(identifier(0x55, 0x1d, number), ...(critical ? [der(0x01, [0xff])] : []), octets(value))
);
const keyId = (publicKeyInfo) => createHash('sha256').update(publicKeyInfo).digest().subarray(0, 20);
const named = (text) => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))));

const pem = (content) => (
  `-----BEGIN CERTIFICATE-----\n${content.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
);

/** A certificate (RFC 5280 §4.1) in PEM. */
function certify({ subject, issuer, publicKeyInfo, signer, extensions }) {
  const content = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [1], randomBytes(15)),
    ECDSA_SHA256,
    named(issuer),
    sequence(utcTime(Date.now() - DAY), utcTime(Date.now() + LIFE)),
    named(subject),
    publicKeyInfo,
    der(0xa3, sequence(...extensions)),
  );
  return pem(sequence(content, ECDSA_SHA256, der(0x03, [0], sign('sha256', content, signer))));
}

/**
 * Makes an authority and a certificate for host names, 127.0.0.1 and ::1; all are PEM.
 *
 * @param {string[]} [hosts]
 */
export function newCertificates(hosts = ['localhost']) {
  const pair = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { privateKey, publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }) };
  };
  const [authority, server] = [pair(), pair()];
  const issuer = `edge-token-vault development ${randomBytes(4).toString('hex')}`;
  const by = { issuer, signer: authority.privateKey };
  const authorityKey = keyId(authority.publicKeyInfo);
  const ca = certify({
    ...by,
    subject: issuer,
    publicKeyInfo: authority.publicKeyInfo,
    extensions: [
      extension(0x13, sequence(der(0x01, [0xff]), der(0x02, [0])), true), // basicConstraints: CA, no CA below it
      extension(0x0f, der(0x03, [1, 0b0000_0110]), true), // keyUsage: keyCertSign, cRLSign
      extension(0x0e, octets(authorityKey)), // subjectKeyIdentifier
    ],
  });
  const names = [
    ...hosts.map((host) => der(0x82, Buffer.from(host))),
    der(0x87, [127, 0, 0, 1]),
    der(0x87, [...new Uint8Array(15), 1]),
  ];
  const certificate = certify({
    ...by,
    subject: hosts[0],
    publicKeyInfo: server.publicKeyInfo,
    extensions: [
      extension(0x13, sequence(), true),
      extension(0x0f, der(0x03, [7, 0b1000_0000]), true), // digitalSignature
      extension(0x25, sequence(SERVER_AUTHENTICATION)), // extKeyUsage
      extension(0x11, sequence(...names)), // subjectAltName
      extension(0x0e, octets(keyId(server.publicKeyInfo))),
      extension(0x23, sequence(der(0x80, authorityKey))), // authorityKeyIdentifier
    ],
  });
  const key = /** @type {string} */ (server.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { ca, certificate, key };
}

/** Whether the files of a directory are there, belong together and stay valid for a while. */
function areGood(files) {
  if (!files.every((file) => existsSync(file))) return false;
  const [ca, server] = files.slice(0, 2).map((file) => new X509Certificate(readFileSync(file)));
  const lasts = [ca, server].every((one) => Date.parse(one.validTo) > Date.now() + LEFT);
  return lasts && server.verify(ca.publicKey);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = process.argv[2];
  const files = ['ca.pem', 'server.pem', 'server-key.pem'].map((name) => join(directory, name));
  mkdirSync(directory, { recursive: true });
  if (!areGood(files)) {
    const { ca, certificate, key } = newCertificates();
    [ca, certificate, key].forEach((text, index) => { writePrivate(files[index], text); });
  }
}
