// SPDX-License-Identifier: Apache-2.0
// The page: what the user sees and does. All texts of the vault and the provider are shown as text. How users
// sign in is in auth0.mjs, with Auth0's SDK, and in oauth.mjs, without one.
import { SignInNeeded, deleteAccount, listAccounts } from './api.mjs';

/** @typedef {import('../server.mjs').PageSettings} PageSettings */

/**
 * A user's session in this browser. Each method that needs the user throws `SignInNeeded` if the session has ended.
 *
 * @typedef {object} Session
 * @property {() => Promise<{signedIn?: boolean, connected?: string, declined?: 'connect' | 'sign-in'} | undefined>} comeBack
 *   completes the sign-in or connect that brought the browser back, if one did
 * @property {() => Promise<{name: string, id: string, expires: Date} | undefined>} user
 * @property {() => Promise<void>} signIn   leaves the page
 * @property {() => Promise<void>} signOut  leaves the page, if the issuer has an address for it
 * @property {() => Promise<void>} forget   ends the session in this browser only
 * @property {(connection: string) => Promise<void>} connect  leaves the page
 * @property {(scope: string) => Promise<string>} token  an access token for the connected-accounts API
 * @property {() => Promise<Date>} [renew]  gets another access token for the back end; returns when it expires
 * @property {() => Promise<object>} [profile]  the user's profile at the provider, through the back end
 */

/** What the page says of a deleted account's tokens, by the value of `Token-Revocation`. */
const REVOCATION = {
  revoked: ['The provider has revoked its tokens.', 'good'],
  pending: ['The provider does not answer now. The vault tries for two days to have the tokens revoked.', ''],
  not_supported: [
    'Its tokens are not revoked: the provider cannot do that for this account alone. To end the access there too, '
      + 'remove the application in the provider’s account settings.', '',
  ],
  failed: [
    'The provider refused to revoke its tokens. To end the access there too, remove the application in the '
      + 'provider’s account settings.', 'bad',
  ],
};

const DECLINED = {
  connect: 'No account was connected: you cancelled, or the provider declined. Nothing has changed.',
  'sign-in': 'You are not signed in: you cancelled, or the provider declined.',
};

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

/** @type {PageSettings} */
const settings = await (await fetch(new URL('settings.json', import.meta.url))).json();
const { openSession } = settings.sdk ? await import('./auth0.mjs') : await import('./oauth.mjs');
/** @type {Session} */
const session = await openSession(settings);

function say(text, kind = '') {
  element('message').textContent = text;
  element('message').className = kind;
}

/** Runs one action at a time. Its error becomes the message; a session that has ended leads to the sign-in. */
let busy = false;
async function attempt(action) {
  if (busy) return;
  busy = true;
  element('main').setAttribute('aria-busy', 'true');
  try {
    await action();
  } catch (error) {
    if (error instanceof SignInNeeded) await signInAgain();
    else say(error.message, 'bad');
  } finally {
    busy = false;
    element('main').removeAttribute('aria-busy');
  }
}

async function signInAgain() {
  await session.forget();
  showUser(undefined);
  say('Your session has ended. Sign in again.');
  element('sign-in').focus();
}

function showUser(user) {
  for (const id of ['user', 'accounts', 'session']) element(id).hidden = !user;
  element('welcome').hidden = Boolean(user);
  if (!user) {
    element('use').hidden = true;
    return;
  }
  element('name').textContent = user.name;
  element('subject').textContent = user.id;
  showExpiry(user.expires);
}

const shown = (date) => date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

function showExpiry(date) {
  element('expires').textContent = shown(date);
}

/** Shows the user's accounts, and the user only once the vault has accepted the user's token. */
async function show() {
  const user = await session.user();
  if (user) await showAccounts();
  showUser(user);
}

async function showAccounts() {
  const token = await session.token('read:me:connected_accounts');
  const accounts = await listAccounts(settings.vault, token);
  element('none').hidden = accounts.length > 0;
  element('use').hidden = !session.profile || accounts.length === 0;
  element('list').replaceChildren(...accounts.map(rowOf));
}

function rowOf(account) {
  const row = element('row').content.firstElementChild.cloneNode(true);
  const label = account.label ?? account.id;
  const date = (text) => text && shown(new Date(text));
  const texts = {
    label,
    connection: account.connection,
    // Without a label the id is what the account is called.
    id: account.label && account.id,
    scopes: (account.scopes ?? []).join(' '),
    created: date(account.created_at),
    expires: date(account.expires_at),
  };
  for (const [name, text] of Object.entries(texts)) {
    const place = row.querySelector(`[data-field=${name}]`);
    place.textContent = text ?? '';
    if (!text) place.closest('div').remove();
  }
  const button = row.querySelector('button');
  button.setAttribute('aria-label', `Delete ${label}`);
  button.addEventListener('click', async () => {
    if (await confirmed(label)) await attempt(() => remove(row, account, label));
  });
  return row;
}

/** Deletes the account and says what became of its tokens. */
async function remove(row, account, label) {
  const token = await session.token('delete:me:connected_accounts');
  const outcome = await deleteAccount(settings.vault, token, account.id);
  const place = [...row.parentElement.children].indexOf(row);
  await showAccounts();
  // Without an outcome, the account was deleted before.
  const [text, kind] = REVOCATION[outcome] ?? ['', ''];
  say(`Deleted ${label}. ${text}`, kind);
  // The button that had the focus is gone: the focus goes to the account that took its place, or the last one.
  const buttons = element('list').querySelectorAll('button');
  (buttons[place] ?? buttons[place - 1] ?? element('connect').querySelector('button')).focus();
}

/** Resolves with whether the user means to delete the account. The browser returns the focus to where it was. */
function confirmed(label) {
  const dialog = element('ask');
  element('which').textContent = label;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'delete'), { once: true });
  });
}

const on = (id, action) => element(id).addEventListener('click', () => attempt(action));

element('connect').append(...settings.connections.map((connection) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = `Connect ${connection}`;
  button.addEventListener('click', () => attempt(() => session.connect(connection)));
  return button;
}));
for (const answer of ['keep', 'delete']) element(answer).addEventListener('click', () => element('ask').close(answer));

on('sign-in', () => session.signIn());
on('sign-out', async () => {
  await session.signOut();
  showUser(undefined);
  say('Signed out.');
  element('sign-in').focus();
});
on('renew', async () => {
  showExpiry(await session.renew?.());
  say('Renewed.', 'good');
});
on('profile', async () => {
  element('answer').hidden = true;
  const profile = await session.profile?.();
  element('answer').textContent = JSON.stringify(profile, null, 2);
  element('answer').hidden = false;
  say('');
});
element('renew').hidden = !session.renew;

/** Says how the sign-in or the connect ended that brought the browser back. */
async function comeBack() {
  const end = await session.comeBack();
  if (!end) return;
  if (end.connected) say(`Connected ${end.connected}.`, 'good');
  else if (end.declined) say(DECLINED[end.declined]);
  else say('Signed in.', 'good');
}

await attempt(async () => {
  try {
    await comeBack();
  } finally {
    await show();
  }
});
