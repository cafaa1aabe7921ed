// SPDX-License-Identifier: Apache-2.0
// The page of `examples/spa` without Auth0's SDK, which `cargo xtask dev` serves: what it says and where the focus
// is in each of its states. The tests need Chromium: `chromium` in PATH, or its path in CHROMIUM. With SCREENSHOTS,
// a directory, they store a picture of each state there.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { application } from '../../examples/spa/server.mjs';
import { openBrowser, skip } from './chromium.mjs';
import { World } from './harness.mjs';

/** Longer than the life of a user's token, in seconds. */
const DAY = 24 * 3600;

describe('the page without an SDK', { timeout: 180_000, skip }, () => {
  let world;
  let opened;
  let browser;

  before(async () => {
    world = await World.start({
      upstream: [{ connection: 'unrevocable', client_id: 'vault-unrevocable' }],
      offers: ['demo', 'unrevocable'],
      connections: ({ issuer }) => ({
        unrevocable: {
          kind: 'oauth2',
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          client_id: 'vault-unrevocable',
          client_authentication: 'none',
          scopes: ['openid', 'offline_access'],
          authorization_params: { prompt: 'consent' },
        },
      }),
    });
    opened = await openBrowser();
    ({ browser } = opened);
  });
  after(async () => {
    await opened?.close();
    await world?.close();
  });

  const button = (page, name) => page.getByRole('button', { name });
  const message = (page) => page.locator('#message');
  const says = (page, hasText) => message(page).filter({ hasText }).waitFor();
  const settled = (page) => page.locator('main:not([aria-busy])').waitFor();
  const focused = (page) => page.evaluate(() => (
    document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent
  ));

  async function fresh() {
    await browser.clearCookies();
    const page = await browser.newPage();
    await page.goto(world.page);
    await button(page, 'Sign in').waitFor();
    await settled(page);
    return page;
  }

  async function signedIn(login) {
    const page = await fresh();
    await button(page, 'Sign in').click();
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await button(page, 'Continue').click();
    await says(page, 'Signed in.');
    await settled(page);
    return page;
  }

  async function connect(page, connection = 'demo') {
    await button(page, `Connect ${connection}`).click();
    await button(page, 'Continue').click();
    await says(page, `Connected ${connection}.`);
    await settled(page);
  }

  const deleteButtons = (page) => page.locator('#list button');

  async function remove(page) {
    await deleteButtons(page).first().click();
    await button(page, 'Delete the account').click();
  }

  /** Changes the accounts in the vault's list. */
  const changed = (page, change) => page.route('**/accounts?*', async (route) => {
    const response = await route.fetch();
    const { accounts } = await response.json();
    await route.fulfill({ response, json: { accounts: accounts.map(change) } });
  });

  /** Asserts that a state fits small and large screens, light and dark. */
  async function fits(page, state) {
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
      const backgrounds = [];
      for (const colorScheme of /** @type {('light' | 'dark')[]} */ (['light', 'dark'])) {
        await page.emulateMedia({ colorScheme });
        const [inner, background] = await page.evaluate(() => (
          [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]
        ));
        assert.equal(inner, width, `${state} is wider than ${width} pixels`);
        backgrounds.push(background);
        if (process.env.SCREENSHOTS) {
          await page.screenshot({ path: join(process.env.SCREENSHOTS, `${state}-${width}-${colorScheme}.png`), fullPage: true });
        }
      }
      assert.equal(new Set(backgrounds).size, 2, `${state} has one background in light and dark`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  }

  test('offers the sign-in to a person who is not signed in, and nothing else', async () => {
    const page = await fresh();
    assert.equal(await page.locator('button:visible').count(), 1);
    assert.equal(await message(page).textContent(), '');
    await fits(page, 'signed-out');
    await page.close();
  });

  test('says that the user has no account yet', async () => {
    const page = await signedIn('nora');
    assert.equal(await page.locator('#none').isVisible(), true);
    assert.equal(await page.locator('#name').textContent(), 'nora');
    await fits(page, 'no-account');
    await page.close();
  });

  /** What the page shows of an account, by the names that it shows. */
  async function shown(account) {
    const texts = await account.locator('dl > div').allInnerTexts();
    return Object.fromEntries(texts.map((text) => text.split('\n').map((part) => part.trim())));
  }

  test('shows whose account it is, its connection, id, scopes and times', async () => {
    const page = await signedIn('olga');
    await connect(page);
    await fits(page, 'connected');
    await changed(page, (account) => ({ ...account, expires_at: '2027-01-31T09:00:00Z' }));
    await page.reload();
    await settled(page);
    const account = page.locator('#list > li');
    assert.equal(await account.locator('strong').textContent(), 'olga@example.com');
    assert.equal(await account.getByRole('button').getAttribute('aria-label'), 'Delete olga@example.com');
    const fields = await shown(account);
    assert.deepEqual(Object.keys(fields), ['Connection', 'Id', 'Scopes', 'Connected', 'Connect again before']);
    assert.equal(fields.Connection, 'demo');
    assert.match(fields.Id, /^cac_\w+$/);
    assert.equal(fields.Scopes, 'openid email profile offline_access');
    assert.match(fields['Connect again before'], /2027/);
    await fits(page, 'all-fields');
    await page.close();
  });

  test('shows the id of an account without a label', async () => {
    const page = await signedIn('oxana');
    await connect(page);
    await connect(page, 'unrevocable');
    const list = page.locator('#list > li');
    await list.nth(1).waitFor();
    const [labelled, other] = ['demo', 'unrevocable'].map((connection) => list.filter({ hasText: connection }));
    assert.equal(await labelled.locator('strong').textContent(), 'oxana@example.com');
    assert.match(await other.locator('strong').textContent(), /^cac_\w+$/);
    assert.deepEqual(Object.keys(await shown(other)), ['Connection', 'Scopes', 'Connected']);
    await fits(page, 'labels');
    await page.close();
  });

  test('shows all of more accounts than the vault lists at once', async () => {
    const page = await signedIn('otto');
    await page.route('**/accounts?*', async (route) => {
      const response = await route.fetch();
      const from = new URL(route.request().url()).searchParams.get('from');
      const account = { id: from ? 'cac_two' : 'cac_one', connection: 'demo', created_at: '2026-01-01T00:00:00Z' };
      await route.fulfill({ response, status: 200, json: { accounts: [account], ...(!from && { next: 'more' }) } });
    });
    await page.reload();
    await settled(page);
    assert.deepEqual(await page.locator('#list strong').allTextContents(), ['cac_one', 'cac_two']);
    await page.close();
  });

  test('takes a cancelled connect for no error, and leaves the accounts as they are', async () => {
    const page = await signedIn('petra');
    await connect(page);
    await button(page, 'Connect demo').click();
    await page.getByRole('link', { name: /cancel/i }).click();
    await says(page, 'No account was connected');
    await settled(page);
    assert.equal(await message(page).getAttribute('class'), '');
    assert.equal(await page.locator('#list > li').count(), 1);
    assert.equal(page.url(), world.page);
    await fits(page, 'cancelled');
    await page.close();
  });

  test('takes a cancelled sign-in for no error', async () => {
    const page = await fresh();
    await button(page, 'Sign in').click();
    await page.getByRole('link', { name: /cancel/i }).click();
    await says(page, 'You are not signed in');
    await settled(page);
    assert.equal(await message(page).getAttribute('class'), '');
    assert.equal(await button(page, 'Sign in').isVisible(), true);
    await page.close();
  });

  test('says what went wrong at the provider', async () => {
    const page = await signedIn('quirin');
    await button(page, 'Connect demo').click();
    await button(page, 'Continue').waitFor();
    await page.goto(world.page);
    const { state } = await page.evaluate(() => JSON.parse(sessionStorage.getItem('connect')));
    await page.goto(`${world.page}?${new URLSearchParams({ error: 'temporarily_unavailable', error_description: 'The provider is down.', state })}`);
    await says(page, 'The provider is down.');
    await settled(page);
    assert.equal(await message(page).getAttribute('class'), 'bad');
    await fits(page, 'error');
    await page.close();
  });

  const failures = [
    ['cannot be reached', (route) => route.abort(), 'The vault cannot be reached. Try again later.'],
    ['answers no problem document', (route) => route.fulfill({ status: 502, body: 'bad gateway' }), 'The vault could not answer: status 502'],
  ];
  for (const [what, fail, text] of failures) {
    test(`says so when the vault ${what}, and shows what it showed`, async () => {
      const page = await signedIn('quentin');
      await page.route('**/connect', fail);
      await button(page, 'Connect demo').click();
      await says(page, text);
      assert.equal(await message(page).getAttribute('class'), 'bad');
      assert.equal(await button(page, 'Connect demo').isVisible(), true);
      await page.close();
    });
  }

  test('gives back the address of a connect that another tab or a script began', async () => {
    const page = await signedIn('rita');
    const address = `${world.page}?connect_code=code&state=of-somebody-else`;
    await page.goto(address);
    await says(page, address);
    await settled(page);
    assert.equal(page.url(), world.page);
    await fits(page, 'of-another-tab');
    await page.close();
  });

  test('asks before it deletes an account, and changes nothing if the person keeps it', async () => {
    const page = await signedIn('tina');
    await connect(page);
    const deletions = [];
    page.on('request', (request) => { if (request.method() === 'DELETE') deletions.push(request.url()); });
    for (const keep of [() => button(page, 'Keep the account').click(), () => page.keyboard.press('Escape')]) {
      await deleteButtons(page).click();
      await page.getByRole('dialog').waitFor();
      assert.equal(await focused(page), 'Keep the account');
      await fits(page, 'asks');
      await keep();
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      assert.equal(await focused(page), 'Delete tina@example.com');
    }
    assert.deepEqual(deletions, []);
    assert.equal(await page.locator('#list > li').count(), 1);
    await page.close();
  });

  const outcomes = [
    { outcome: 'revoked', text: 'The provider has revoked its tokens.', look: 'good' },
    { outcome: 'pending', text: 'The vault tries for two days', look: '', answer: { status: 503 } },
    { outcome: 'not_supported', text: 'Its tokens are not revoked', look: '', connection: 'unrevocable' },
    {
      outcome: 'failed',
      text: 'The provider refused to revoke its tokens.',
      look: 'bad',
      answer: { status: 400, body: { error: 'invalid_request' } },
    },
  ];
  for (const { outcome, text, look, answer, connection = 'demo' } of outcomes) {
    test(`says of a deleted account that its tokens are ${outcome}`, async () => {
      const page = await signedIn(`ute-${outcome}`);
      await connect(page, connection);
      if (answer) world.intercept(() => answer, '/token/revocation');
      const answered = page.waitForResponse((response) => response.request().method() === 'DELETE');
      await remove(page);
      assert.equal((await answered).headers()['token-revocation'], outcome);
      await says(page, text);
      await settled(page);
      world.intercept();
      assert.equal(await message(page).getAttribute('class'), look);
      assert.equal(await page.locator('#none').isVisible(), true);
      await fits(page, `deleted-${outcome}`);
      await page.close();
    });
  }

  test('keeps the focus in the list after a deletion, and then at the button that connects', async () => {
    const page = await signedIn('vera');
    await connect(page);
    await connect(page, 'unrevocable');
    const [first, second] = await deleteButtons(page).evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
    await button(page, first).click();
    await button(page, 'Delete the account').click();
    await says(page, 'Deleted');
    await settled(page);
    assert.equal(await focused(page), second);
    await remove(page);
    await says(page, 'Its tokens are not revoked');
    await settled(page);
    assert.equal(await focused(page), 'Connect demo');
    await page.close();
  });

  test('forgets the user at a sign-out', async () => {
    const page = await signedIn('wanda');
    await button(page, 'Sign out').click();
    await says(page, 'Signed out.');
    assert.equal(await focused(page), 'Sign in');
    await page.reload();
    await settled(page);
    assert.equal(await button(page, 'Sign in').isVisible(), true);
    await page.close();
  });

  // The last one: the provider's clock, by which tokens are issued, does not move.
  test('says to sign in again when the token has expired, and leads there', async () => {
    const page = await signedIn('sara');
    await connect(page);
    await world.advance(DAY);
    await button(page, 'Connect demo').click();
    await says(page, 'Your session has ended. Sign in again.');
    await settled(page);
    assert.equal(await message(page).getAttribute('class'), '');
    assert.equal(await focused(page), 'Sign in');
    assert.equal(await page.locator('#accounts').isVisible(), false);
    await fits(page, 'expired');
    await page.close();
  });
});

test('the example serves the page without the SDK if its settings say so, though no SDK is installed', async (t) => {
  const settings = {
    vault: 'https://vault.example.com', spa: { client_id: 'app' }, backend: { client_id: 'service', client_secret: 'secret' },
    connection: 'calendar', profile: 'https://api.example.com/me', sdk: false,
  };
  const server = createServer(application(settings, '/no/such/file'));
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  t.after(() => { server.close(); server.closeAllConnections(); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const get = (path) => fetch(`http://127.0.0.1:${port}${path}`);
  const served = await (await get('/page/settings.json')).json();
  assert.deepEqual(served, {
    vault: settings.vault, client_id: 'app', connections: ['calendar'], sdk: false,
    issuer: {
      authorize: 'https://vault.example.com/authorize',
      token: 'https://vault.example.com/oauth/token',
      logout: 'https://vault.example.com/v2/logout',
    },
  });
  assert.equal(JSON.stringify(served).includes('secret'), false);
  assert.equal((await get('/page/oauth.mjs')).status, 200);
  assert.equal((await get('/page/auth0.mjs')).status, 404);
});
