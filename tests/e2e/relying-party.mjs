// SPDX-License-Identifier: Apache-2.0
// A world whose vault is an OpenID provider, and the clients that its users sign in to.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CookieJar, authorize, browse, s256, startsAt } from '../../xtask/js/browser.mjs';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { APP, APP_ORIGIN, World, assertRefused, describe as show } from './harness.mjs';

export const CALLBACK = `${APP_ORIGIN}/callback`;
export const BYE = `${APP_ORIGIN}/bye`;
export const PARTNER_CALLBACK = `${APP_ORIGIN}/partner`;
export const REFRESH_TOKEN = 'urn:ietf:params:oauth:token-type:refresh_token';
export const ORDERS = 'https://orders.example.com/';

/** Seconds for which the vault may remember that a token counts. */
export const REMEMBERED = 5;

/** The scopes that `app` asks for. */
export const SCOPE = 'openid profile email offline_access';

const random = () => randomBytes(32).toString('base64url');
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** The public client `app` with its users' browsers, and the other clients of the vault. */
export class RelyingParty {
  /** @type {World} */
  world;

  secret = random();

  /** A confidential client that exchanges `app`'s users' tokens. */
  service = () => ({ client_id: 'service', client_secret: this.secret });

  /** A confidential client of somebody else. */
  partner = () => ({ client_id: 'partner', client_secret: `${this.secret}partner` });

  /**
   * Starts a world whose vault signs users in through the connection `demo`. Close the world at the end.
   *
   * @param {Parameters<typeof World.start>[0]} [more]
   * @param {{clients?: object, apis?: object, [field: string]: any}} [signIn]  more of `SIGN_IN`
   */
  static async start(more = {}, { clients = {}, apis = {}, ...signIn } = {}) {
    const party = new RelyingParty();
    party.world = await World.start({
      ...more,
      signIn: (world) => ({
        title: 'Sign in to <Example>',
        ...signIn,
        apis: { orders: { identifier: ORDERS, scopes: ['read:orders', 'write:orders'] }, ...apis },
        clients: { ...party.#clients(world), ...clients },
      }),
    });
    party.world.secrets.add(party.secret).add(`${party.secret}partner`);
    return party;
  }

  #clients(world) {
    return {
      app: {
        authentication: 'none',
        kind: 'spa',
        name: 'The <App>',
        grants: ['authorization_code', 'refresh_token'],
        connections: ['demo'],
        redirect_uris: [CALLBACK, APP],
        post_logout_redirect_uris: [BYE],
        origins: [APP_ORIGIN],
        apis: { orders: ['read:orders'] },
      },
      partner: {
        authentication: 'client_secret',
        kind: 'third_party',
        secret_sha256: [sha256(`${this.secret}partner`)],
        grants: ['authorization_code', 'refresh_token'],
        redirect_uris: [PARTNER_CALLBACK],
      },
      service: {
        authentication: 'client_secret',
        secret_sha256: [sha256(this.secret)],
        grants: Object.values(GRANT),
        accepts_from: ['app'],
        connections: ['demo'],
        audiences: [`${world.vault}/`],
      },
    };
  }

  /** The address of an authorization request of `app`; `more` overrides parameters, null removes them. */
  request = (verifier, more = {}) => {
    const url = new URL(`${this.world.vault}/authorize`);
    const parameters = {
      client_id: 'app',
      redirect_uri: CALLBACK,
      response_type: 'code',
      scope: SCOPE,
      state: 'a state=',
      nonce: 'n-1',
      code_challenge: s256(verifier),
      code_challenge_method: 'S256',
      ...more,
    };
    const given = Object.entries(parameters).filter(([, value]) => value !== null);
    url.search = new URLSearchParams(given).toString();
    return url;
  };

  token = (form) => this.world.api.call('POST', '/oauth/token', { form });

  /** Redeems a code as `app`. */
  redeem = (code, verifier, more = {}) => this.token({
    grant_type: 'authorization_code', client_id: 'app', code, code_verifier: verifier, redirect_uri: CALLBACK, ...more,
  });

  refresh = async (refreshToken, more = {}) => {
    const answer = await this.token({ grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken, ...more });
    this.#remember(answer.body);
    return answer;
  };

  /** Lets a browser sign a user in to `app`; returns the address that it comes back to, and the verifier. */
  begin = async (login, more = {}, jar = new CookieJar()) => {
    const verifier = random();
    const back = await authorize(this.request(verifier, more), { login, redirectUri: CALLBACK, jar });
    assert.equal(back.searchParams.get('error'), null, back.search);
    const code = back.searchParams.get('code');
    this.world.secrets.add(code);
    return { jar, back, code, verifier };
  };

  /** Signs a user in; returns the tokens, the browser and the code. */
  signIn = async (login, more = {}, jar = new CookieJar()) => {
    const begun = await this.begin(login, more, jar);
    const answer = await this.redeem(begun.code, begun.verifier);
    assert.equal(answer.status, 200, show(answer));
    this.#remember(answer.body);
    return { ...answer.body, ...begun };
  };

  /** A token of a signed-in user for the connected-accounts API. */
  meToken = async ({ refresh_token: refreshToken }) => {
    const answer = await this.refresh(refreshToken, {
      audience: `${this.world.vault}/me/`,
      scope: `${SCOPE} create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts`,
    });
    assert.equal(answer.status, 200, show(answer));
    return { me_token: answer.body.access_token, refresh_token: answer.body.refresh_token };
  };

  /** What a browser gets that must not ask its user anything: the parameters that it comes back with. */
  silently = async (jar, more = {}) => {
    const end = await browse(this.request(random(), { prompt: 'none', ...more }), { login: 'nobody', jar, stop: startsAt(CALLBACK) });
    assert.equal(end.page, undefined, `${end.url} ${end.page?.text}`);
    return new URL(end.url).searchParams;
  };

  userinfo = (token) => this.world.api.call('GET', '/userinfo', { token });

  introspect = (client, token) => this.world.api.call('POST', '/oauth/introspect', { form: { ...client, token } });

  /** Exchanges a refresh token of the vault as `client`. */
  exchangeRefreshToken = (client, token) => this.token({
    grant_type: GRANT.rfc8693,
    ...client,
    audience: 'demo',
    subject_token: token,
    subject_token_type: REFRESH_TOKEN,
    requested_token_type: TOKEN_TYPE.access,
  });

  /** Asserts that a token is accepted at none of the vault's own addresses. */
  assertUseless = async (token) => {
    const { api } = this.world;
    assert.equal((await this.userinfo(token)).status, 401, 'userinfo');
    const list = await api.accounts(token);
    assert.equal(list.status, 401, show(list));
    const connect = await api.connect(token, { connection: 'demo', redirectUri: APP });
    assert.equal(connect.status, 401, show(connect));
    assertRefused(await api.exchange(this.service(), token, 'demo'), 400, 'invalid_request');
    assert.deepEqual((await this.introspect(this.service(), token)).body, { active: false });
  };

  /** Asserts that a refresh token gives nothing, to its own client either. */
  assertEnded = async (refreshToken) => {
    assertRefused(await this.refresh(refreshToken), 400, 'invalid_grant');
    assertRefused(await this.exchangeRefreshToken(this.service(), refreshToken), 400, 'invalid_request');
  };

  /** The objects of a class that were ever asked, by the name of their file. */
  objects = (binding) => this.world.objects(binding);

  /**
   * Changes the record that an object stores, or deletes it where `change` returns undefined. The vault must not
   * run.
   */
  change = (binding, name, change) => {
    const database = new DatabaseSync(join(this.world.workerd.state, `e2e-${binding}`, name));
    const { record } = /** @type {{record: string}} */ (database.prepare('SELECT record FROM machine').get());
    const changed = change(JSON.parse(record));
    if (changed === undefined) database.exec('DELETE FROM machine');
    else database.prepare('UPDATE machine SET record = ?').run(JSON.stringify(changed));
    database.close();
  };

  #remember(body) {
    for (const name of ['access_token', 'refresh_token', 'id_token']) {
      if (body[name]) this.world.secrets.add(body[name]);
    }
  }
}

/** What the buttons of a page of the vault send: an address and fields, the button's own included. */
export function formsOf(html) {
  const unescaped = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
  const fieldsOf = (tags) => [...tags.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [unescaped(name), unescaped(value)]);
  return [...html.matchAll(/<form[^>]*\baction="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g)].flatMap(([, action, inner]) => {
    const [hidden, ...buttons] = inner.split('<button');
    return buttons.map((button) => ({ action: unescaped(action), fields: Object.fromEntries([...fieldsOf(hidden), ...fieldsOf(button)]) }));
  });
}

/**
 * Sends a request as a page would, with a browser's cookies, and follows nothing.
 *
 * @param {CookieJar} jar
 * @param {string} url
 * @param {{form?: Record<string, string>, origin?: string}} [options]
 */
export async function visit(jar, url, { form, origin } = {}) {
  const cookie = jar.header(url);
  const response = await fetch(url, {
    method: form ? 'POST' : 'GET',
    body: form && new URLSearchParams(form),
    redirect: 'manual',
    headers: { accept: 'text/html', ...(cookie && { cookie }), ...(origin && { origin }) },
  });
  jar.keep(url, response);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Puts a cookie into a browser, as an attacker with some power over the browser might. */
export function plant(jar, url, name, value) {
  jar.keep(url, new Response(null, { headers: { 'set-cookie': `${name}=${value}; Path=/` } }));
}
