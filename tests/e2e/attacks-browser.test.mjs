// SPDX-License-Identifier: Apache-2.0
// Attacks through a user's browser, in Chromium: frames, forms, messages and markup of strangers. The tests need
// Chromium: `chromium` in PATH, or its path in CHROMIUM.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { openBrowser, skip } from './chromium.mjs';
import { eventually } from './harness.mjs';
import { HostileServer } from './hostile-server.mjs';
import { CALLBACK, RelyingParty } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

describe('attacks through a browser', { timeout: 240_000, skip }, () => {
  let party;
  let world;
  /** Serves the application's pages under its registered origin, and a stranger's under `localhost`. */
  let pages;
  let stranger;
  let opened;
  let browser;

  before(async () => {
    pages = await HostileServer.start();
    stranger = pages.origin.replace('127.0.0.1', 'localhost');
    for (const path of ['/app', '/partner', '/bye', '/evil']) {
      pages.on(path, (response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end(`<!doctype html><title>${path}</title><script>window.heard=[];addEventListener('message',(event)=>heard.push(event.data))</script>`);
      });
    }
    party = await RelyingParty.start({
      upstream: [{ connection: 'second', client_id: 'vault-second', client_secret: random() }],
      connections: ({ issuer }) => ({
        second: { kind: 'oidc', issuer, client_id: 'vault-second', client_authentication: 'client_secret_basic' },
      }),
    }, {
      connections: ['demo', 'second'],
      clients: {
        page: {
          authentication: 'none',
          kind: 'spa',
          name: '</title></h1><script>window.pwned=1</script><img src=x onerror="window.pwned=1">',
          grants: ['authorization_code', 'refresh_token'],
          connections: ['demo'],
          redirect_uris: [`${pages.origin}/app`, CALLBACK],
          post_logout_redirect_uris: [`${pages.origin}/bye`],
          origins: [pages.origin],
        },
      },
    });
    world = party.world;
    const { partner } = world.bindings.json.CLIENTS;
    partner.name = '"><img src=x onerror="window.pwned=1"> {}';
    partner.redirect_uris.push(`${pages.origin}/partner`);
    await world.stopVault();
    await world.startVault();
    opened = await openBrowser();
    ({ browser } = opened);
  });
  after(async () => {
    await opened?.close();
    await world?.close();
    await pages?.close();
  });

  const request = (more = {}) => party.request(random(), { client_id: 'page', redirect_uri: `${pages.origin}/app`, ...more }).href;
  const partnerRequest = (more = {}) => request({
    client_id: 'partner', redirect_uri: `${pages.origin}/partner`, code_challenge: null, code_challenge_method: null, connection: 'demo', ...more,
  });

  /** Fills in the provider's forms, if it shows them, until `done` is shown. */
  async function atProvider(page, login, done) {
    const name = page.locator('input[name=login]');
    const go = page.getByRole('button', { name: 'Continue', exact: true });
    for (let step = 0; step < 3; step += 1) {
      await page.waitForLoadState();
      if (done(page.url())) return;
      if (await name.count()) {
        await name.fill(login);
        await page.fill('input[name=password]', 'any');
        await page.click('button[type=submit]');
      } else if (page.url().startsWith(world.issuer)) {
        await go.click();
      }
    }
    await page.waitForURL((url) => done(url.href));
  }

  /** The button of a page of the vault that sends this value. */
  const button = (page, name, value) => page.locator(`button[name=${name}][value=${value}], form:has(input[name=${name}][value=${value}]) button`);

  const isBack = (url) => url.startsWith(pages.origin);

  /** Signs a user in with the pages of the vault; returns the page at the application. */
  async function signedIn(login, more) {
    await browser.clearCookies();
    const page = await browser.newPage();
    await page.goto(request(more));
    await button(page, 'connection', 'demo').click();
    await atProvider(page, login, isBack);
    return page;
  }

  /** The parameters with which a silent sign-in comes back. */
  async function silently(page) {
    await page.goto(request({ prompt: 'none' }));
    return new URL(page.url()).searchParams;
  }

  /** Waits until the browser shows its own error page in the one frame of a page. */
  const isBlocked = (page, what) => eventually(`the frame is blocked: ${what}`, () => {
    const frames = page.frames().slice(1).map((one) => one.url());
    // Nothing but an empty document comes before the error page.
    assert.ok(frames.every((url) => ['', 'about:blank', 'chrome-error://chromewebdata/'].includes(url)), `${what}: ${frames}`);
    return frames.length === 1 && frames[0] === 'chrome-error://chromewebdata/';
  });

  const pwned = (page) => page.evaluate(() => 'pwned' in window);

  test('the forms of the vault’s own pages work: sign-in, consent and sign-out', async () => {
    const page = await signedIn('anna');
    assert.ok(new URL(page.url()).searchParams.get('code'), page.url());
    await page.goto(partnerRequest());
    await button(page, 'action', 'allow').click();
    await page.waitForURL(`${pages.origin}/partner?**`);
    assert.ok(new URL(page.url()).searchParams.get('code'), page.url());
    await page.goto(`${world.vault}/oidc/logout?client_id=page&post_logout_redirect_uri=${encodeURIComponent(`${pages.origin}/bye`)}`);
    await page.getByRole('button').click();
    await page.waitForURL(`${pages.origin}/bye`);
    assert.equal((await silently(page)).get('error'), 'login_required');
    await page.close();
  });

  test('logout by a stranger: a form of another site ends no session', async () => {
    const page = await signedIn('berta');
    for (const [method, path, fields] of [
      ['POST', '/oidc/logout', { client_id: 'page', post_logout_redirect_uri: `${pages.origin}/bye` }],
      ['POST', '/oidc/logout', { confirm: 'x' }],
      ['GET', '/oidc/logout', { client_id: 'page' }],
      ['GET', '/v2/logout', { client_id: 'app', returnTo: `${pages.origin}/bye` }],
    ]) {
      await page.goto(`${stranger}/evil`);
      await Promise.all([
        page.waitForURL((url) => !url.href.startsWith(stranger)),
        page.evaluate(([action, verb, values]) => {
          const form = document.createElement('form');
          Object.assign(form, { action, method: verb });
          for (const [name, value] of Object.entries(values)) {
            form.append(Object.assign(document.createElement('input'), { name, value }));
          }
          document.body.append(form);
          form.submit();
        }, /** @type {[string, string, Record<string, string>]} */ ([`${world.vault}${path}`, method, fields])),
      ]);
      await page.waitForLoadState();
      assert.ok((await silently(page)).get('code'), `${method} ${path}`);
    }
    await page.close();
  });

  test('logout by a stranger: an image, a frame and a script of another site end no session', async () => {
    const page = await signedIn('bruno');
    await page.goto(`${stranger}/evil`);
    const url = `${world.vault}/v2/logout?client_id=page&returnTo=${encodeURIComponent(`${pages.origin}/bye`)}`;
    await page.evaluate(async (address) => {
      for (const name of ['img', 'iframe', 'script']) {
        const element = Object.assign(document.createElement(name), { src: address });
        const settled = new Promise((resolve) => { element.onload = resolve; element.onerror = resolve; });
        document.body.append(element);
        await settled;
      }
      await fetch(address, { credentials: 'include', mode: 'no-cors' }).catch(() => undefined);
    }, url);
    assert.ok((await silently(page)).get('code'));
    await page.close();
  });

  test('web_message: the registered origin hears the response, and no other does', async () => {
    const page = await signedIn('carla');
    const url = request({ prompt: 'none', response_mode: 'web_message', state: '</script><script>window.pwned=1</script>' });
    const frame = (address) => page.evaluate(async (src) => {
      const element = Object.assign(document.createElement('iframe'), { src });
      const loaded = new Promise((resolve) => { element.onload = resolve; });
      document.body.append(element);
      await loaded;
    }, address);
    const heard = () => page.evaluate('heard');

    await page.goto(`${pages.origin}/evil`);
    await frame(url);
    await page.waitForFunction('heard.length > 0');
    const [{ type, response }] = await heard();
    assert.equal(type, 'authorization_response');
    assert.ok(response.code);
    assert.equal(response.state, '</script><script>window.pwned=1</script>');
    assert.equal(await pwned(page), false);

    // Another origin of the same site: its frame has the session's cookie, and is still not shown.
    for (const other of [`${world.issuer}/app`, `${stranger}/evil`]) {
      await page.goto(other);
      await page.evaluate("window.heard = []; addEventListener('message', (event) => heard.push(event.data));");
      await frame(url);
      await isBlocked(page, other);
      const popup = browser.waitForEvent('page');
      await page.evaluate((address) => { window.open(address); }, url);
      const opened = await popup;
      await opened.waitForLoadState();
      // What was sent to this page before is heard before this.
      await page.evaluate(() => new Promise((resolve) => {
        addEventListener('message', (event) => event.data === 'last' && resolve(undefined));
        postMessage('last', '*');
      }));
      assert.deepEqual((await heard()).filter((data) => data !== 'last'), [], other);
      await opened.close();
    }
    await page.close();
  });

  test('clickjacking: no page of the vault is shown in a frame', async () => {
    const page = await signedIn('doris');
    const addresses = [
      request({ prompt: 'login' }), partnerRequest({ connection: null }), request({ client_id: 'nobody' }), request({ response_mode: 'form_post' }),
      `${world.vault}/oidc/logout`, `${world.vault}/v2/logout?client_id=page`, `${world.vault}/callback/demo?code=x&state=y`,
      `${world.vault}/connected-accounts/connect?ticket=x`,
    ];
    for (const origin of [`${pages.origin}/evil`, `${stranger}/evil`]) {
      for (const address of addresses) {
        await page.goto(origin);
        await page.evaluate(async (src) => {
          const element = Object.assign(document.createElement('iframe'), { src });
          const loaded = new Promise((resolve) => { element.onload = resolve; });
          document.body.append(element);
          await loaded;
        }, address);
        await isBlocked(page, `${address} in ${origin}`);
      }
    }
    await page.close();
  });

  test('XSS: markup in names, state, hints and errors stays text', async () => {
    const evil = '"><script>window.pwned=1</script><img src=x onerror="window.pwned=1">\'</script>';
    const page = await browser.newPage();
    const failures = [];
    page.on('pageerror', (error) => failures.push(error.message));
    const isClean = async (what) => {
      assert.equal(await pwned(page), false, what);
      assert.equal(await page.locator('img').count(), 0, what);
      assert.deepEqual(failures, [], what);
    };
    await browser.clearCookies();
    // The sign-in page names the client.
    await page.goto(request({ state: evil, login_hint: evil, ui_locales: evil, nonce: evil }));
    await isClean('sign-in');
    assert.match(await page.locator('main').textContent(), /<script>window\.pwned=1<\/script>/);
    for (const more of [{ scope: `openid ${evil}` }, { client_id: evil }, { redirect_uri: `javascript:${evil}` }, { connection: evil }, { audience: evil }, { response_type: evil }, { prompt: evil }, { max_age: evil }, { request: evil }]) {
      await page.goto(request({ state: evil, ...more }));
      await isClean(JSON.stringify(more));
    }
    // A user whose name at the provider is markup sees the consent page.
    await page.goto(partnerRequest({ state: evil }));
    await atProvider(page, '<img src=x onerror=window.pwned=1>', (url) => url.startsWith(world.vault));
    await isClean('consent');
    assert.match(await page.locator('main').textContent(), /<img src=x onerror="window\.pwned=1">/);
    await button(page, 'action', 'deny').click();
    await page.waitForURL(`${pages.origin}/partner?**`);
    assert.equal(new URL(page.url()).searchParams.get('state'), evil);
    // The page that posts the response.
    const posted = new Promise((resolve) => { pages.on('/app', (response, body) => { response.end('<!doctype html>'); resolve(body); }); });
    await page.goto(request({ state: evil, response_mode: 'form_post', connection: 'demo' }));
    assert.equal((await posted).get('state'), evil);
    await isClean('form_post');
    for (const path of [
      `/oidc/logout?state=${encodeURIComponent(evil)}&client_id=${encodeURIComponent(evil)}&post_logout_redirect_uri=${encodeURIComponent(evil)}&id_token_hint=${encodeURIComponent(evil)}`,
      `/v2/logout?client_id=${encodeURIComponent(evil)}&returnTo=${encodeURIComponent(evil)}`,
      `/callback/demo?error=${encodeURIComponent(evil)}&error_description=${encodeURIComponent(evil)}&state=${encodeURIComponent(evil)}`,
      `/callback/${encodeURIComponent(evil)}?state=x`, `/${encodeURIComponent(evil)}`, `/oauth/token?${encodeURIComponent(evil)}`, `/userinfo?${encodeURIComponent(evil)}`,
    ]) {
      await page.goto(`${world.vault}${path}`);
      await isClean(path);
    }
    await page.close();
  });

  test('CORS: a page of another origin reads no answer and no redirect', async () => {
    const page = await signedIn('erika');
    const read = () => page.evaluate(async ([vault, query]) => {
      const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'page', refresh_token: 'x' });
      const requests = [
        [`${vault}/oauth/token`, { method: 'POST', body: form }],
        [`${vault}/oauth/revoke`, { method: 'POST', body: form }],
        [`${vault}/userinfo`, { headers: { authorization: 'Bearer x' } }],
        [`${vault}/authorize${query}`, { credentials: 'include' }],
        [`${vault}/oidc/logout`, { credentials: 'include' }],
        [`${vault}/oauth/introspect`, { method: 'POST', body: form }],
        [`${vault}/oauth/par`, { method: 'POST', body: form }],
      ];
      return Promise.all(requests.map(([url, init]) => fetch(/** @type {string} */ (url), /** @type {RequestInit} */ (init)).then((one) => one.status, () => 'refused')));
    }, [world.vault, new URL(request({ prompt: 'none' })).search]);
    await page.goto(`${stranger}/evil`);
    assert.deepEqual(await read(), Array(7).fill('refused'));
    await page.goto(`${pages.origin}/evil`);
    assert.deepEqual(await read(), [400, 400, 401, 'refused', 'refused', 'refused', 'refused']);
    await page.close();
  });

  test('nothing secret was logged', () => {
    const secrets = [...world.secrets, ...world.provider.stats.issued];
    assert.equal(secrets.filter((one) => world.workerd.log.includes(one)).length, 0);
    assert.ok(world.requestLines().length > 0);
  });
});
