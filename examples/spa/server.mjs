// SPDX-License-Identifier: Apache-2.0
// A single-page application whose users sign in to the vault and connect accounts, and its back end, which
// exchanges their access tokens. The page uses Auth0's SDK for browsers, unchanged, or no SDK. README.md says how
// to configure both sides.
//
//   npm install
//   node server.mjs settings.json
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Where `npm install` puts the SDK, as one module that a browser can load. */
export const SDK = join(HERE, 'node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.esm.js');

/**
 * What the application must know; README.md explains each member.
 *
 * @typedef {{
 *   vault: string,
 *   spa: {client_id: string},
 *   backend: {client_id: string, client_secret: string},
 *   connection: string,
 *   profile: string,
 *   port?: number,
 *   sdk?: boolean,
 * }} Settings
 */

/**
 * What the page itself is told; nothing of it is secret. `issuer` has the addresses of those who sign the user in;
 * the page needs them if it does not use the SDK.
 *
 * @typedef {{
 *   vault: string,
 *   client_id: string,
 *   connections: string[],
 *   sdk: boolean,
 *   issuer: {authorize: string, token: string, logout?: string},
 * }} PageSettings
 */

/** The addresses at which the vault signs users in. */
export const issuerOf = (vault) => (
  { authorize: `${vault}/authorize`, token: `${vault}/oauth/token`, logout: `${vault}/v2/logout` }
);

/**
 * Returns a request handler that serves the page at `path` and its files below `/page/`. It returns false for
 * other requests, which it does not answer.
 *
 * @param {PageSettings} settings
 * @param {{path?: string, sdk?: string}} [more]  `sdk` is the file of the SDK, if `settings.sdk` is true
 * @returns {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => boolean}
 */
export function servePage(settings, { path: page = '/', sdk = SDK } = {}) {
  const read = (name) => readFileSync(join(HERE, name));
  const script = 'text/javascript; charset=utf-8';
  const scripts = ['app', 'api', settings.sdk ? 'auth0' : 'oauth'].map((name) => `page/${name}.mjs`);
  /** @type {Map<string, [type: string, content: string | Buffer]>} */
  const files = new Map([
    [page, ['text/html; charset=utf-8', read('index.html')]],
    ['/page/style.css', ['text/css; charset=utf-8', read('page/style.css')]],
    ['/page/settings.json', ['application/json', JSON.stringify(settings)]],
    ...scripts.map((name) => /** @type {any} */ ([`/${name}`, [script, read(name)]])),
  ]);
  if (settings.sdk) files.set('/page/auth0-spa-js.js', [script, readFileSync(sdk)]);
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:', // the empty icon
    `connect-src 'self' ${settings.vault}`,
    // The SDK signs in silently in a frame, and keeps refresh tokens in a worker, out of the page's reach.
    ...(settings.sdk ? [`frame-src ${settings.vault}`, 'worker-src blob:'] : []),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

  return (request, response) => {
    const file = request.method === 'GET' ? files.get(pathOf(request)) : undefined;
    if (!file) return false;
    const [type, content] = file;
    response.writeHead(200, {
      'content-type': type,
      'content-security-policy': policy,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer', // the page's address briefly has a one-time code
      'x-content-type-options': 'nosniff',
    });
    response.end(content);
    return true;
  };
}

/** @param {import('node:http').IncomingMessage} request */
const pathOf = ({ url }) => (url ?? '/').split('?')[0];

/**
 * Returns a request listener that serves the page and its back end.
 *
 * @param {Settings} settings
 * @param {string} [sdk]  the file of the SDK
 * @returns {import('node:http').RequestListener}
 */
export function application(settings, sdk = SDK) {
  const { vault, connection, spa: { client_id }, sdk: withSdk = true } = settings;
  const page = { vault, client_id, connections: [connection], sdk: withSdk, issuer: issuerOf(vault) };
  const served = servePage(page, { sdk });
  return async (request, response) => {
    if (served(request, response)) return;
    const known = pathOf(request) === '/api/profile';
    const answer = known ? await profile(settings, request) : { status: 404, body: { error: 'not_found' } };
    response.writeHead(answer.status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(answer.body));
  };
}

/**
 * Calls the provider for the user of the request's access token.
 *
 * @param {Settings} settings
 * @param {import('node:http').IncomingMessage} request
 */
async function profile(settings, { headers }) {
  try {
    // The vault verifies the user's token when it is exchanged. A back end that also does other things for
    // the user must verify it itself.
    const userToken = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (!userToken) return { status: 401, body: { error: 'invalid_token', message: 'The request has no access token.' } };
    const exchanged = await exchange(settings, userToken);
    if (!exchanged.ok) {
      // `connection_state.state` says whether the user must connect (again) or should wait.
      const { error, error_description: message, connection_state: state } = exchanged.body;
      return { status: exchanged.status, body: { error, message, connection_state: state } };
    }
    const authorization = `Bearer ${exchanged.body.access_token}`;
    const answer = await fetch(settings.profile, { headers: { authorization, accept: 'application/json' } });
    return { status: answer.status, body: await answer.json() };
  } catch {
    return { status: 502, body: { error: 'server_error', message: 'The vault or the provider did not answer.' } };
  }
}

/** Exchanges a user's access token for the provider's (RFC 8693). Do not cache the result: the vault does. */
async function exchange({ vault, backend, connection }, userToken) {
  const credentials = [backend.client_id, backend.client_secret].map(encodeURIComponent).join(':');
  const response = await fetch(`${vault}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: userToken,
      audience: connection,
    }),
  });
  return { ok: response.ok, status: response.status, body: await response.json() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const settings = JSON.parse(readFileSync(process.argv[2] ?? 'settings.json', 'utf8'));
  const port = settings.port ?? 3000;
  createServer(application(settings)).listen(port, 'localhost', () => console.log(`http://localhost:${port}/`));
}
