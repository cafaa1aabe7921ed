// SPDX-License-Identifier: Apache-2.0
// The npm package `@auth0/auth0-spa-js` in a real browser, as the page of `examples/spa` uses it. The tests need
// Chromium: `chromium` in PATH, or its path in CHROMIUM.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { application } from '../../examples/spa/server.mjs';
import { GRANT } from '../../xtask/js/vault-api.mjs';
import { openBrowser, skip } from '../e2e/chromium.mjs';
import { eventually } from '../e2e/harness.mjs';
import { freePort } from '../e2e/workerd.mjs';
import { notedTests, npmVersion } from './compatibility.mjs';
import { assertLogHasNoSecret } from './failing.mjs';
import { APP_HOST, OTHER_HOST, serveTls } from './network.mjs';
import { startVault } from './vault.mjs';

const SDK = fileURLToPath(new URL('node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.esm.js', import.meta.url));

/** A vault, the example application on two sites, and a browser. */
class Scene {
  /**
   * Starts all of it. Call `close` at the end.
   *
   * @param {object} [signIn]  more of `SIGN_IN`
   */
  static async start(signIn) {
    const scene = new Scene();
    try {
      await scene.#begin(signIn);
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  async #begin(signIn) {
    const port = await freePort();
    this.app = `https://${APP_HOST}:${port}`;
    this.other = `https://${OTHER_HOST}:${port}`;
    const backend = { client_id: 'service', client_secret: randomBytes(32).toString('base64url') };
    const clients = {
      browser: {
        authentication: 'none',
        kind: 'spa',
        grants: ['authorization_code', 'refresh_token'],
        connections: ['demo'],
        redirect_uris: [`${this.app}/`, `${this.other}/`],
        post_logout_redirect_uris: [`${this.app}/`],
        origins: [this.app, this.other],
      },
      service: {
        authentication: 'client_secret',
        secret_sha256: [createHash('sha256').update(backend.client_secret).digest('hex')],
        grants: [GRANT.rfc8693],
        connections: ['demo'],
        accepts_from: ['browser'],
      },
    };
    const { world, made } = await startVault(() => clients, signIn);
    this.world = world;
    world.secrets.add(backend.client_secret);
    const settings = {
      vault: world.vault, spa: { client_id: 'browser' }, backend, connection: 'demo', profile: `${world.issuer}/me`,
    };
    this.server = await serveTls(made, port, application(settings, SDK));
    this.opened = await openBrowser({
      // The certificate of this run; all others stay unknown.
      args: [`--ignore-certificate-errors-spki-list=${made.pin}`],
      // Some builds of Chromium send no cookies of other sites. Here the cookies' own attributes are to decide.
      preferences: { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } },
    });
    this.browser = this.opened.browser;
  }

  async close() {
    await this.opened?.close();
    await this.server?.close();
    await this.world?.close();
  }

  /** Signs a user in; returns the page. */
  async signIn(login) {
    await this.browser.clearCookies();
    const page = await this.browser.newPage();
    await page.goto(`${this.app}/`);
    await button(page, 'Sign in').click();
    // The provider's pages.
    await page.fill('input[name=login]', login);
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await button(page, 'Continue').click();
    await button(page, 'Sign out').waitFor();
    // The page has made its own requests for tokens.
    await page.locator('main:not([aria-busy])').waitFor();
    return page;
  }

  /**
   * What a new client gets that may not ask the user, in a page of this origin: the user, or the error.
   *
   * @param {string} origin
   */
  async silently(origin) {
    const page = await this.browser.newPage();
    await page.goto(`${origin}/`);
    const result = await page.evaluate(async ([domain, clientId]) => {
      const sdk = '/page/auth0-spa-js.js';
      const { Auth0Client } = await import(sdk);
      const client = new Auth0Client({ domain, clientId, authorizationParams: { redirect_uri: `${location.origin}/` } });
      try {
        await client.getTokenSilently();
        return (await client.getUser()).sub;
      } catch (error) {
        return error.error;
      }
    }, [new URL(this.world.vault).host, 'browser']);
    await page.close();
    return result;
  }
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const says = (page, text) => page.locator('#message').filter({ hasText: text }).waitFor();

describe('@auth0/auth0-spa-js', { timeout: 180_000, skip }, () => {
  let scene;
  let app;

  before(async () => {
    scene = await Scene.start();
    ({ app } = scene);
  });
  after(() => scene?.close());

  const tries = notedTests('@auth0/auth0-spa-js', {
    version: npmVersion('@auth0/auth0-spa-js'),
    settings: ['`domain` is the host of the vault', '`useRefreshTokens` is `true`'],
    skip,
  });

  async function connect(page) {
    await button(page, 'Connect demo').click();
    await button(page, 'Continue').click();
    await says(page, 'Connected demo.');
  }

  tries('signs a user in with a redirect', async () => {
    const page = await scene.signIn('anna');
    assert.equal(await page.locator('#subject').textContent(), 'demo|anna');
    assert.equal(await page.locator('#name').textContent(), 'Anna');
    assert.equal(page.url(), `${app}/`, 'a one-time code stays in the address bar');
    await page.close();
  });

  tries('signs a user in silently after a reload, when the page has lost its tokens', async () => {
    const page = await scene.signIn('berta');
    await page.reload();
    await button(page, 'Sign out').waitFor();
    assert.equal(await page.locator('#subject').textContent(), 'demo|berta');
    await page.close();
  });

  tries('signs in silently on the vault’s own site, and on another site is told login_required', async () => {
    const page = await scene.signIn('carla');
    assert.equal(await scene.silently(app), 'demo|carla');
    assert.equal(await scene.silently(scene.other), 'login_required');
    await scene.browser.clearCookies();
    assert.equal(await scene.silently(app), 'login_required');
    await page.close();
  });

  tries('connects an account, which the back end then uses, and deletes it', async () => {
    const page = await scene.signIn('dora');
    await page.locator('#none').waitFor();
    await connect(page);
    assert.equal(page.url(), `${app}/`, 'a one-time code stays in the address bar');
    await button(page, 'Read my profile').click();
    await page.locator('#answer').filter({ hasText: '"sub": "dora"' }).waitFor();
    await button(page, 'Delete dora@example.com').click();
    await button(page, 'Delete the account').click();
    await says(page, 'Deleted dora@example.com. The provider has revoked its tokens.');
    await page.locator('#none').waitFor();
    await page.close();
  });

  tries('is told when the person gives up a connect', async () => {
    const page = await scene.signIn('emma');
    await button(page, 'Connect demo').click();
    await page.getByRole('link', { name: /cancel/i }).click();
    await says(page, 'No account was connected');
    assert.equal(await page.locator('#message').getAttribute('class'), '');
    await page.locator('#none').waitFor();
    await page.close();
  });

  tries('renews the access token twice, each time with the refresh token that the last response brought', async () => {
    const page = await scene.signIn('fiona');
    const answers = [];
    page.on('response', async (response) => {
      if (response.url() !== `${scene.world.vault}/oauth/token` || response.request().method() !== 'POST') return;
      const sent = new URLSearchParams(response.request().postData() ?? '');
      answers.push({ status: response.status(), sent: sent.get('refresh_token'), body: await response.json() });
    });
    for (const number of [1, 2]) {
      await button(page, 'Renew the access token').click();
      await eventually(`${number} renewals`, () => answers.length === number);
      await says(page, 'Renewed.');
    }
    assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
    const [first, second] = answers;
    assert.equal(second.sent, first.body.refresh_token);
    assert.equal(new Set([first.sent, second.sent, second.body.refresh_token]).size, 3);
    for (const { body } of answers) assert.ok(body.id_token && body.access_token);
    await page.close();
  });

  tries('signs out, and is then signed in nowhere', async () => {
    const page = await scene.signIn('gerda');
    await button(page, 'Sign out').click();
    await button(page, 'Sign in').waitFor();
    assert.equal(page.url(), `${app}/`);
    assert.equal(await scene.silently(app), 'login_required');
    await page.close();
  });

  tries('the example’s page fits small and large screens, light and dark', async () => {
    const page = await scene.signIn('heidi');
    await connect(page);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const inner = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.equal(inner, width);
    }
    const colors = [];
    for (const colorScheme of /** @type {('light' | 'dark')[]} */ (['light', 'dark'])) {
      await page.emulateMedia({ colorScheme });
      colors.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    }
    assert.equal(new Set(colors).size, 2);
    await page.close();
  });

  test('leads to the sign-in when the session has ended', async () => {
    const page = await scene.signIn('ilse');
    await scene.world.advance(400 * 24 * 3600);
    await button(page, 'Connect demo').click();
    await says(page, 'Your session has ended. Sign in again.');
    assert.equal(await button(page, 'Sign in').evaluate((one) => one === document.activeElement), true);
    await page.close();
  });

  test('no secret was logged', () => assertLogHasNoSecret(scene.world));
});

describe('@auth0/auth0-spa-js with a vault whose session is for other sites too', { timeout: 60_000, skip }, () => {
  let scene;

  before(async () => {
    scene = await Scene.start({ cross_site: true });
  });
  after(() => scene?.close());

  test('signs in silently on another site, until the user signs out', async () => {
    const page = await scene.signIn('ida');
    assert.equal(await scene.silently(scene.other), 'demo|ida');
    await button(page, 'Sign out').click();
    await button(page, 'Sign in').waitFor();
    assert.equal(await scene.silently(scene.other), 'login_required');
    await page.close();
  });

  test('no secret was logged', () => assertLogHasNoSecret(scene.world));
});
