// SPDX-License-Identifier: Apache-2.0
// The text that `cargo xtask dev` prints after the main job, and the file with the variables of its commands.
import { relative } from 'node:path';
import { GRANT, TOKEN_TYPE } from './vault-api.mjs';

/** A path as a person types it. */
const typed = (path) => {
  const short = relative(process.cwd(), path);
  return short && !short.startsWith('..') ? short : path;
};

/**
 * What to open and what to type while a development run is up. The last line begins with `Ready.`; after it,
 * `cargo xtask dev` prints the requests.
 *
 * @param {any} run    the run file, see dev.mjs
 * @param {string} login  the user whose tokens are in the files
 */
export function invitation(run, login) {
  const { files } = run;
  const atVault = run.issuer === run.audience;
  const curl = files.tls ? 'curl -sS --cacert "$CA"' : 'curl -sS';
  const exchange = (type, token) => (
    `${curl} $VAULT/oauth/token -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=$TOKEN_EXCHANGE -d audience=${run.connection} -d subject_token_type=$${type} -d subject_token=$${token}`
  );
  return `
The vault is at ${run.vault}${atVault ? ', and signs its users in' : `; its users sign in at ${run.issuer}`}.
The identity provider is at ${run.identity_provider}, the provider of ${run.connection} at ${run.provider}.
Open ${run.clients.spa.redirect_uris[0]} to sign in, connect and delete by hand (any user name and password).
Each connect asks you to sign in at the provider: with another user name you connect a second account.
${run.app
    ? `Open ${run.app} for an application with Auth0's SDK for browsers (examples/spa).`
    : "For an application with Auth0's SDK for browsers, run `npm install` in examples/spa and start again."}
${files.tls ? trust(files.tls.ca) : ''}
Set the variables of the following commands; do so again when ${login}'s access tokens have expired:

  . ${typed(files.env)}

Exchange ${login}'s access token${atVault ? ', or the refresh token' : ''}:

  ${exchange('ACCESS_TOKEN_TYPE', 'USER_ACCESS_TOKEN')}
${atVault ? `\n  ${exchange('REFRESH_TOKEN_TYPE', 'USER_REFRESH_TOKEN')}\n` : ''}
List ${login}'s accounts:

  ${curl} $API/accounts -H "Authorization: Bearer $ME_TOKEN"

Scripts read ${typed(files.dev_json)}. The log is ${typed(files.log)}.
Ready. Stop with Ctrl-C.`;
}

function trust(ca) {
  const file = typed(ca);
  return `
Everything is served with https. Clients must trust the certificate authority in ${file}:
  curl                 --cacert ${file}
  Node                 NODE_EXTRA_CA_CERTS=${ca}
  Python, OpenSSL, Go  SSL_CERT_FILE=${ca}  (requests: REQUESTS_CA_BUNDLE)
  browsers             import the file as an authority, or accept the warning at each of the addresses
`;
}

/**
 * The variables of the commands, as a file for a shell to source. The names are those in README.md.
 *
 * @param {any} run
 * @param {{access_token: string, me_token: string, refresh_token: string}} user
 */
export function environment(run, user) {
  const { backend, web } = run.clients;
  const { tls } = run.files;
  return Object.entries({
    VAULT: run.vault,
    ISSUER: run.issuer,
    PROVIDER: run.provider,
    API: `${run.me_audience}v1/connected-accounts`,
    CLIENT_ID: backend.client_id,
    CLIENT_SECRET: backend.client_secret,
    ...(web && { WEB_CLIENT_ID: web.client_id, WEB_CLIENT_SECRET: web.client_secret }),
    TOKEN_EXCHANGE: GRANT.rfc8693,
    ACCESS_TOKEN_TYPE: TOKEN_TYPE.access,
    REFRESH_TOKEN_TYPE: TOKEN_TYPE.refresh,
    USER_ACCESS_TOKEN: user.access_token,
    // The refresh token of another issuer cannot be exchanged.
    ...(run.issuer === run.audience && { USER_REFRESH_TOKEN: user.refresh_token }),
    ME_TOKEN: user.me_token,
    ...(tls && { CA: tls.ca, NODE_EXTRA_CA_CERTS: tls.ca }),
  }).map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`).join('');
}
