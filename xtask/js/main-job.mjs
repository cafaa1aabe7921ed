// SPDX-License-Identifier: Apache-2.0
// The main job, with each step printed: a user signs in and connects an account at a provider, a backend
// exchanges the user's tokens for the provider's token, and the provider accepts that token.
import { authorize, CookieJar, signIn } from './browser.mjs';
import { step, short, shortUrl, UnexpectedAnswer } from './narrate.mjs';
import { ME_SCOPES } from './provider.mjs';
import { TOKEN_TYPE, VaultApi, call } from './vault-api.mjs';

/**
 * Runs the main job as `login`. If the vault is the user's issuer, both tokens of the user are exchanged; the
 * refresh token of another issuer cannot be.
 *
 * @param {any} run       the run file, see dev.mjs
 * @param {string} login
 * @param {(line: string) => void} print
 * @returns {Promise<import('./browser.mjs').UserTokens & {jar: CookieJar}>} the user's tokens and browser
 * @throws {UnexpectedAnswer} at the first step whose response is not the expected one
 */
export async function mainJob(run, login, print) {
  const api = new VaultApi(run.vault);
  const { connection } = run;
  const [redirectUri] = run.clients.spa.redirect_uris;
  const jar = new CookieJar();
  let steps = 0;
  const titled = (title) => { steps += 1; return `${steps}. ${title}`; };
  /** @type {string[]} what the user did at which host, since the browser was last sent away */
  let done = [];
  const onForm = ({ host, prompt }) => {
    done.push(`${FORMS[prompt] ?? prompt} at ${host}`);
    print(`  . ${done.at(-1)}`);
  };
  const browser = { login, jar, onForm };

  const options = { ...signInOptions(run, login), ...browser };
  const user = await (options.atVault ? signInAtVault : signInElsewhere)(options, titled, print);

  const started = await api.connect(user.me_token, { connection, redirectUri });
  step(print, titled(`The application asks the vault to connect ${connection}`), 201, started);

  print(`\n${titled('The browser goes to the vault, signs in and consents at the provider, and returns')}`);
  const link = api.connectLink(started);
  done = [];
  print(`  > GET ${shortUrl(link)}`);
  const back = await authorize(link, { ...browser, redirectUri });
  print(`  < returned to ${shortUrl(back)}`);
  if (back.searchParams.get('state') !== started.state) {
    throw new UnexpectedAnswer(`${steps}: the state that came back is not the one that was sent`);
  }
  if (!back.searchParams.has('connect_code')) {
    throw new UnexpectedAnswer(`${steps}: no connect_code: ${back.searchParams.get('error_description')}`);
  }

  const asked = `${FORMS.login} at ${new URL(run.provider).host}`;
  if (options.atVault && !done.includes(asked)) {
    throw new UnexpectedAnswer(`${steps}: the provider did not ask the user to sign in`);
  }

  const account = await api.complete(user.me_token, started, back.searchParams.get('connect_code'));
  step(print, titled('The application completes the connect'), 201, account);

  const exchanged = [await api.exchange(run.clients.backend, user.access_token, connection)];
  step(print, titled("The backend exchanges the user's access token for the provider's"), 200, exchanged[0]);
  if (options.atVault) {
    const subject = { subject_token_type: TOKEN_TYPE.refresh };
    exchanged.push(await api.exchange(run.clients.backend, user.refresh_token, connection, subject));
    step(print, titled("Later, without the user, the backend exchanges the user's refresh token"), 200, exchanged[1]);
  }

  const token = exchanged[exchanged.length - 1].body.access_token;
  const userinfo = await call({ url: `${run.provider}/me`, headers: { authorization: `Bearer ${token}` } });
  step(print, titled('The backend calls the provider with it'), 200, userinfo);
  if (userinfo.body.sub !== login) {
    throw new UnexpectedAnswer(`${steps}: the provider says the token is for ${userinfo.body.sub}, not ${login}`);
  }
  print('\nThe main job succeeded.');
  return { ...user, jar };
}

/** What a person does with a form of the provider. */
const FORMS = { login: 'signs in', consent: 'consents' };

/** Signs in at the vault, and prints each request. */
async function signInAtVault(options, titled, print) {
  const titles = [
    'The application redeems the code',
    'It refreshes the tokens, for an access token for the connected-accounts API',
  ];
  print(`\n${titled(`${options.login} signs in at the vault, which asks the identity provider`)}`);
  return signIn({
    ...options,
    onStep: (what, value) => {
      if (what === 'authorize') print(`  > GET ${shortUrl(value)}`);
      if (what === 'back') print(`  < returned to ${shortUrl(value)}`);
      if (what === 'token') step(print, titled(titles.shift()), 200, value);
    },
  });
}

async function signInElsewhere(options, titled, print) {
  print(`\n${titled(`${options.login} signs in at the identity provider`)}`);
  const user = await signIn(options);
  print(`  access token ${short(user.access_token)} for ${options.audience}`);
  print(`  access token ${short(user.me_token)} for ${options.meAudience}`);
  return user;
}

/**
 * The options with which the application's client `spa` signs a user in.
 *
 * @returns {import('./browser.mjs').SignInOptions}
 */
export function signInOptions(run, login) {
  return {
    issuer: run.issuer,
    atVault: run.issuer === run.audience,
    clientId: run.clients.spa.client_id,
    redirectUri: run.clients.spa.redirect_uris[0],
    login,
    audience: run.audience,
    meAudience: run.me_audience,
    scopes: ME_SCOPES,
  };
}
