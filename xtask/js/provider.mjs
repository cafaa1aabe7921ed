// SPDX-License-Identifier: Apache-2.0
// An OpenID provider on the loopback address, for development and for the end-to-end tests.
//
// A provider has two roles. It is the identity provider of the vault's users (with the public client `spa`
// and JWT access tokens for the vault's two audiences), and it is the external provider of the connection
// `demo` (with a confidential client, opaque access tokens for its userinfo endpoint, and refresh tokens
// that rotate at every use). In a development run two providers at two host names have one role each.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { servePage } from '../../examples/spa/server.mjs';
import { loadKeys } from './keys.mjs';
import { Traffic, readBody } from './traffic.mjs';

export const ME_SCOPES = [
  'create:me:connected_accounts',
  'read:me:connected_accounts',
  'delete:me:connected_accounts',
];

/** The paths for which `onTokenRequest` is called. */
const ASKED_FIRST = ['/token', '/token/revocation'];

const HOUR = 3600;
const DAY = 24 * HOUR;

/**
 * Starts the provider, and resolves once it listens.
 *
 * @param {object} options
 * @param {number} options.port            port on 127.0.0.1; 0 picks a free one
 * @param {string} [options.issuer]        default `http://127.0.0.1:<port>`
 * @param {string} [options.keysFile]      the file of the private signing keys, generated if missing
 * @param {{keys: object[]}} [options.jwks] signing keys given directly, instead of a file
 * @param {{client_id: string, client_secret?: string, redirect_uris: string[],
 *   token_endpoint_auth_method?: string}[]} options.clients
 * @param {string} options.vault           the vault's PUBLIC_URL, without trailing slash
 * @param {number} [options.accessTokenTtl] lifetime of an opaque (`demo`) access token, in seconds
 * @param {number} [options.userTokenTtl]   lifetime of a user's JWT access token, in seconds
 * @param {number} [options.idTokenTtl]     lifetime of an ID token, in seconds
 * @param {(request: {path: string, client?: string, grant?: string, params: URLSearchParams}) => any}
 *   [options.onTokenRequest] is called and awaited before each request at the token and the revocation
 *   endpoint. It returns nothing; or `{status, headers?, body?}`, which is sent instead of the provider's
 *   response; or `{lose: true}`: the provider handles the request, and the connection breaks before the
 *   response
 * @param {Partial<import('../../examples/spa/server.mjs').PageSettings> & {client_id: string, connections: string[]}}
 *   [options.app]  serves the page of `examples/spa`, without Auth0's SDK, at /app. By default its users sign in here
 * @param {{key: string, certificate: string}} [options.tls]  serves https; both are PEM
 * @param {{issuer: string, clients: Parameters<typeof startProvider>[0]['clients']}} [options.second]  a second
 *   provider on the same port, which has requests with the host of its address. To browsers it is another site,
 *   so that a user who is signed in at one is not signed in at the other
 * @returns {Promise<{issuer: string, close(): Promise<void>, stats: Traffic}>}
 */
export async function startProvider(options) {
  const { tls, second } = options;
  const server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }) : createServer();
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', () => resolve(undefined));
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const issuer = options.issuer ?? `http://127.0.0.1:${port}`;

  const stats = new Traffic();
  const here = { authorize: `${issuer}/auth`, token: `${issuer}/token` };
  const app = options.app && servePage({ vault: options.vault, sdk: false, issuer: here, ...options.app }, { path: '/app' });
  const jwks = options.jwks ?? loadKeys(options.keysFile);
  const first = serveProvider(issuer, { ...options, jwks });
  const other = second && {
    host: new URL(second.issuer).host,
    serve: serveProvider(second.issuer, { ...options, jwks, clients: second.clients }),
  };

  server.on('request', async (request, response) => {
    try {
      if (app?.(request, response)) return;
      const record = stats.watch(request, response);
      if (ASKED_FIRST.includes(record.path) && request.method === 'POST') {
        // oidc-provider uses `request.body` if the body was already read.
        const body = await readBody(request);
        Object.assign(request, { body });
        const params = stats.describe(record, request, body);
        const answer = await options.onTokenRequest?.({ ...record, params });
        if (answer?.lose) response.end = () => response.destroy();
        else if (answer) return send(response, answer);
      }
      const serve = other && request.headers.host === other.host ? other.serve : first;
      serve(request, response);
    } catch (error) {
      console.error(`provider: ${error.message}`);
      response.destroy();
    }
  });

  return {
    issuer,
    stats,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** The request handler of a provider. */
function serveProvider(issuer, options) {
  const provider = quietly(() => new Provider(issuer, configuration(options)));
  provider.use(withoutWebFonts);
  return quietly(() => provider.callback());
}

/** @param {Parameters<typeof startProvider>[0]} options */
function configuration({ vault, clients, jwks, accessTokenTtl, userTokenTtl, idTokenTtl }) {
  const resources = new Map([
    [`${vault}/`, ''],
    [`${vault}/me/`, ME_SCOPES.join(' ')],
  ]);
  return {
    jwks,
    clients: clients.map(clientMetadata),
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    // The ID token has these claims too, so that no client needs userinfo to label the account.
    conformIdTokenClaims: false,
    findAccount: (_ctx, login) => ({
      accountId: login,
      claims: () => ({
        sub: login,
        name: login.charAt(0).toUpperCase() + login.slice(1),
        email: `${login}@example.com`,
        email_verified: true,
      }),
    }),
    pkce: { required: () => true },
    // A vault with a wrong clock must fail here, not only at a stricter provider.
    clockTolerance: 0,
    // By default a confidential client's token rotates only late in its lifetime. With rotation at every
    // use, a vault that sends the same token twice loses the grant.
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    features: {
      devInteractions: { enabled: true },
      userinfo: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => {
          if (!resources.has(resource)) throw invalidTarget();
          return {
            audience: resource,
            scope: resources.get(resource),
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
    ttl: {
      AccessToken: (_ctx, token) => (
        token.resourceServer ? userTokenTtl ?? HOUR : accessTokenTtl ?? HOUR
      ),
      AuthorizationCode: 60,
      Grant: 14 * DAY,
      IdToken: idTokenTtl ?? HOUR,
      Interaction: HOUR,
      RefreshToken: 14 * DAY,
      Session: 14 * DAY,
    },
  };
}

/** @param {Parameters<typeof startProvider>[0]['clients'][number]} client */
function clientMetadata({ client_id, client_secret, redirect_uris, token_endpoint_auth_method }) {
  return {
    client_id,
    client_secret,
    redirect_uris,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method:
      token_endpoint_auth_method ?? (client_secret ? 'client_secret_basic' : 'none'),
  };
}

function invalidTarget() {
  const error = new Error('invalid_target');
  return Object.assign(error, {
    status: 400,
    statusCode: 400,
    expose: true,
    error: 'invalid_target',
    error_description: 'this provider issues tokens for the vault only',
  });
}

/** Removes the web font from the development pages, because they must send no request to other hosts. */
async function withoutWebFonts(ctx, next) {
  await next();
  if (ctx.type === 'text/html' && typeof ctx.body === 'string') {
    ctx.body = ctx.body.replace(/@import url\([^)]*\);/g, '');
  }
}

function send(response, { status, headers = {}, body = {} }) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/**
 * Suppresses oidc-provider's console warnings about the memory store, the development pages and the body
 * that was already read. All three are intended, and the warnings would obscure the job's own output.
 */
function quietly(make) {
  for (const level of ['warn', 'info']) {
    const print = console[level];
    if (print.quiet) continue;
    const filter = (...words) => {
      if (!String(words[0]).includes('oidc-provider ')) print(...words);
    };
    console[level] = Object.assign(filter, { quiet: true });
  }
  return make();
}
