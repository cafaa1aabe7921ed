// SPDX-License-Identifier: Apache-2.0
// The browser's hops of a connect, as browsers and what sits between them and people repeat them: reloads, second
// tabs, scanners, forms from another site, responses without state.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { openBrowser, skip } from './chromium.mjs';
import { APP, World, assertProblem, describe as show, eventually } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';

describe('the hops of a connect', { timeout: 120_000 }, () => {
  let world;
  /** The provider of the connections `form` and `stateless`. To a browser it is of another site than the vault. */
  let provider;
  let authorization;

  before(async () => {
    provider = await HostileServer.start();
    authorization = provider.origin.replace('127.0.0.1', 'localhost');
    const own = () => ({
      kind: 'oauth2',
      authorization_endpoint: `${authorization}/auth`,
      token_endpoint: `${provider.origin}/token`,
      userinfo_endpoint: `${provider.origin}/user`,
      identity: { id: 'id', email: 'email' },
      client_id: 'vault',
      client_authentication: 'none',
    });
    provider.on('/token', answer(200, { access_token: 'of-the-form', token_type: 'Bearer', expires_in: 3600 }));
    provider.on('/user', answer(200, { id: 7, email: 'fay@example.com' }));
    world = await World.start({
      connections: () => ({
        form: { ...own(), authorization_params: { response_mode: 'form_post' } },
        stateless: { ...own(), errors: { access_denied: ['consent_declined'] } },
      }),
    });
  });
  after(async () => {
    await world?.close();
    await provider?.close();
  });

  const codeOf = (url) => new URL(url).searchParams.get('connect_code');

  /**
   * Requests a link of the vault as the browser with these cookies would.
   *
   * @param {string} url
   * @param {any} jar
   * @param {{method?: string, body?: URLSearchParams, headers?: Record<string, string>}} [request]
   */
  async function hop(url, jar, { method = 'GET', body, headers = {} } = {}) {
    const cookie = jar.header(url);
    const response = await fetch(url, { method, body, redirect: 'manual', headers: { ...headers, ...(cookie && { cookie }) } });
    jar.keep(url, response);
    return { status: response.status, location: response.headers.get('location'), cookies: response.headers.getSetCookie(), text: await response.text() };
  }

  /** A started connect whose ticket one browser has opened. */
  async function opened(login, more) {
    const user = await world.signIn(login);
    const started = await world.startConnect(user, more);
    const [link, jar] = [world.api.connectLink(started), new CookieJar()];
    const first = await hop(link, jar);
    assert.equal(first.status, 303, first.text);
    return { user, started, link, jar, first, state: new URL(first.location).searchParams.get('state') };
  }

  const complete = ({ user, started }, url) => world.api.complete(user.me_token, started, codeOf(url));

  /** Goes on from the provider to the callback, without requesting it. */
  async function toCallback({ user, jar, first }) {
    const atCallback = startsAt(`${world.vault}/callback/demo`);
    const { url } = await browse(first.location, { login: user.login, jar, stop: atCallback });
    assert.ok(atCallback(url), url);
    return url;
  }

  test('a scanner that opens the link first or in between does not keep the person from connecting', async () => {
    const user = await world.signIn('scanned');
    const started = await world.startConnect(user);
    const link = world.api.connectLink(started);
    const [scanner, person] = [new CookieJar(), new CookieJar()];
    for (let time = 0; time < 2; time += 1) assert.equal((await hop(link, scanner)).status, 303);
    const first = await hop(link, person);
    const callback = await toCallback({ user, jar: person, first });
    const back = await hop(callback, person);
    const done = await complete({ user, started }, back.location);
    assert.equal(done.status, 201, show(done));
    // After the response nobody else opens it.
    const late = await hop(link, scanner);
    assert.equal(late.status, 400);
    assert.match(late.text, /This link doesn’t work any more/);
  });

  test('the browser whose place another one took ends on an error page, and the other one connects', async () => {
    const one = await opened('displaced');
    const [jar, callback] = [new CookieJar(), await toCallback(one)];
    const first = await hop(one.link, jar);
    const refused = await hop(callback, one.jar);
    assert.deepEqual([refused.status, refused.location], [400, null]);
    const back = await hop(await toCallback({ ...one, jar, first }), jar);
    const done = await complete(one, back.location);
    assert.equal(done.status, 201, show(done));
  });

  test('a reload of the link gives the same authorization request and no other cookie', async () => {
    const connect = await opened('reloader');
    assert.match(connect.first.cookies[0], /; Max-Age=1740; HttpOnly/);
    await world.advance(320);
    const again = await hop(connect.link, connect.jar);
    assert.deepEqual([again.status, again.location, again.cookies], [303, connect.first.location, []]);
    // The ticket's own time is over for a browser without the cookie.
    assert.equal((await hop(connect.link, new CookieJar())).status, 400);
    const back = await hop(await toCallback(connect), connect.jar);
    assert.equal((await complete(connect, back.location)).status, 201);
  });

  test('a reload of link or callback after the response leads to the application with a new code that completes', async () => {
    const connect = await opened('returner');
    const callback = await toCallback(connect);
    const before = world.tokenRequests('authorization_code');
    const first = await hop(callback, connect.jar);
    const second = await hop(callback.replace(/code=[^&]*/, 'code=another'), connect.jar);
    const third = await hop(connect.link, connect.jar);
    const codes = [first, second, third].map((one) => {
      assert.equal(one.status, 303, one.text);
      assert.ok(one.location.startsWith(`${APP}?connect_code=`), one.location);
      return codeOf(one.location);
    });
    assert.equal(new Set(codes).size, 3);
    for (const dead of [first, second]) assertProblem(await complete(connect, dead.location), 400);
    const done = await complete(connect, third.location);
    assert.equal(done.status, 201, show(done));
    // After the connect, too: the application hears of the same account, and no page denies it.
    const fourth = await hop(callback, connect.jar);
    const again = await complete(connect, fourth.location);
    assert.deepEqual([again.status, again.body], [201, done.body]);
    assert.deepEqual((await complete(connect, third.location)).body, done.body);
    assert.equal(world.tokenRequests('authorization_code'), before + 1);
  });

  test('the code that a new one replaced works no longer than its minute', async () => {
    const connect = await opened('minute');
    const callback = await toCallback(connect);
    await hop(callback, connect.jar);
    await world.advance(50);
    const again = await hop(callback, connect.jar);
    await world.advance(12);
    assertProblem(await complete(connect, again.location), 400);
  });

  test('a browser without the cookie gets nothing from link or callback after the response', async () => {
    const connect = await opened('thief');
    const callback = await toCallback(connect);
    const back = await hop(callback, connect.jar);
    for (const url of [callback, connect.link]) {
      const stranger = await hop(url, new CookieJar());
      assert.deepEqual([stranger.status, stranger.location, stranger.cookies], [400, null, []]);
      assert.doesNotMatch(stranger.text, /not connected|connect_code/);
    }
    assert.equal((await complete(connect, back.location)).status, 201);
  });

  test('refusals under other names reach the application as access_denied, and again on a reload', async () => {
    for (const refusal of [
      'error=access_denied', 'error=user_cancelled_login', 'error=user_cancelled_authorize', 'error=user_denied',
      'error=consent_declined', 'error_code=consent_declined&error_message=x',
    ]) {
      const connect = await opened('refuser', { connection: 'stateless' });
      const callback = `${world.vault}/callback/stateless?${refusal}&state=${connect.state}`;
      for (let time = 0; time < 2; time += 1) {
        const back = new URL((await hop(callback, connect.jar)).location);
        assert.equal(back.searchParams.get('error'), 'access_denied', refusal);
        assert.equal(back.searchParams.get('state'), connect.started.state);
      }
    }
    const connect = await opened('refuser', { connection: 'stateless' });
    const other = await hop(`${world.vault}/callback/stateless?error=consent_later&state=${connect.state}`, connect.jar);
    assert.equal(new URL(other.location).searchParams.get('error'), 'server_error');
    await eventually('the log says how both ended', () => {
      const reasons = world.requestLines().map((line) => line.reason);
      return reasons.includes('declined') && reasons.includes('provider_error');
    });
  });

  test('an error without state reaches the application of the one session that is at that provider', async () => {
    const connect = await opened('stateless', { connection: 'stateless' });
    const declined = `${world.vault}/callback/stateless?error=access_denied`;
    // A session at another provider does not fit.
    const elsewhere = await world.startConnect(connect.user);
    await hop(world.api.connectLink(elsewhere), connect.jar);
    const back = new URL((await hop(declined, connect.jar)).location);
    assert.equal(back.origin + back.pathname, APP);
    assert.deepEqual([back.searchParams.get('error'), back.searchParams.get('state')], ['access_denied', connect.started.state]);
    assert.equal((await hop(declined, new CookieJar())).status, 400);
    // Anybody can send a browser there, so the session is still open.
    const granted = await hop(`${world.vault}/callback/stateless?code=c&state=${connect.state}`, connect.jar);
    assert.ok(codeOf(granted.location), granted.location);

    const [one, two] = [await opened('stateless', { connection: 'stateless' }), await world.startConnect(connect.user, { connection: 'stateless' })];
    await hop(world.api.connectLink(two), one.jar);
    const unclear = await hop(declined, one.jar);
    assert.deepEqual([unclear.status, unclear.location], [400, null]);
  });

  test('an error page of a known session names the application and links to it', async () => {
    const connect = await opened('lost');
    const refused = await hop(`${world.vault}/callback/demo?code=c&state=${connect.state}`, new CookieJar());
    assert.equal(refused.status, 400);
    assert.match(refused.text, /This was started in another browser/);
    assert.match(refused.text, new RegExp(`<a href="${new URL(APP).origin}" rel="noreferrer">Back to <bdi>spa</bdi></a>`));
    assert.equal(refused.text.includes(connect.started.state), false);
  });

  test('a form is refused from a provider that was not asked for one', async () => {
    const connect = await opened('unasked', { connection: 'stateless' });
    const body = new URLSearchParams({ code: 'c', state: connect.state });
    const refused = await hop(`${world.vault}/callback/stateless`, connect.jar, { method: 'POST', body });
    assert.deepEqual([refused.status, refused.location], [400, null]);
    const granted = await hop(`${world.vault}/callback/stateless?code=c&state=${connect.state}`, connect.jar);
    assert.ok(codeOf(granted.location), granted.location);
  });

  describe('in a browser', { skip }, () => {
    let chromium;
    before(async () => { chromium = await openBrowser(); });
    after(async () => { await chromium?.close(); });

    /** The address with which the page comes to the application, where nobody answers. */
    const atApplication = async (page) => (await page.waitForRequest((request) => startsAt(APP)(request.url()))).url();

    /** The provider's page posts these fields to the callback. */
    const posts = (fields) => provider.on('/auth', (response, _body, query) => {
      const inputs = Object.entries({ state: query.get('state'), ...fields })
        .map(([name, value]) => `<input name="${name}" value="${value}">`).join('');
      const action = query.get('redirect_uri');
      response.writeHead(200, { 'content-type': 'text/html' })
        .end(`<form method="post" action="${action}">${inputs}<button>Allow</button></form>`);
    });

    for (const [script, hasScript] of /** @type {[string, boolean][]} */ ([['with script', true], ['without script', false]])) {
      test(`a form from another site connects, ${script}`, async () => {
        posts({ code: 'posted', id_token: 'x', user: '{}' });
        const user = await world.signIn(`fay-${hasScript}`);
        const started = await world.startConnect(user, { connection: 'form' });
        await chromium.browser.clearCookies();
        const page = await chromium.browser.newPage();
        const session = await chromium.browser.newCDPSession(page);
        await session.send('Emulation.setScriptExecutionDisabled', { value: !hasScript });
        const sent = [];
        page.on('request', (request) => {
          if (request.method() === 'POST' && request.url().startsWith(`${world.vault}/callback`)) sent.push(request);
        });
        await page.goto(world.api.connectLink(started));
        const arrives = atApplication(page);
        await page.getByRole('button', { name: 'Allow' }).click();
        if (!hasScript) await page.getByRole('button', { name: 'Continue' }).click();
        const url = await arrives;
        assert.equal(sent.length, 2);
        const own = new URLSearchParams(sent[1].postData());
        assert.deepEqual([...own.keys()], ['code', 'state']);
        const done = await world.api.complete(user.me_token, started, codeOf(url));
        assert.equal(done.status, 201, show(done));
        await page.close();
      });
    }

    test('a form with an error, and one without state, lead back to the application', async () => {
      for (const fields of [{ error: 'access_denied' }, { error: 'access_denied', state: '' }]) {
        posts(fields);
        const user = await world.signIn('fern');
        const started = await world.startConnect(user, { connection: 'form' });
        await chromium.browser.clearCookies();
        const page = await chromium.browser.newPage();
        await page.goto(world.api.connectLink(started));
        const arrives = atApplication(page);
        await page.getByRole('button', { name: 'Allow' }).click();
        const { searchParams } = new URL(await arrives);
        assert.equal(searchParams.get('error'), 'access_denied');
        assert.equal(searchParams.get('state'), started.state);
        await page.close();
      }
    });

    test('a form that another site makes a browser post leads nowhere, and is not posted for ever', async () => {
      const connect = await opened('forger');
      const state = (await opened('forger', { connection: 'form' })).state;
      posts({ code: 'of the attacker', state });
      const victim = await world.startConnect(connect.user, { connection: 'form' });
      await chromium.browser.clearCookies();
      const page = await chromium.browser.newPage();
      let sent = 0;
      page.on('request', (request) => { if (request.url().startsWith(`${world.vault}/callback`)) sent += 1; });
      await page.goto(world.api.connectLink(victim));
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.getByText('This was started in another browser').waitFor();
      assert.equal(sent, 2);
      await page.close();
    });
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
