// SPDX-License-Identifier: Apache-2.0
// A vault on https that signs users in through the demo provider, and a confidential client of it.
import { createHash, randomBytes } from 'node:crypto';
import { CookieJar, authorize } from '../../xtask/js/browser.mjs';
import { GRANT } from '../../xtask/js/vault-api.mjs';
import { World } from '../e2e/harness.mjs';
import { APP_HOST, VAULT_HOST, trustLoopback } from './network.mjs';

/** The application's origin in the tests without a browser. Nothing listens there. */
const ORIGIN = `https://${APP_HOST}`;
export const CALLBACK = `${ORIGIN}/callback`;
export const CONNECTED = `${ORIGIN}/connected`;
export const BYE = `${ORIGIN}/bye`;
export const ORDERS = 'https://orders.example.com/';

/** Scopes of the connected-accounts API that make a token good for connecting. */
export const ME_SCOPE = 'openid profile email offline_access create:me:connected_accounts read:me:connected_accounts';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/**
 * Starts a vault and its provider; close the world at the end. `web` is the client, with its secret.
 *
 * @param {(world: World) => Record<string, object>} [clients]  further clients
 * @param {object} [more]  more of `SIGN_IN`
 * @param {object} [moreOfWeb]  more of the client `web`
 */
export async function startVault(clients = () => ({}), more = {}, moreOfWeb = {}) {
  const made = trustLoopback();
  const web = { client_id: 'web', client_secret: randomBytes(32).toString('base64url') };
  const world = await World.start({
    tls: { host: VAULT_HOST, ...made },
    signIn: (started) => ({
      ...more,
      apis: { orders: { identifier: ORDERS, scopes: ['read:orders', 'write:orders'] } },
      clients: {
        web: {
          authentication: 'client_secret',
          secret_sha256: [sha256(web.client_secret)],
          name: 'Web',
          grants: ['authorization_code', 'refresh_token', ...Object.values(GRANT)],
          connections: ['demo'],
          redirect_uris: [CALLBACK, CONNECTED],
          post_logout_redirect_uris: [BYE],
          apis: { orders: ['read:orders'] },
          refresh_tokens: { end_with_session: true },
          ...moreOfWeb,
        },
        ...clients(started),
      },
    }),
  });
  world.secrets.add(web.client_secret);
  const host = new URL(world.vault).host;
  return { world, made, web, host };
}

/** Lets a user sign in at an authorization address, with a new browser; returns it, and where it comes back. */
export async function visit(address, login, { jar = new CookieJar(), redirectUri = CALLBACK } = {}) {
  return { jar, back: await authorize(address, { login, jar, redirectUri }) };
}

/** Connects the demo account of `login` for the user of a token for the connected-accounts API. */
export async function connect(world, meToken, login) {
  const user = { me_token: meToken };
  const started = await world.startConnect(user, { redirectUri: CONNECTED });
  const { back } = await visit(world.api.connectLink(started), login, { redirectUri: CONNECTED });
  return world.api.complete(meToken, started, back.searchParams.get('connect_code'));
}
