// SPDX-License-Identifier: Apache-2.0
// Whatever a provider responds to a token request (RFC 6749 §5) or sends to the callback (RFC 9207 §2.4), the
// vault does not panic, hang or respond with 500; stored data is kept, and the next valid response works.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { call } from '../../xtask/js/vault-api.mjs';
import { APP, World, assertProblem, assertRefused, describe as show } from './harness.mjs';
import { HostileServer, answer, broken, endless, silent } from './hostile-server.mjs';

const LIFE = 600;
const connection = 'evil';

/** A valid token response, with new tokens each time. */
let issued = 0;
const good = (change = {}) => {
  issued += 1;
  return { access_token: `access-${issued}`, refresh_token: `refresh-${issued}`, token_type: 'Bearer', expires_in: LIFE, ...change };
};

/** Asserts the lifetime in a response: a second may have passed since the provider's. */
function assertLives({ expires_in: seconds }, expected) {
  assert.ok([expected, expected - 1].includes(seconds), `${seconds}, not ${expected}`);
}

const members = (change) => JSON.stringify(good(change)).slice(1, -1);

/** Unusable responses that contain a new refresh token: the vault must send that one next. */
const NAMES_SUCCESSOR = [
  'names a member twice',
  'has a token of an unknown type',
  'has an access token that is no text',
  'has an empty access token',
];

/** Responses for which a retry does not help. */
const NEEDS_THE_OPERATOR = ['is an unregistered error', 'redirects elsewhere', 'has a token of an unknown type'];

/** Responses without usable tokens. */
const bad = {
  'is HTML': answer(200, '<html><body>Sorry</body></html>', { 'content-type': 'text/html' }),
  'is HTML with a 502': answer(502, '<html>Bad Gateway</html>', { 'content-type': 'text/html' }),
  'is empty': answer(200, ''),
  'is an empty 400': answer(400, ''),
  'is an empty object': answer(200, '{}'),
  'is a list': answer(200, '[]'),
  'is null': answer(200, 'null'),
  'is no UTF-8': (response) => response.writeHead(200).end(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  'is nested ten thousand deep': answer(200, `{"access_token":${'['.repeat(10_000)}`),
  'has 100 MB': endless(100 * 1024 * 1024, '{"access_token":"'),
  'breaks off': broken,
  'names a member twice': (response) => answer(200, `{${members()},"access_token":"other"}`)(response),
  'has a token of an unknown type': (response) => answer(200, good({ token_type: 'mac' }))(response),
  'has an access token that is no text': (response) => answer(200, good({ access_token: 7 }))(response),
  'has an empty access token': (response) => answer(200, good({ access_token: '' }))(response),
  'names its refresh token twice': (response) => answer(200, `{${members()},"refresh_token":"other"}`)(response),
  'is an error that is no text': answer(400, { error: { code: 'invalid_grant' } }),
  'is an unregistered error': answer(400, { error: 'computer says no', error_description: '"><script>' }),
  'redirects elsewhere': (response) => response.writeHead(307, { location: '/stolen' }).end(),
  'is a server error': answer(500, { error: 'server_error' }),
  'asks to wait': answer(429, '', { 'retry-after': '5' }),
};

/** Unusual responses whose tokens are valid. */
const odd = {
  'expires_in is text': { change: { expires_in: '600' }, expires: LIFE },
  'expires_in is negative': { change: { expires_in: -1 }, expires: 600 },
  'expires_in is missing': { change: { expires_in: undefined }, expires: 600 },
  'expires_in is a fraction': { change: { expires_in: LIFE + 0.5 }, expires: LIFE },
  'expires_in has no sense': { change: { expires_in: 99_999_999_999_999 }, expires: 600 },
  'the refresh token is empty': { change: { refresh_token: '' }, expires: LIFE, keeps: true },
  'the refresh token is null': { change: { refresh_token: null }, expires: LIFE, keeps: true },
  'the refresh token is missing': { change: { refresh_token: undefined }, expires: LIFE, keeps: true },
  'scopes are a list': { change: { scope: ['a', 'b'] }, expires: LIFE },
  'the token type is lower case': { change: { token_type: 'bearer' }, expires: LIFE },
  'a member is unknown and long': { change: { extra: 'x'.repeat(30_000) }, expires: LIFE },
};

describe('a hostile provider', { timeout: 180_000 }, () => {
  let world;
  let hostile;
  /** The refresh tokens that the provider received. */
  let sent;

  before(async () => {
    hostile = await HostileServer.start();
    world = await World.start({
      upstream: [{ connection, client_id: 'vault-evil', client_secret: randomBytes(32).toString('base64url') }],
      connections: ({ issuer }) => ({
        // The user consents at a real provider, but the token endpoint is the hostile server.
        [connection]: {
          kind: 'oauth2',
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${hostile.origin}/token`,
          client_id: 'vault-evil',
          scopes: ['openid'],
          authorization_params: { prompt: 'consent' },
        },
      }),
    });
  });
  beforeEach(() => {
    sent = [];
    answerTokens(() => good());
  });
  after(async () => {
    await world?.close();
    await hostile?.close();
  });

  function answerTokens(make) {
    hostile.on('/token', (response, params) => {
      if (params.get('grant_type') === 'refresh_token') sent.push(params.get('refresh_token'));
      answer(200, make())(response);
    });
  }

  const exchange = (user) => world.api.exchange(world.clients.backend, user.access_token, connection);

  async function complete(user) {
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: user.login });
    return world.api.complete(user.me_token, started, back.searchParams.get('connect_code'));
  }

  async function connected(name) {
    const user = await world.signIn(name.replaceAll(/\W/g, '-'));
    const done = await complete(user);
    assert.equal(done.status, 201, show(done));
    return user;
  }

  for (const [what, act] of Object.entries(bad)) {
    test(`an answer to the code that ${what} connects nothing, and the next connect works`, async () => {
      const user = await world.signIn(`c-${what.replaceAll(/\W/g, '-')}`);
      hostile.on('/token', act);
      assertProblem(await complete(user), 502);
      assert.deepEqual(await world.accounts(user), []);
      answerTokens(() => good());
      assert.equal((await complete(user)).status, 201);
      assert.equal(hostile.count('/stolen'), 0);
    });

    test(`an answer to a refresh that ${what} loses nothing, and the next refresh works`, async () => {
      const user = await connected(`r-${what}`);
      const before = (await exchange(user)).body.access_token;
      await world.advance(LIFE);
      hostile.on('/token', act);
      const refused = await exchange(user);
      const successor = `refresh-${issued}`;
      assertRefused(refused, 503, 'temporarily_unavailable');
      assert.equal(refused.body.connection_state.state, NEEDS_THE_OPERATOR.includes(what) ? 'misconfigured' : 'unavailable', show(refused));
      assert.ok(Number(refused.headers.get('retry-after')) > 0);
      assert.equal((await world.accounts(user)).length, 1);

      answerTokens(() => good());
      await world.advance(LIFE);
      const answered = await exchange(user);
      assert.equal(answered.status, 200, show(answered));
      assert.notEqual(answered.body.access_token, before);
      const expected = NAMES_SUCCESSOR.includes(what) ? successor : before.replace('access', 'refresh');
      assert.equal(sent[0], expected);
      assert.equal(hostile.count('/stolen'), 0);
    });
  }

  for (const [what, { change, expires, keeps }] of Object.entries(odd)) {
    test(`where ${what} the token is served, with a number of seconds`, async () => {
      const user = await connected(`o-${what}`);
      const first = (await exchange(user)).body.access_token;
      await world.advance(LIFE);
      answerTokens(() => good(change));
      const { status, body } = await exchange(user);
      assert.equal(status, 200, show({ status, body }));
      assertLives(body, expires);
      assert.equal(body.token_type, 'Bearer');
      assert.equal(typeof body.scope, 'string');
      assert.notEqual(body.access_token, first);
      if (!keeps) return;
      await world.advance(LIFE);
      assert.equal((await exchange(user)).status, 200);
      assert.deepEqual(sent, [first, first].map((token) => token.replace('access', 'refresh')));
    });
  }

  test('tokens that are issued for no time are asked for once in ten seconds, and released with expires_in 0', async () => {
    const user = await connected('zero');
    await world.advance(LIFE);
    answerTokens(() => good({ expires_in: 0 }));
    for (const requests of [1, 2]) {
      const answers = await Promise.all([exchange(user), exchange(user), exchange(user)]);
      for (const { status, body } of [...answers, await exchange(user)]) {
        assert.deepEqual([status, body.expires_in, body.access_token], [200, 0, `access-${issued}`], show({ status, body }));
      }
      assert.equal(sent.length, requests);
      await world.advance(10);
    }
  });

  test('a token from before the clock was set back is not released for longer than its life, but renewed', async () => {
    const user = await connected('back');
    await world.advance(2 * LIFE);
    const first = await exchange(user);
    assertLives(first.body, LIFE);
    await world.advance(-2 * LIFE);
    const second = await exchange(user);
    assertLives(second.body, LIFE);
    assert.notEqual(second.body.access_token, first.body.access_token);
    assert.equal(sent.length, 2);
  });

  test('a code whose answer was lost is not sent again: a second use could end the grant', async () => {
    const user = await world.signIn('lost');
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: 'lost' });
    hostile.on('/token', broken);
    const before = hostile.count('/token');
    const code = back.searchParams.get('connect_code');
    assertProblem(await world.api.complete(user.me_token, started, code), 502);
    answerTokens(() => good());
    assertProblem(await world.api.complete(user.me_token, started, code), 502);
    assert.equal(hostile.count('/token'), before + 1);
  });

  test('two completes at once redeem the code once', async () => {
    const user = await world.signIn('twins');
    const started = await world.startConnect(user, { connection });
    const back = await world.visit(started, { login: 'twins' });
    const before = hostile.count('/token');
    const code = back.searchParams.get('connect_code');
    const complete = () => world.api.complete(user.me_token, started, code);
    const answers = await Promise.all([complete(), complete(), complete()]);
    // The other two may retry, and would receive what the first one receives.
    assert.deepEqual(answers.map((one) => one.status).toSorted(), [201, 503, 503]);
    assert.equal(hostile.count('/token'), before + 1);
    assert.equal((await world.accounts(user)).length, 1);
  });

  test('callers are answered while a provider still says nothing, and when it breaks off it is asked again', async () => {
    const user = await connected('silence');
    await world.advance(LIFE);
    const asked = Promise.withResolvers();
    hostile.on('/token', (response) => {
      silent(response);
      asked.resolve(response);
    });
    assertRefused(await exchange(user), 503, 'temporarily_unavailable');
    // The provider may still respond: if the vault aborted the request now, it would lose a rotated token.
    const held = await asked.promise;
    assert.ok(!held.closed, 'the vault gave its own request up');
    answerTokens(() => good());
    held.destroy();
    await world.advance(LIFE);
    assert.equal((await exchange(user)).status, 200);
  });

  describe('at the callback', () => {
    /** The callback URL from the real provider, and the browser that would open it. */
    async function callback(login) {
      const user = await world.signIn(login);
      const started = await world.startConnect(user);
      const jar = new CookieJar();
      const end = await browse(world.api.connectLink(started), { login, jar, stop: startsAt(`${world.vault}/callback/demo`) });
      return { user, started, jar, url: new URL(end.url) };
    }

    const mutations = {
      'without iss': (url) => url.searchParams.delete('iss'),
      'with another iss': (url) => url.searchParams.set('iss', 'https://other.example'),
      'with two iss': (url) => url.searchParams.append('iss', url.searchParams.get('iss')),
      'with two codes': (url) => url.searchParams.append('code', 'another'),
      'with two states': (url) => url.searchParams.append('state', url.searchParams.get('state')),
      'with an error of another issuer': (url) => { url.searchParams.set('iss', 'https://other.example'); url.searchParams.set('error', 'access_denied'); },
      'of another connection': (url) => { url.pathname = '/callback/evil'; },
      'without code and error': (url) => url.searchParams.delete('code'),
      'without state': (url) => url.searchParams.delete('state'),
      'with a truncated state': (url) => url.searchParams.set('state', url.searchParams.get('state').slice(0, -1)),
      'with the state of nobody': (url) => url.searchParams.set('state', `${'A'.repeat(22)}.${'A'.repeat(22)}`),
    };
    for (const [what, mutate] of Object.entries(mutations)) {
      test(`an answer ${what} ends on a page, and no code is redeemed`, async () => {
        const redeemed = world.tokenRequests('authorization_code');
        const { user, jar, url } = await callback(`b-${what.replaceAll(/\W/g, '-')}`);
        mutate(url);
        const page = await call({ url: url.href, headers: { cookie: jar.header(url.href) } });
        assert.equal(page.status, 400, show(page));
        assert.match(page.headers.get('content-type'), /^text\/html/);
        assert.equal(page.headers.get('location'), null);
        assert.equal(world.tokenRequests('authorization_code'), redeemed);
        assert.deepEqual(await world.accounts(user), []);
        await world.connect(user);
      });
    }

    test('an error goes on to the application in our words, and shows nothing of the provider', async () => {
      const { started, jar, url } = await callback('b-xss');
      url.searchParams.delete('code');
      url.searchParams.set('error', '"><script>alert(1)</script>');
      url.searchParams.set('error_description', '<img src=x onerror=alert(1)>');
      const page = await call({ url: url.href, headers: { cookie: jar.header(url.href) } });
      assert.equal(page.status, 303);
      const back = new URL(page.headers.get('location'));
      assert.ok(startsAt(APP)(back.href));
      assert.equal(back.searchParams.get('error'), 'server_error');
      assert.equal(back.searchParams.get('state'), started.state);
      assert.ok(!back.href.includes('alert'));
    });
  });

  test('each request was logged, and nothing secret was', () => {
    for (let number = 1; number <= issued; number += 1) world.secrets.add(`access-${number}`).add(`refresh-${number}`);
    return world.assertLogHasNoSecret();
  });
});
