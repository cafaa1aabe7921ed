// SPDX-License-Identifier: Apache-2.0
// The connect in a real browser, with Chromium's own behaviour for cookies, redirects and CORS. The tests
// need Chromium: `chromium` in PATH, or its path in CHROMIUM.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser, skip } from './chromium.mjs';
import { World, eventually } from './harness.mjs';

describe('a browser', { timeout: 120_000, skip }, () => {
  let world;
  let opened;
  let browser;

  before(async () => {
    world = await World.start();
    opened = await openBrowser();
    ({ browser } = opened);
  });
  after(async () => {
    await opened?.close();
    await world?.close();
  });

  const button = (page, name) => page.getByRole('button', { name });
  const message = (page) => page.locator('#message');

  // The page updates the list after the message.
  const showsAccounts = (page, number) => eventually(
    `the page shows ${number} accounts`,
    async () => await page.locator('#list > li').count() === number,
  );

  async function signedIn(login) {
    await browser.clearCookies();
    const page = await browser.newPage();
    await page.goto(world.page);
    await button(page, 'Sign in').click();
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await button(page, 'Continue').click();
    await message(page).filter({ hasText: 'Signed in.' }).waitFor();
    return page;
  }

  async function connect(page) {
    await button(page, 'Connect demo').click();
    await button(page, 'Continue').click();
    await message(page).filter({ hasText: 'Connected demo.' }).waitFor();
  }

  test('connects an account, which is then exchanged, and deletes it', async () => {
    const page = await signedIn('paula');
    await connect(page);
    await showsAccounts(page, 1);
    assert.equal(page.url(), world.page, 'one-time codes stay in the address bar');

    const user = await world.signIn('paula');
    assert.equal(await world.owner((await world.exchange(user)).access_token), 'paula');

    await button(page, 'Delete paula@example.com').click();
    await button(page, 'Delete the account').click();
    await message(page).filter({ hasText: 'Deleted paula@example.com.' }).waitFor();
    await showsAccounts(page, 0);
    assert.deepEqual(await world.accounts(user), []);
    await page.close();
  });

  test('keeps the account when the person gives up half way through connecting again', async () => {
    const page = await signedIn('petra');
    await connect(page);
    await button(page, 'Connect demo').click();
    await page.getByRole('link', { name: /cancel/i }).click();
    await message(page).filter({ hasText: 'No account was connected' }).waitFor();
    await showsAccounts(page, 1);
    await page.close();
  });

  test('finishes two connects that were begun in two tabs', async () => {
    const one = await signedIn('pia');
    const two = await browser.newPage();
    await two.goto(world.page);
    await button(two, 'Sign in').click();
    await message(two).filter({ hasText: 'Signed in.' }).waitFor();
    for (const page of [one, two]) await button(page, 'Connect demo').click();
    for (const page of [one, two]) await button(page, 'Continue').waitFor();
    for (const page of [one, two]) {
      await button(page, 'Continue').click();
      await message(page).filter({ hasText: 'Connected demo.' }).waitFor();
    }
    await one.close();
    await two.close();
  });

  test('prefetches the link of a connect without using it up', async () => {
    const user = await world.signIn('prue');
    const link = world.api.connectLink(await world.startConnect(user));
    const page = await browser.newPage();
    await page.goto(world.page);
    const prefetched = page.waitForResponse(link);
    await page.evaluate((href) => {
      document.head.append(Object.assign(document.createElement('link'), { rel: 'prefetch', href }));
    }, link);
    assert.equal((await prefetched).status(), 503);
    await page.goto(link);
    assert.ok(page.url().startsWith(world.issuer), page.url());
    await page.close();
  });

  test('reads nothing for a page of an origin that is not registered', async () => {
    const page = await browser.newPage();
    const { me_token: token } = await world.signIn('quinn');
    const read = () => page.evaluate(async ([url, bearer]) => {
      const headers = { authorization: `Bearer ${bearer}` };
      return fetch(url, { headers }).then((answer) => answer.status, () => 'refused');
    }, [`${world.vault}/me/v1/connected-accounts/accounts`, token]);
    await page.goto(world.page.replace('127.0.0.1', 'localhost'));
    assert.equal(await read(), 'refused');
    await page.goto(world.page);
    assert.equal(await read(), 200);
    await page.close();
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
