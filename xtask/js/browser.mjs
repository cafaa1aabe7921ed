// SPDX-License-Identifier: Apache-2.0
// A headless user agent for scripts: it keeps cookies, follows redirects one at a time, and fills in the
// two forms of the development provider. With it, the main job uses the same pages as a person.
import { createHash, randomBytes } from 'node:crypto';

const MAX_STEPS = 20;

/**
 * The cookies of one browser. Cookies belong to a host name, not to a port (RFC 6265 §8.5): on the
 * loopback address the provider and the vault receive each other's, as in a real browser.
 */
export class CookieJar {
  #cookies = new Map();

  header(url) {
    const { hostname, pathname } = new URL(url);
    return [...this.#cookies.values()]
      .filter((one) => one.host === hostname && pathMatches(pathname, one.path))
      .map((one) => `${one.name}=${one.value}`)
      .join('; ');
  }

  /** The names of the cookies that are sent to `url`. */
  names(url) {
    return this.header(url).split('; ').filter(Boolean).map((pair) => pair.slice(0, pair.indexOf('=')));
  }

  /** The value of the cookie `name` that is sent to `url`, or undefined. */
  cookie(url, name) {
    return this.header(url).split('; ').find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
  }

  keep(url, response) {
    const { hostname, pathname } = new URL(url);
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      const given = Object.fromEntries(attributes.map((part) => {
        const [key, value = ''] = part.split('=');
        return [key.toLowerCase(), value];
      }));
      const path = given.path?.startsWith('/') ? given.path : pathname.replace(/\/[^/]*$/, '') || '/';
      const key = `${hostname} ${path} ${name}`;
      const gone = given['max-age'] !== undefined
        ? Number(given['max-age']) <= 0
        : given.expires !== undefined && Date.parse(given.expires) <= Date.now();
      if (gone) this.#cookies.delete(key);
      else this.#cookies.set(key, { host: hostname, path, name, value: pair.slice(name.length + 1) });
    }
  }
}

function pathMatches(pathname, path) {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}

/**
 * Follows a link as a person would: follows redirects, signs in as `login`, and consents, or cancels at
 * the consent page if `cancel` is set.
 *
 * @param {string | URL} url
 * @param {object} options
 * @param {string} options.login           the user name to sign in with
 * @param {CookieJar} [options.jar]        default: an empty one
 * @param {boolean} [options.cancel]
 * @param {(form: {host: string, prompt: string}) => void} [options.onForm]  is told of each form of a provider
 *   that is filled in: `login` or `consent`
 * @param {(url: string) => boolean} options.stop  says for which URLs to stop before requesting them
 * @returns {Promise<{url: string, page?: {status: number, headers: Headers, text: string}}>}
 *   the URL where it stopped, or a page without one of the two forms (such as an error page)
 */
export async function browse(url, { login, jar = new CookieJar(), cancel = false, onForm, stop }) {
  /** @type {{url: string, method: string, body?: URLSearchParams}} */
  let request = { url: String(url), method: 'GET' };
  for (let step = 0; step < MAX_STEPS; step += 1) {
    if (stop(request.url)) return { url: request.url };
    const response = await send(request, jar);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location) {
      await response.body?.cancel();
      request = { url: new URL(location, request.url).href, method: 'GET' };
      continue;
    }
    const page = { status: response.status, headers: response.headers, text: await response.text() };
    const next = answerPage(page, request.url, { login, cancel });
    if (!next) return { url: request.url, page };
    onForm?.({ host: new URL(request.url).host, prompt: next.prompt });
    request = next;
  }
  throw new Error(`not finished after ${MAX_STEPS} steps: ${withoutQuery(request.url)}`);
}

/**
 * Follows the redirects from `connect_uri?ticket=…` through the provider and the vault's callback to the
 * application's redirect URI, and returns that URL without requesting it.
 *
 * @param {string | URL} url
 * @param {{login: string, redirectUri: string, jar?: CookieJar, cancel?: boolean,
 *   onForm?: Parameters<typeof browse>[1]['onForm']}} options
 */
export async function authorize(url, { login, redirectUri, jar, cancel, onForm }) {
  const end = await browse(url, { login, jar, cancel, onForm, stop: startsAt(redirectUri) });
  if (end.page) {
    throw new Error(`${withoutQuery(end.url)} answered ${end.page.status} instead of returning to the application: ${plain(end.page.text)}`);
  }
  return new URL(end.url);
}

/** Returns a predicate that is true for the URL with any query, and false for longer paths. */
export function startsAt(prefix) {
  return (url) => withoutQuery(url) === prefix;
}

/**
 * The client of a sign-in, and its issuer. The vault as an issuer takes one audience at a time; the development
 * provider takes both, and must be asked for all scopes at once.
 *
 * @typedef {object} SignInOptions
 * @property {string} issuer
 * @property {boolean} [atVault]       whether the issuer is the vault, whose addresses differ
 * @property {string} clientId
 * @property {string} [clientSecret]  for a confidential client
 * @property {string} redirectUri
 * @property {string} login
 * @property {string} audience        the audience of the token for exchanges, `<vault>/`
 * @property {string} meAudience      the audience of the token for the connect API, `<vault>/me/`
 * @property {string[]} scopes        the scopes of the token for the connect API
 * @property {CookieJar} [jar]
 * @property {Parameters<typeof browse>[1]['onForm']} [onForm]
 * @property {(what: 'authorize' | 'back' | 'token', value: any) => void} [onStep]  is told of the address of
 *   the authorization request, of the one that the browser returned to, and of each token response
 *
 * @typedef {{sub: string, access_token: string, me_token: string, id_token: string, refresh_token: string,
 *   expires_at: number}} UserTokens `expires_at`: Unix time in seconds at which the first of the access tokens
 *   expires
 */

const OPENID_SCOPES = ['openid', 'profile', 'email', 'offline_access'];

/**
 * Signs a user in with the authorization code flow and PKCE; one login serves both audiences.
 *
 * @param {SignInOptions} options
 * @returns {Promise<UserTokens>}
 */
export async function signIn(options) {
  const { atVault, clientId, redirectUri, login, jar, audience, meAudience, scopes, onForm, onStep } = options;
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const url = new URL(endpoint(options, 'authorize'));
  url.search = new URLSearchParams([
    ['client_id', clientId],
    ['response_type', 'code'],
    ['redirect_uri', redirectUri],
    ['scope', [...OPENID_SCOPES, ...(atVault ? [] : scopes)].join(' ')],
    ['resource', audience],
    // One login for two audiences: the code yields a token for the first, the refresh token one for
    // the second (RFC 8707 §2). Without `prompt` the provider drops offline_access (OIDC Core §11).
    ...(atVault ? [] : [['resource', meAudience], ['prompt', 'consent']]),
    ['state', state],
    ['code_challenge', s256(verifier)],
    ['code_challenge_method', 'S256'],
  ]).toString();
  onStep?.('authorize', url);
  const back = await authorize(url, { login, redirectUri, jar, onForm });
  onStep?.('back', back);
  if (back.searchParams.get('state') !== state) throw new Error('the issuer returned another state');
  const code = back.searchParams.get('code');
  if (!code) throw new Error(`sign-in failed: ${back.searchParams.get('error_description')}`);
  const first = await tokenRequest(options, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    resource: audience,
  });
  const second = await refresh(options, first.refresh_token, meAudience);
  return userTokens(first, second);
}

/**
 * New tokens for a user who signed in before.
 *
 * @param {SignInOptions} options
 * @param {{refresh_token: string}} user
 */
export async function renew(options, { refresh_token }) {
  const first = await refresh(options, refresh_token, options.audience);
  const second = await refresh(options, first.refresh_token, options.meAudience);
  return userTokens(first, second);
}

/**
 * @param {SignInOptions} options
 * @param {'authorize' | 'token'} name
 */
function endpoint({ issuer, atVault }, name) {
  const paths = atVault ? { authorize: '/authorize', token: '/oauth/token' } : { authorize: '/auth', token: '/token' };
  return issuer.replace(/\/$/, '') + paths[name];
}

export function s256(verifier) {
  return createHash('sha256').update(verifier).digest('base64url');
}

/** The claims of a JWT whose signature is not verified: for display and timing only. */
export function claimsOf(jwt) {
  return JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString());
}

function userTokens(first, second) {
  const claims = [first, second].map((answer) => claimsOf(answer.access_token));
  return {
    sub: claims[0].sub,
    access_token: first.access_token,
    me_token: second.access_token,
    id_token: second.id_token,
    refresh_token: second.refresh_token,
    expires_at: Math.min(...claims.map((one) => one.exp)),
  };
}

/**
 * @param {SignInOptions} options
 * @param {string} refreshToken
 * @param {string} resource
 */
function refresh(options, refreshToken, resource) {
  const { atVault, meAudience, scopes } = options;
  /** @type {Record<string, string>} */
  const params = { grant_type: 'refresh_token', refresh_token: refreshToken, resource };
  if (atVault && resource === meAudience) params.scope = [...OPENID_SCOPES, ...scopes].join(' ');
  return tokenRequest(options, params);
}

/**
 * @param {SignInOptions} options
 * @param {Record<string, string>} params
 */
async function tokenRequest(options, params) {
  const { clientId, clientSecret, onStep } = options;
  const form = { ...params, ...(!clientSecret && { client_id: clientId }) };
  /** @type {Record<string, string>} */
  const headers = {};
  if (clientSecret) headers.authorization = basicAuth(clientId, clientSecret);
  const url = endpoint(options, 'token');
  const response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) });
  const body = await response.json();
  onStep?.('token', { request: { method: 'POST', url, headers, form }, status: response.status, headers: response.headers, body });
  if (!response.ok) {
    throw new Error(`${url} rejected ${params.grant_type}: ${body.error}: ${body.error_description}`);
  }
  return body;
}

/** The header of HTTP Basic (RFC 6749 §2.3.1): id and secret are form-encoded before they are joined. */
export function basicAuth(clientId, clientSecret) {
  const encode = (text) => new URLSearchParams({ '': text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64')}`;
}

/**
 * @param {{url: string, method: string, body?: URLSearchParams}} request
 * @param {CookieJar} jar
 */
async function send({ url, method, body }, jar) {
  const cookie = jar.header(url);
  const response = await fetch(url, {
    method,
    body,
    redirect: 'manual',
    headers: { accept: 'text/html', ...(cookie && { cookie }) },
  });
  jar.keep(url, response);
  return response;
}

/** The request that submits one of the provider's two forms; undefined for another page. */
function answerPage(page, url, { login, cancel }) {
  const action = attribute(page.text, /<form[^>]*\baction="([^"]*)"/);
  const prompt = attribute(page.text, /name="prompt" value="([^"]*)"/);
  if (page.status !== 200 || !action || !prompt) return undefined;
  if (prompt === 'consent' && cancel) {
    return { prompt, url: new URL(attribute(page.text, /href="([^"]*\/abort)"/), url).href, method: 'GET' };
  }
  const fields = { prompt, ...(prompt === 'login' && { login, password: 'any' }) };
  return { prompt, url: new URL(action, url).href, method: 'POST', body: new URLSearchParams(fields) };
}

function attribute(html, pattern) {
  return pattern.exec(html)?.[1].replaceAll('&#39;', "'").replaceAll('&quot;', '"').replaceAll('&amp;', '&');
}

function withoutQuery(url) {
  return String(url).split(/[?#]/)[0];
}

function plain(html) {
  return html.replace(/<(style|script)[\s\S]*?<\/\1>/g, ' ').replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim().slice(0, 300);
}
