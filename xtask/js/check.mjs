// SPDX-License-Identifier: Apache-2.0
// Checks that the issuers and providers of a configuration can be reached and match it. It reads
// { issuers: [{issuer, jwks_uri, algorithms}], connections: [{name, issuer, pattern?, own_parameters?} | {name, endpoints}] }
// from standard input. The exit code is 1 if something will not work.
import { createPublicKey } from 'node:crypto';
import { text } from 'node:stream/consumers';

const TIME = 10_000;
const KIND = { RS256: 'RSA', PS256: 'RSA', ES256: 'EC P-256', EdDSA: 'OKP Ed25519' };

let failed = false;
const say = (line) => console.log(`  ${line}`);
const fail = (line) => { failed = true; say(`FAILS: ${line}`); };

/** A response that is not usable, and what to try. */
class Unusable extends Error {}

async function get(url) {
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIME), headers: { accept: 'application/json' } });
  const { status } = response;
  if (status >= 300 && status < 400) {
    throw new Unusable(`it redirects (${status}) to ${response.headers.get('location')}. The vault follows no redirects: configure the address that answers itself`);
  }
  if (status === 404) throw new Unusable('it responds 404. Compare the issuer with the provider\'s documentation, or configure the addresses themselves (jwks_uri, or kind = "oauth2" with endpoints)');
  if (status !== 200) throw new Unusable(`it responds ${status}. ${status >= 500 ? 'Try again later' : 'It must answer everybody, without authentication'}`);
  return response.json().catch(() => { throw new Unusable('its response is not JSON. Compare the address with the provider\'s documentation'); });
}

/** What to try after a request without response, by Node's error code. */
const TRY = {
  ENOTFOUND: 'no such host. Check its spelling, and that this machine is connected to the Internet',
  EAI_AGAIN: 'the host could not be looked up. Check that this machine is connected to the Internet',
  ECONNREFUSED: 'nothing listens there. Check host and port, and that the server is up',
  ECONNRESET: 'the server closed the connection. Check that it speaks https there, and try again',
  UND_ERR_SOCKET: 'the server closed the connection. Check that it speaks https there, and try again',
  EPROTO: 'it does not speak https there. Check scheme and port',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak https there. Check scheme and port',
  CERT_HAS_EXPIRED: 'its certificate has expired. The server must renew it: the Worker refuses it too',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host. Check the host: the Worker refuses it too',
};
const UNTRUSTED = ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'];

/** Why a request failed, and what to try. */
function why(error) {
  if (error instanceof Unusable) return error.message;
  const code = error.cause?.code ?? error.name;
  if (error.name === 'TimeoutError') return `no response within ${TIME / 1000} s. Check that this machine may reach it (proxy, firewall), and try again`;
  if (UNTRUSTED.includes(code)) return `its certificate is of an authority that is not trusted (${code}). The Worker trusts public ones only`;
  return `${TRY[code] ?? 'no response. Check host, port and network'} (${code}). --offline checks without requests`;
}

/**
 * Fetches an issuer's metadata document. For an issuer with one document for all tenants, `pattern` says
 * which `issuer` the document may have.
 */
async function metadata(issuer, pattern = issuer) {
  const url = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
  const document = await get(url).catch((error) => fail(`${url}: ${why(error)}`));
  const [before, after] = pattern.split('*');
  const fits = (found) => (after === undefined ? found === issuer : found?.startsWith(before) && found.endsWith(after));
  if (document && !fits(document.issuer)) {
    return fail(`its metadata has the issuer ${document.issuer}; configure exactly that, including any slash`);
  }
  return document;
}

/** Why the vault uses no key of this form; undefined if it does. `crates/jose/src/jwk.rs` has the rules. */
function flawOf(key) {
  if (key === null || typeof key !== 'object' || typeof key.kty !== 'string') return 'is no JWK';
  if (key.d !== undefined || key.k !== undefined) return 'is private or symmetric; a published key must be public';
  if ((key.use ?? 'sig') !== 'sig' || !(key.key_ops ?? ['verify']).includes('verify')) return 'is not for signatures (use, key_ops)';
  const kind = kindOf(key);
  if (!Object.values(KIND).includes(kind)) return `has the type ${kind}; the vault supports RSA, EC P-256 and OKP Ed25519`;
  if (key.alg !== undefined && KIND[key.alg] !== kind) return `is for ${key.alg}, which the vault does not support for ${kind}`;
  try {
    const { modulusLength: bits = 2048 } = createPublicKey({ key, format: 'jwk' }).asymmetricKeyDetails ?? {};
    return bits < 2048 || bits > 8192 ? `has ${bits} bits; the vault supports RSA of 2048 to 8192 bits` : undefined;
  } catch {
    return 'is malformed';
  }
}

const kindOf = (key) => [key.kty, key.crv].filter(Boolean).join(' ');

/** Fetches a key set and names each key that the vault cannot use. Returns the usable ones. */
async function keySet(uri) {
  const set = await get(uri).catch((error) => fail(`${uri}: ${why(error)}`));
  if (!set) return undefined;
  const keys = Array.isArray(set.keys) ? set.keys : [];
  const usable = keys.filter((key, index) => {
    const flaw = flawOf(key);
    if (flaw) say(`does not use the key at index ${index}${key?.kid === undefined ? '' : ` (kid ${key.kid})`} of ${uri}: it ${flaw}`);
    return flaw === undefined;
  });
  if (usable.length === 0) fail(`${uri} has no key that the vault can use${keys.length === 0 ? ': it has no keys' : ''}`);
  return usable;
}

async function askIssuer({ issuer, jwks_uri: given, algorithms }) {
  console.log(`\nChecking the issuer ${issuer}`);
  const uri = given ?? (await metadata(issuer))?.jwks_uri;
  if (!uri) return;
  const keys = await keySet(uri);
  if (!keys?.length) return;
  const kinds = new Set(keys.map(kindOf));
  say(`${keys.length} signature keys: ${[...kinds].join(', ')}`);
  if (!algorithms.some((name) => kinds.has(KIND[name]))) fail(`no key is for ${algorithms.join(', ')}: configure \`algorithms\` that its keys are for`);
}

async function askConnection({ name, issuer, pattern, own_parameters: own = [], endpoints }) {
  console.log(`\nChecking the provider of ${name}`);
  if (endpoints) {
    for (const url of endpoints) {
      // Any response will do: without valid parameters no particular status is expected.
      await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(TIME) })
        .then((response) => say(`${url} responds (${response.status})`), (error) => fail(`${url}: ${why(error)}`));
    }
    return;
  }
  const document = await metadata(issuer, pattern ?? undefined);
  if (!document) return;
  for (const member of ['authorization_endpoint', 'token_endpoint', 'jwks_uri']) {
    if (!document[member]) fail(`its metadata lacks ${member}`);
  }
  if (document.jwks_uri) await keySet(document.jwks_uri);
  const query = URL.parse(document.authorization_endpoint)?.searchParams;
  for (const parameter of own.filter((one) => query?.has(one))) {
    fail(`its authorization_endpoint has the parameter ${parameter}, which the vault sets itself; configure authorization_endpoint without it`);
  }
  const says = (member, value) => document[member]?.includes(value);
  say(says('code_challenge_methods_supported', 'S256') ? 'supports PKCE' : 'does not say that it supports PKCE');
  say(says('scopes_supported', 'offline_access') ? 'gives refresh tokens for the scope offline_access' : 'does not name the scope offline_access; look up how it gives refresh tokens');
  say(document.revocation_endpoint ? 'revokes the tokens of deleted accounts' : 'cannot revoke: tokens of deleted accounts stay valid until they expire');
}

const { issuers, connections } = JSON.parse(await text(process.stdin));
for (const issuer of issuers) await askIssuer(issuer);
for (const connection of connections) await askConnection(connection);
process.exitCode = failed ? 1 : 0;
