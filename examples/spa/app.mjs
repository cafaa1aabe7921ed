// SPDX-License-Identifier: Apache-2.0
// What an application does in the browser, with Auth0's SDK and the vault as its domain: sign in, connect and
// delete accounts, call the back end, and sign out. Texts of the vault and the provider are shown as text.
// @ts-expect-error: server.mjs serves this file of the npm package
import { createAuth0Client } from './auth0-spa-js.js';

const settings = await (await fetch('settings.json')).json();
const here = `${location.origin}/`;
const me = `${settings.vault}/me/`;
const api = `${me}v1/connected-accounts`;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

const auth0 = await createAuth0Client({
  domain: settings.vault,
  clientId: settings.client_id,
  // One refresh token serves the vault's two resource servers. After a reload it is gone, and the SDK signs in
  // silently in a frame, which works where the vault is on the page's own site.
  useRefreshTokens: true,
  useMrrt: true,
  useRefreshTokensFallback: true,
  authorizationParams: {
    redirect_uri: here,
    audience: `${settings.vault}/`,
    scope: 'openid profile email offline_access',
  },
});

/** Completes what brought the browser back: a sign-in or a connect. */
async function comeBack() {
  const query = new URLSearchParams(location.search);
  if (!query.has('state') || !['code', 'connect_code', 'error'].some((name) => query.has(name))) return;
  try {
    const result = await auth0.handleRedirectCallback();
    if (result.response_type === 'connect_code') say(`Connected ${result.connection}.`);
  } finally {
    history.replaceState(null, '', here);
  }
}

/** Calls the connected-accounts API; the SDK gets an access token for it when there is none. */
async function call(method, path, scope) {
  const token = await auth0.getTokenSilently({ authorizationParams: { audience: me, scope } });
  const response = await fetch(api + path, { method, headers: { authorization: `Bearer ${token}` } });
  if (response.status === 204) return undefined;
  const body = await response.json();
  if (!response.ok) throw new Error(`${body.title}: ${body.detail}`);
  return body;
}

async function showAccounts() {
  const { accounts } = await call('GET', '/accounts?take=20', 'read:me:connected_accounts');
  element('none').hidden = accounts.length > 0;
  element('use').hidden = accounts.length === 0;
  element('list').replaceChildren(...accounts.map((account) => {
    const row = document.createElement('li');
    const name = document.createElement('span');
    const since = document.createElement('small');
    const remove = document.createElement('button');
    since.textContent = `since ${new Date(account.created_at).toLocaleDateString()}`;
    name.append(account.connection, since);
    remove.type = 'button';
    remove.className = 'quiet';
    remove.textContent = 'Delete';
    remove.addEventListener('click', () => attempt(async () => {
      await call('DELETE', `/accounts/${encodeURIComponent(account.id)}`, 'delete:me:connected_accounts');
      say('Deleted.');
      await showAccounts();
    }));
    row.append(name, remove);
    return row;
  }));
}

async function show() {
  const user = await auth0.getUser();
  for (const id of ['user', 'accounts', 'session']) element(id).hidden = !user;
  element('welcome').hidden = Boolean(user);
  if (!user) return;
  element('name').textContent = user.name ?? user.email ?? user.sub;
  element('subject').textContent = user.sub;
  element('connect').textContent = `Connect ${settings.connection}`;
  await showExpiry({});
  await showAccounts();
}

async function showExpiry(options) {
  const { expires_in: seconds } = await auth0.getTokenSilently({ ...options, detailedResponse: true });
  element('expires').textContent = new Date(Date.now() + seconds * 1000).toLocaleTimeString();
}

function say(text, bad = false) {
  element('message').textContent = text;
  element('message').classList.toggle('bad', bad);
}

/** Runs an action; its error becomes the message. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(error.message, true);
  }
}

const on = (id, action) => element(id).addEventListener('click', () => attempt(action));

on('sign-in', () => auth0.loginWithRedirect());
on('sign-out', () => auth0.logout({ logoutParams: { returnTo: here } }));
on('connect', () => auth0.connectAccountWithRedirect({ connection: settings.connection }));
on('renew', async () => {
  await showExpiry({ cacheMode: 'off' });
  say('Renewed.');
});
on('profile', async () => {
  const token = await auth0.getTokenSilently();
  const response = await fetch('api/profile', { headers: { authorization: `Bearer ${token}` } });
  const body = await response.json();
  element('answer').hidden = !response.ok;
  if (!response.ok) throw new Error(body.message ?? body.error);
  element('answer').textContent = JSON.stringify(body, null, 2);
});

await attempt(comeBack);
await attempt(show);
document.querySelector('main')?.removeAttribute('aria-busy');
