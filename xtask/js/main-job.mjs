// SPDX-License-Identifier: Apache-2.0
// The main job, with each step printed: a user signs in and connects an account at a provider, a backend
// exchanges the user's token for the provider's token, and the provider accepts that token.
import { authorize, signIn } from './browser.mjs';
import { step, short, shortUrl, UnexpectedAnswer } from './narrate.mjs';
import { ME_SCOPES } from './provider.mjs';
import { VaultApi, call } from './vault-api.mjs';

/**
 * Runs the main job as `login`.
 *
 * @param {any} run       the run file, see dev.mjs
 * @param {string} login
 * @param {(line: string) => void} print
 * @returns {Promise<Awaited<ReturnType<typeof signIn>>>} the user's tokens
 * @throws {UnexpectedAnswer} at the first step whose response is not the expected one
 */
export async function mainJob(run, login, print) {
  const api = new VaultApi(run.vault);
  const { connection } = run;
  const [redirectUri] = run.clients.spa.redirect_uris;

  const user = await signIn(signInOptions(run, login));
  print(`\n1. ${login} signs in at the identity provider`);
  print(`  access token ${short(user.access_token)} for ${run.audience}`);
  print(`  access token ${short(user.me_token)} for ${run.me_audience}`);

  const started = await api.connect(user.me_token, { connection, redirectUri });
  step(print, `2. The application asks the vault to connect ${connection}`, 201, started);

  print('\n3. The browser goes to the vault, signs in and consents at the provider, and returns');
  const link = api.connectLink(started);
  print(`  > GET ${shortUrl(link)}`);
  const back = await authorize(link, { login, redirectUri });
  print(`  < returned to ${shortUrl(back)}`);
  if (back.searchParams.get('state') !== started.state) {
    throw new UnexpectedAnswer('3: the state that came back is not the one that was sent');
  }
  if (!back.searchParams.has('connect_code')) {
    throw new UnexpectedAnswer(`3: no connect_code: ${back.searchParams.get('error_description')}`);
  }

  const account = await api.complete(user.me_token, started, back.searchParams.get('connect_code'));
  step(print, '4. The application completes the connect', 201, account);

  const exchanged = await api.exchange(run.clients.backend, user.access_token, connection);
  step(print, "5. The backend exchanges the user's token for the provider's", 200, exchanged);

  const userinfo = await call({
    url: `${run.issuer}/me`,
    headers: { authorization: `Bearer ${exchanged.body.access_token}` },
  });
  step(print, '6. The backend calls the provider with it', 200, userinfo);
  if (userinfo.body.sub !== login) {
    throw new UnexpectedAnswer(`6: the provider says the token is for ${userinfo.body.sub}, not ${login}`);
  }
  return user;
}

/** The options with which the application's client `spa` signs a user in. */
export function signInOptions(run, login) {
  return {
    issuer: run.issuer,
    clientId: run.clients.spa.client_id,
    redirectUri: run.clients.spa.redirect_uris[0],
    login,
    audience: run.audience,
    meAudience: run.me_audience,
    scopes: ME_SCOPES,
  };
}
