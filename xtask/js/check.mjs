// SPDX-License-Identifier: Apache-2.0
// Checks that the issuers and providers of a configuration can be reached and match it. It reads
// { issuers: [{issuer, jwks_uri, algorithms}], connections: [{name, issuer, pattern?, own_parameters?} | {name, endpoints}] }
// from standard input. The exit code is 1 if something will not work.
import { text } from 'node:stream/consumers';

const TIME = 10_000;
const KIND = { RS256: 'RSA', PS256: 'RSA', ES256: 'EC P-256', EdDSA: 'OKP Ed25519' };

let failed = false;
const say = (line) => console.log(`  ${line}`);
const fail = (line) => { failed = true; say(`FAILS: ${line}`); };

async function get(url) {
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIME), headers: { accept: 'application/json' } });
  if (response.status !== 200) throw new Error(`${url} responds ${response.status}`);
  return response.json();
}

const why = (error) => error.cause?.code ?? error.message;

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

async function askIssuer({ issuer, jwks_uri: given, algorithms }) {
  console.log(`\nChecking the issuer ${issuer}`);
  const uri = given ?? (await metadata(issuer))?.jwks_uri;
  if (!uri) return;
  const set = await get(uri).catch((error) => fail(`${uri}: ${why(error)}`));
  if (!set) return;
  const keys = (set.keys ?? []).filter((key) => (key.use ?? 'sig') === 'sig');
  const kinds = new Set(keys.map((key) => [key.kty, key.crv].filter(Boolean).join(' ')));
  say(`${keys.length} signature keys: ${[...kinds].join(', ') || 'none'}`);
  if (!algorithms.some((name) => kinds.has(KIND[name]))) fail(`no key is for ${algorithms.join(', ')}`);
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
