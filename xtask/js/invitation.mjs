// SPDX-License-Identifier: Apache-2.0
// The text that `cargo xtask dev` prints after the main job.
import { relative } from 'node:path';

/**
 * What to open and what to type while a development run is up.
 *
 * @param {any} run    the run file, see dev.mjs
 * @param {string} login  the user whose tokens are in dev.json
 */
export function invitation(run, login) {
  const file = relative(process.cwd(), run.dev_json) || run.dev_json;
  const read = (path) => `$(node -p 'JSON.parse(fs.readFileSync("${file}")).${path}')`;
  return `
The vault is at ${run.vault}, the provider at ${run.issuer}.
Open ${run.clients.spa.redirect_uris[0]} to do the same by hand (any user name and password).
${run.app
    ? `Open ${run.app} for an application whose users the vault signs in itself (examples/spa).`
    : 'For an application whose users the vault signs in itself, run `npm install` in examples/spa and start again.'}

Exchange ${login}'s token:

  curl -sS ${run.vault}/oauth/token \\
    -u "${read('clients.backend.client_id')}:${read('clients.backend.client_secret')}" \\
    --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
    --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:access_token \\
    --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \\
    --data-urlencode "audience=${run.connection}" \\
    --data-urlencode "subject_token=${read('user.access_token')}"

List ${login}'s accounts:

  curl -sS ${run.vault}/me/v1/connected-accounts/accounts \\
    -H "Authorization: Bearer ${read('user.me_token')}"

Stop with Ctrl-C.`;
}
