// SPDX-License-Identifier: Apache-2.0
// A user links a further account, so that it signs in as the same user, and unlinks it again.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CookieJar, browse, claimsOf, startsAt } from '../../xtask/js/browser.mjs';
import { assertProblem, assertRefused, describe as show } from './harness.mjs';
import { HostileServer, answer } from './hostile-server.mjs';
import { CALLBACK, PARTNER_CALLBACK, RelyingParty, SCOPE, formsOf, visit } from './relying-party.mjs';

const random = () => randomBytes(32).toString('base64url');

/** Seconds for which a sign-in is recent enough to link an account. */
const RECENT = 300;

/** Most identities of a user. */
const MOST = 10;

describe('linking of a further account', { timeout: 240_000 }, () => {
  let party;
  let world;
  let provider;
  /** What the provider of the connection `other` says of whoever signs in there. */
  let told;

  before(async () => {
    provider = await HostileServer.start();
    provider.on('/authorize', (response, _body, query) => {
      const back = new URL(query.get('redirect_uri'));
      back.search = new URLSearchParams({ code: random(), state: query.get('state') }).toString();
      response.writeHead(302, { location: back.href }).end();
    });
    provider.on('/token', answer(200, { access_token: random(), token_type: 'Bearer', expires_in: 600 }));
    provider.on('/me', (response) => answer(200, told)(response));
    party = await RelyingParty.start({
      connections: () => ({
        other: {
          kind: 'oauth2',
          client_id: 'vault-other',
          client_authentication: 'none',
          authorization_endpoint: `${provider.origin}/authorize`,
          token_endpoint: `${provider.origin}/token`,
          userinfo_endpoint: `${provider.origin}/me`,
          identity: { permanent: true },
        },
      }),
    }, { connections: ['demo', 'other'] });
    world = party.world;
  });
  after(async () => {
    await world?.close();
    await provider?.close();
  });

  /** Whoever signs in at `other` from now on. */
  const atOther = (sub) => { told = { sub, email: `${sub}@example.com`, email_verified: true, name: sub }; };

  /** Signs in at the vault with an account of `other`; gives the `sub`. */
  async function subOfOther(sub, jar = new CookieJar()) {
    atOther(sub);
    return claimsOf((await party.signIn(sub, { connection: 'other', prompt: 'login' }, jar)).id_token).sub;
  }

  const signIn = (login, jar = new CookieJar()) => party.signIn(login, { connection: 'demo' }, jar);

  /** Follows a request for a link until the vault asks, or the client gets an answer. */
  async function ask(jar, login, more = {}) {
    const verifier = random();
    const url = party.request(verifier, { connection: 'demo', link: 'other', ...more });
    return { verifier, ...await browse(url, { login, jar, stop: startsAt(CALLBACK) }) };
  }

  /** The page that asks, and what its two buttons send. */
  async function consent(jar, login, more = {}) {
    const asked = await ask(jar, login, more);
    assert.equal(asked.page?.status, 200, asked.url);
    const button = (action) => formsOf(asked.page.text).find(({ fields }) => fields.action === action);
    const [allow, deny] = [button('allow'), button('deny')];
    assert.deepEqual([allow?.action, deny?.action], ['/sign-in', '/sign-in'], asked.page.text);
    return { ...asked, allow: allow.fields, deny: deny.fields };
  }

  const press = (jar, form, origin = world.vault) => visit(jar, `${world.vault}/sign-in`, { form, origin });

  /** Presses the button that allows, and stops when the provider sends the browser back: that address. */
  async function allowed(jar, form) {
    const sent = await press(jar, form);
    assert.equal(sent.status, 303, sent.text);
    const stop = (url) => url.startsWith(`${world.vault}/callback/`);
    const end = await browse(sent.headers.get('location'), { login: 'nobody', jar, stop });
    assert.ok(stop(end.url), end.url);
    return end.url;
  }

  /** The parameters that a response gives to the client. */
  function clientGets(response) {
    assert.equal(response.status, 303, response.text);
    const back = new URL(response.headers.get('location'));
    assert.equal(`${back.origin}${back.pathname}`, CALLBACK);
    return back.searchParams;
  }

  /** Links an account of `other` to the user of a browser; gives the tokens that follow. */
  async function link(jar, login, sub, more = {}) {
    const { verifier, allow } = await consent(jar, login, more);
    atOther(sub);
    const back = clientGets(await visit(jar, await allowed(jar, allow)));
    const answered = await party.redeem(back.get('code'), verifier);
    assert.equal(answered.status, 200, show(answered));
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(answered.body[name]);
    return answered.body;
  }

  /** Asserts that a link ends on a page of the vault with this text, and gives the client nothing. */
  function assertNotLinked(page, status, text, reason) {
    assert.equal(page.status, status, page.text);
    assert.equal(page.headers.get('location'), null);
    assert.match(page.text, text);
    assert.match(page.text, /The account was not added/);
    assert.equal(world.requestLines().filter((line) => line.reason === reason && line.status === status).length > 0, true, reason);
  }

  /** A token for the API of identities. */
  async function identitiesToken({ refresh_token: refreshToken }) {
    const answered = await party.refresh(refreshToken, {
      audience: `${world.vault}/me/`,
      scope: `${SCOPE} read:me:identities delete:me:identities`,
    });
    assert.equal(answered.status, 200, show(answered));
    return answered.body.access_token;
  }

  const identities = async (token) => {
    const listed = await world.api.call('GET', '/me/v1/identities', { token });
    assert.equal(listed.status, 200, show(listed));
    return listed.body.identities;
  };

  const unlink = (token, id) => world.api.call('DELETE', `/me/v1/identities/${id}`, { token });

  const named = (list) => list.map(({ connection, provider_user_id: user }) => `${connection} ${user}`);

  test('a linked account signs in as the same user, and the session that linked it goes on', async () => {
    const { jar, ...tokens } = await signIn('alice');
    const cookie = jar.cookie(world.vault, 'session');
    const linked = await link(jar, 'alice', 'alice-work');
    const [first, second] = [claimsOf(tokens.id_token), claimsOf(linked.id_token)];
    assert.equal(second.sub, 'demo|alice');
    assert.deepEqual([second.sid, second.auth_time], [first.sid, first.auth_time]);
    assert.equal(jar.cookie(world.vault, 'session'), cookie);
    assert.equal(await subOfOther('alice-work'), 'demo|alice');
    assert.equal(claimsOf((await signIn('alice')).id_token).sub, 'demo|alice');
    assert.deepEqual(named(await identities(await identitiesToken(linked))), ['demo alice', 'other alice-work']);
  });

  test('the page names the user and the connection, and cannot be framed', async () => {
    const { jar } = await signIn('anna');
    const { page } = await consent(jar, 'anna');
    assert.match(page.text, /Add another way to sign in\?/);
    assert.match(page.text, /anna@example\.com/);
    assert.match(page.text, /<[a-z]+[^>]*>other</);
    assert.match(page.headers.get('content-security-policy'), /frame-ancestors 'none'/);
  });

  test('a pushed request links as well', async () => {
    const { jar } = await signIn('arno');
    const verifier = random();
    const form = Object.fromEntries(party.request(verifier, { link: 'other' }).searchParams);
    const pushed = await world.api.call('POST', '/oauth/par', { form });
    assert.equal(pushed.status, 201, show(pushed));
    const url = `${world.vault}/authorize?${new URLSearchParams({ client_id: 'app', request_uri: pushed.body.request_uri })}`;
    const [allow] = formsOf((await visit(jar, url)).text);
    atOther('arno-work');
    const back = clientGets(await visit(jar, await allowed(jar, allow.fields)));
    assert.equal((await party.redeem(back.get('code'), verifier)).status, 200);
    assert.equal(await subOfOther('arno-work'), 'demo|arno');
  });

  test('who has no session signs in first and is asked then', async () => {
    const jar = new CookieJar();
    await link(jar, 'bert', 'bert-work');
    assert.equal(await subOfOther('bert-work'), 'demo|bert');
  });

  test('an account that is linked already can be linked again', async () => {
    const { jar } = await signIn('bea');
    await link(jar, 'bea', 'bea-work');
    const tokens = await link(jar, 'bea', 'bea-work');
    assert.deepEqual(named(await identities(await identitiesToken(tokens))), ['demo bea', 'other bea-work']);
  });

  test('the same e-mail address links nothing', async () => {
    await signIn('carla');
    told = { sub: 'carla-work', email: 'carla@example.com', email_verified: true, name: 'carla' };
    const stranger = await party.signIn('x', { connection: 'other' });
    assert.equal(claimsOf(stranger.id_token).sub, 'other|carla-work');
    assert.deepEqual(named(await identities(await identitiesToken(stranger))), ['other carla-work']);
  });

  test('the account of another user is not linked, the page says so, and it stays theirs', async () => {
    assert.equal(await subOfOther('carl-work'), 'other|carl-work');
    const { jar, ...tokens } = await signIn('carl');
    const { allow } = await consent(jar, 'carl');
    atOther('carl-work');
    const page = await visit(jar, await allowed(jar, allow));
    assertNotLinked(page, 403, /already belongs to another user/, 'account_of_other_user');
    assert.equal(await subOfOther('carl-work'), 'other|carl-work');
    assert.deepEqual(named(await identities(await identitiesToken(tokens))), ['demo carl']);
    // The same page can still be answered, with another account.
    atOther('carl-private');
    assert.ok(clientGets(await visit(jar, await allowed(jar, allow))).get('code'));
    assert.equal(await subOfOther('carl-private'), 'demo|carl');
  });

  test('a user cannot have more accounts than the vault allows', async () => {
    const { jar } = await signIn('cora');
    for (let number = 1; number < MOST; number += 1) await link(jar, 'cora', `cora-${number}`);
    const { allow } = await consent(jar, 'cora');
    atOther('cora-more');
    const page = await visit(jar, await allowed(jar, allow));
    assertNotLinked(page, 403, /as many accounts as you can/, 'too_many_identities');
    assert.equal(await subOfOther('cora-more'), 'other|cora-more');
  });

  test('whose sign-in is too old signs in again before the vault asks', async () => {
    const { jar, ...tokens } = await signIn('dora');
    const cookie = jar.cookie(world.vault, 'session');
    await world.advance(RECENT + 1);
    const visited = await visit(jar, party.request(random(), { connection: 'demo', link: 'other' }).href);
    assert.equal(visited.status, 303);
    assert.ok(visited.headers.get('location').startsWith(world.issuer), visited.headers.get('location'));
    const linked = await link(jar, 'dora', 'dora-work');
    assert.ok(claimsOf(linked.id_token).auth_time > claimsOf(tokens.id_token).auth_time);
    assert.notEqual(jar.cookie(world.vault, 'session'), cookie);
    assert.equal(await subOfOther('dora-work'), 'demo|dora');
  });

  test('a sign-in that became too old while the page was open, or at the provider, links nothing', async () => {
    for (const late of ['page', 'provider']) {
      const { jar } = await signIn(`dirk-${late}`);
      const { allow } = await consent(jar, `dirk-${late}`);
      atOther(`dirk-work-${late}`);
      let page;
      if (late === 'page') {
        await world.advance(RECENT + 1);
        page = await press(jar, allow);
      } else {
        const callback = await allowed(jar, allow);
        await world.advance(RECENT + 1);
        page = await visit(jar, callback);
      }
      assertNotLinked(page, 403, /signed in within the last few minutes/, 'sign_in_too_old');
      assert.equal(await subOfOther(`dirk-work-${late}`), `other|dirk-work-${late}`);
    }
  });

  test('whoever declines gives the client access_denied and links nothing', async () => {
    const { jar, ...tokens } = await signIn('emil');
    const { allow, deny } = await consent(jar, 'emil');
    const back = clientGets(await press(jar, deny));
    assert.deepEqual([back.get('error'), back.get('state'), back.get('code')], ['access_denied', 'a state=', null]);
    assert.equal((await press(jar, allow)).status, 400);
    assert.deepEqual(named(await identities(await identitiesToken(tokens))), ['demo emil']);
  });

  test('declining at the provider gives the client access_denied', async () => {
    const { jar, ...tokens } = await signIn('erna');
    const { allow } = await consent(jar, 'erna');
    const callback = new URL(await allowed(jar, allow));
    callback.searchParams.delete('code');
    callback.searchParams.set('error', 'access_denied');
    assert.equal(clientGets(await visit(jar, callback.href)).get('error'), 'access_denied');
    assert.deepEqual(named(await identities(await identitiesToken(tokens))), ['demo erna']);
  });

  test('nothing is linked silently', async () => {
    const { jar } = await signIn('finn');
    for (const one of [jar, new CookieJar()]) {
      assert.equal((await party.silently(one, { link: 'other' })).get('error'), 'interaction_required');
    }
  });

  test('a client of somebody else, and a connection that nobody signs in with, are refused', async () => {
    const { jar } = await signIn('fritz');
    const before = party.objects('AUTHORIZATION');
    const partner = { client_id: 'partner', redirect_uri: PARTNER_CALLBACK };
    for (const more of [partner, { redirect_uri: CALLBACK, link: 'nobody' }]) {
      const visited = await visit(jar, party.request(random(), { link: 'other', ...more }).href);
      const back = new URL(visited.headers.get('location'));
      assert.equal(`${back.origin}${back.pathname}`, more.redirect_uri);
      assert.equal(back.searchParams.get('error'), 'invalid_request');
    }
    const form = { ...Object.fromEntries(party.request(random(), { link: 'other', ...partner }).searchParams), ...party.partner() };
    assertRefused(await world.api.call('POST', '/oauth/par', { form }), 400, 'invalid_request');
    assert.deepEqual(party.objects('AUTHORIZATION'), before);
  });

  test('only the user’s own click on the page links, in the user’s own browser', async () => {
    const { jar } = await signIn('gerd');
    const { allow } = await consent(jar, 'gerd');
    for (const origin of ['null', 'https://evil.example', world.issuer]) {
      assert.equal((await press(jar, allow, origin)).status, 400, origin);
    }
    assert.equal((await visit(jar, `${world.vault}/sign-in`, { form: allow })).status, 400);
    const { jar: mallory } = await signIn('mallory');
    assert.equal((await press(mallory, allow)).status, 400);
    // The form of a page that asks for something else does not choose a connection.
    assert.equal((await press(jar, { authorization: allow.authorization, connection: 'other' })).status, 400);
    atOther('gerd-work');
    const callback = await allowed(jar, allow);
    for (const other of [mallory, new CookieJar()]) {
      const page = await visit(other, callback);
      assert.equal(page.status, 400, page.text);
      assert.equal(page.headers.get('location'), null);
    }
    assert.equal(await subOfOther('gerd-work'), 'other|gerd-work');
  });

  test('a link ends with the session that asked for it', async () => {
    for (const late of ['page', 'provider']) {
      const { jar } = await signIn(`gesa-${late}`);
      const { allow } = await consent(jar, `gesa-${late}`);
      atOther(`gesa-work-${late}`);
      const callback = late === 'provider' ? await allowed(jar, allow) : undefined;
      await visit(jar, `${world.vault}/v2/logout?${new URLSearchParams({ client_id: 'app', returnTo: 'http://127.0.0.1:3000/bye' })}`);
      const page = callback ? await visit(jar, callback) : await press(jar, allow);
      assertNotLinked(page, 403, /signed in within the last few minutes/, 'session_ended');
      assert.equal(await subOfOther(`gesa-work-${late}`), `other|gesa-work-${late}`);
    }
  });

  /**
   * A browser at the page of a request for a link that lets its user choose how to sign in, perhaps in several tabs.
   * `chosen` gives the address with which the browser comes back to the vault.
   */
  async function choosing() {
    const jar = new CookieJar();
    const ways = formsOf((await visit(jar, party.request(random(), { link: 'other' }).href)).text);
    const chosen = async (connection, login) => {
      const sent = await press(jar, ways.find(({ fields }) => fields.connection === connection).fields);
      const stop = (url) => url.startsWith(`${world.vault}/callback/`);
      const end = await browse(sent.headers.get('location'), { login, jar, stop });
      assert.ok(stop(end.url), end.url);
      return end.url;
    };
    return { jar, chosen };
  }

  test('cross-flow: the consent of one user does not link to another who signs in meanwhile', async () => {
    const { jar, chosen } = await choosing();
    const hans = await chosen('demo', 'hans');
    const heidi = await chosen('other', 'heidi');
    const [allow] = formsOf((await visit(jar, hans)).text);
    const callback = await allowed(jar, allow.fields);
    atOther('heidi');
    assert.equal((await visit(jar, heidi)).status, 200);
    atOther('hans-work');
    assertNotLinked(await visit(jar, callback), 400, /not valid/, 'other_request');
    assert.equal(await subOfOther('hans-work'), 'other|hans-work');
  });

  test('cross-flow: who only signs in for a link does not link the account of that sign-in', async () => {
    const { jar, chosen } = await choosing();
    const second = await chosen('other', 'ida');
    assert.equal((await visit(jar, await chosen('demo', 'ida'))).status, 200);
    // The user waits at the page that asks; this is the answer to the other sign-in.
    atOther('ida-work');
    const page = await visit(jar, second);
    assert.equal(page.status, 200, page.text);
    assert.match(page.text, /Add another way to sign in\?/);
    assert.equal(await subOfOther('ida-work'), 'other|ida-work');
    assert.deepEqual(named(await identities(await identitiesToken(await signIn('ida')))), ['demo ida']);
  });

  test('cross-flow: the code of a sign-in links nothing, and the code of a link signs nobody in', async () => {
    const { jar } = await signIn('jens');
    const { allow } = await consent(jar, 'jens');
    atOther('jens-work');
    const linking = new URL(await allowed(jar, allow));
    const stop = (url) => url.startsWith(`${world.vault}/callback/`);
    const other = new CookieJar();
    const signing = new URL((await browse(party.request(random(), { connection: 'demo' }), { login: 'jill', jar: other, stop })).url);
    const before = ['USER', 'IDENTITY', 'BROWSER_SESSION'].map((binding) => party.objects(binding).length);
    for (const [browser, to, from] of [[jar, linking, signing], [other, signing, linking]]) {
      const mixed = new URL(to);
      mixed.searchParams.set('state', from.searchParams.get('state'));
      const page = await visit(browser, mixed.href);
      assert.equal(page.status, 400, page.text);
      assert.equal(page.headers.get('location'), null);
    }
    assert.equal(other.cookie(world.vault, 'session'), undefined);
    assert.deepEqual(['USER', 'IDENTITY', 'BROWSER_SESSION'].map((binding) => party.objects(binding).length), before);
  });

  test('a used callback links nothing again and gives no code', async () => {
    const { jar } = await signIn('karl');
    const { allow } = await consent(jar, 'karl');
    atOther('karl-work');
    const callback = await allowed(jar, allow);
    const copy = new CookieJar();
    for (const name of jar.names(world.vault)) {
      copy.keep(callback, new Response(null, { headers: { 'set-cookie': `${name}=${jar.cookie(callback, name)}; Path=/` } }));
    }
    assert.ok(clientGets(await visit(jar, callback)).get('code'));
    atOther('karl-replayed');
    const again = await visit(copy, callback);
    assert.equal(again.status, 400, again.text);
    assert.equal(again.headers.get('location'), null);
    assert.equal(await subOfOther('karl-replayed'), 'other|karl-replayed');
    // The button of the page is of no use any more.
    assert.equal((await press(jar, allow)).status, 400);
  });

  test('an unlinked account signs in as another user, and can be linked again', async () => {
    const { jar } = await signIn('lars');
    const linked = await link(jar, 'lars', 'lars-work');
    const token = await identitiesToken(linked);
    const [own, added] = await identities(token);
    for (const one of [own, added]) {
      assert.match(one.id, /^idn_[A-Za-z0-9_-]{43}$/);
      assert.match(one.linked_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    }
    assert.equal((await unlink(token, added.id)).status, 204);
    assert.deepEqual(await identities(token), [own]);
    assertProblem(await unlink(token, added.id), 404);
    await link(jar, 'lars', 'lars-work');
    assert.equal(await subOfOther('lars-work'), 'demo|lars');
    assert.equal((await unlink(token, added.id)).status, 204);
    assert.equal(await subOfOther('lars-work'), 'other|lars-work');
    const { allow } = await consent(jar, 'lars');
    const page = await visit(jar, await allowed(jar, allow));
    assertNotLinked(page, 403, /already belongs to another user/, 'account_of_other_user');
  });

  test('the first account can be unlinked: whoever signs in with it then is another user', async () => {
    const { jar } = await signIn('lea');
    const token = await identitiesToken(await link(jar, 'lea', 'lea-work'));
    const [own, added] = await identities(token);
    assert.equal((await unlink(token, own.id)).status, 204);
    assert.equal(await subOfOther('lea-work'), 'demo|lea');
    const { sub } = claimsOf((await signIn('lea')).id_token);
    assert.match(sub, /^demo\|lea\|[0-9a-f]{24}$/);
    const last = await unlink(token, added.id);
    assertProblem(last, 409);
    assert.match(last.body.detail, /last/);
    assert.equal(await subOfOther('lea-work'), 'demo|lea');
  });

  test('only the user’s own identities are unlinked, with a token of the vault and its scope', async () => {
    const mine = await identitiesToken(await signIn('mona'));
    const theirs = await identitiesToken(await signIn('nora'));
    const [{ id }] = await identities(mine);
    for (const unknown of [id, 'idn_', 'x', '', `${id}/x`, `idn_${random()}`]) {
      assertProblem(await unlink(theirs, unknown), 404);
    }
    const accounts = await party.meToken(await signIn('mona'));
    for (const [method, path] of [['GET', '/me/v1/identities'], ['DELETE', `/me/v1/identities/${id}`]]) {
      assertProblem(await world.api.call(method, path, { token: accounts.me_token }), 403);
      assertProblem(await world.api.call(method, path), 401);
    }
    assert.deepEqual(named(await identities(mine)), ['demo mona']);
  });

  test('the metadata of the API names the scopes for identities', async () => {
    const { body } = await world.api.call('GET', '/.well-known/oauth-protected-resource/me/');
    const named = body.scopes_supported.filter((scope) => scope.endsWith(':identities'));
    assert.deepEqual(named, ['read:me:identities', 'delete:me:identities']);
  });

  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
