// SPDX-License-Identifier: Apache-2.0
// All other providers of the catalogue: connect, exchange and refresh, with their documented formats.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { assertRefused } from './harness.mjs';
import { Journey, startWorld } from './providers/journey.mjs';
import { Atlassian, Basecamp, Facebook, Figma, Instagram, Shopify, Twitch, Zendesk } from './providers/odd.mjs';
import { Shaped } from './providers/shaped.mjs';
import { SHAPES } from './providers/shapes.mjs';
import { Tried } from './providers/tried.mjs';

const email = (user) => user.email;

/** More than half of the lifetime of a token that renews itself, after which the vault renews it. */
const MONTHS = [31 * 86400, 31 * 86400];

/** The providers with simulators of their own. `steps`: seconds before each refresh, if it is not before its expiry. */
const ODD = {
  twitch: { simulator: new Twitch({}), scopes: ['user:read:email'], life: 14124, hint: email, revoked: 'revoked' },
  figma: { simulator: new Figma({}), scopes: ['file_read'], life: 7776000, hint: email, revoked: 'not_supported' },
  basecamp: { simulator: new Basecamp({}), scopes: [], life: 1209600, hint: email, revoked: 'not_supported' },
  zendesk: { simulator: new Zendesk({}), scopes: ['write'], life: 1800, hint: email, variables: { subdomain: 'acme' }, once: true, revoked: 'revoked' },
  shopify: { simulator: new Shopify({}), scopes: ['read_orders', 'write_orders', 'read_products'], life: 3600, variables: { shop: 'acme' }, once: true, data: { shop: 'acme.myshopify.com' }, revoked: 'not_supported' },
  facebook: { simulator: new Facebook({}), scopes: ['email', 'pages_show_list'], hint: email, steps: [3601, ...MONTHS], revoked: 'revoked' },
  instagram: { simulator: new Instagram({}), scopes: ['instagram_business_basic', 'instagram_business_manage_comments'], hint: ({ id }) => id, steps: [1801, ...MONTHS], revoked: 'not_supported' },
  atlassian: { simulator: new Atlassian({}), scopes: ['read:jira-work'], life: 3600, hint: email, once: true, revoked: 'not_supported' },
};

/** @type {Record<string, any>} */
const ALL = {
  ...ODD,
  ...Object.fromEntries(Object.entries(SHAPES).map(([id, shape]) => [id, { ...shape, simulator: new Shaped(shape), scopes: shape.scopes === false ? [] : ['one', 'two'] }])),
};

/** The providers that dialects.test.mjs covers. */
const ELSEWHERE = ['box', 'entra', 'github', 'github_app', 'google', 'google_workspace', 'microsoft', 'notion', 'salesforce', 'slack', 'x'];

describe('providers of the catalogue, by their documented shape', { timeout: 300_000 }, () => {
  let world;
  const tried = new Tried();

  before(async () => {
    world = await startWorld(Object.fromEntries(Object.entries(ALL).map(([id, { simulator, variables, scopes }]) => (
      [id, { simulator, entry: { provider: id, scopes, ...(variables && { variables }) } }]
    ))));
  });
  after(async () => {
    await world?.close();
    await world?.internet.close();
    tried.compare();
  });

  test('none is left out', () => {
    const directory = fileURLToPath(new URL('../../crates/provider/src/catalogue', import.meta.url));
    const ids = readdirSync(directory).map((name) => name.replace('.toml', ''));
    assert.deepEqual([...ELSEWHERE, ...Object.keys(ALL)].toSorted(), ids.toSorted());
  });

  for (const [id, { simulator, scopes, life, hint, data, revoked, refresh, once, steps = life && [life + 1, life + 1] }] of Object.entries(ALL)) {
    test(`${id} is spoken to as its documentation says`, async () => {
      const journey = new Journey(world, id, simulator);
      const { connect: source, refresh: renewal, revoke } = simulator.sources;
      const user = world.arrive(`anna-${id}`);
      const account = await journey.connect(user);
      tried.add(id, 'connect', source);

      // The granted scopes are recognized, in whatever form the provider writes them.
      const first = await journey.token(user, {
        ...(hint && { login_hint: hint(simulator.user(user.login)) }), ...(scopes.length > 0 && { scope: scopes.join(' ') }),
      });
      assert.equal(first.owner, user.login);
      for (const [name, value] of Object.entries(data ?? {})) assert.equal(first.provider_data[name], value);
      tried.add(id, 'exchange', source);

      if (!steps || refresh === false) {
        // A token that neither expires nor can be renewed is released unchanged.
        if (!life) {
          await world.advance(30 * 86400);
          assert.equal((await journey.token(user)).access_token, first.access_token);
        }
      } else {
        let last = first.access_token;
        for (const seconds of steps) {
          await world.advance(seconds);
          const [token, same] = await Promise.all([journey.token(user), journey.token(user)]);
          assert.equal(token.owner, user.login);
          assert.equal(token.access_token, same.access_token);
          assert.notEqual(token.access_token, last);
          last = token.access_token;
        }
        assert.equal(simulator.reused, 0);
        tried.add(id, 'refresh', renewal ?? source);
        if (once) tried.add(id, 'rotate', renewal ?? source);

        simulator.end(user.login);
        await world.advance(steps.at(-1));
        if (!life) {
          // The renewal is refused; the token serves to its end.
          assert.equal((await journey.exchange(user)).status, 200);
          await world.advance(30 * 86400);
        }
        const answer = await journey.exchange(user);
        assertRefused(answer, 400, 'invalid_target');
        assert.equal(answer.body.connection_state.state, 'reconnect_required');
        tried.add(id, 'dead grant', simulator.sources.dead ?? renewal ?? source);
      }
      if (revoked) {
        const other = world.arrive(`bert-${id}`);
        const second = await journey.connect(other);
        assert.equal(await journey.remove(other, second), revoked);
        if (revoked === 'revoked') tried.add(id, 'revoke', revoke);
      }
      assert.ok(account.id);
    });
  }

  for (const { id, extra, life } of [{ id: 'hubspot', extra: 'hub_id', life: 1800 }, { id: 'quickbooks', extra: 'realmId', life: 3600 }]) {
    test(`a second portal or company at ${id} is a second account`, async () => {
      const { simulator } = ALL[id];
      const journey = new Journey(world, id, simulator);
      const user = world.arrive(`carl-${id}`);
      const account = await journey.connect(user, { login: 'first' });
      await journey.connect(user, { login: 'second' });
      assert.equal((await world.accounts(user)).length, 2);
      for (const place of ['first', 'second']) {
        const hint = String(simulator.user(place).number);
        const token = await journey.token(user, { login_hint: hint });
        assert.equal(token.owner, place);
        assert.equal(token.provider_data[extra], hint);
      }
      // Deleting one account revokes its refresh token and no other.
      const renewable = (place) => [...simulator.refreshes.values()].some(({ login }) => login === place);
      assert.equal(await journey.remove(user, account), 'revoked');
      assert.deepEqual([renewable('first'), renewable('second')], [false, true]);
      await world.advance(life + 1);
      assert.equal((await journey.token(user)).owner, 'second');
      // Connecting the same one again renews its account.
      await journey.connect(user, { login: 'second' });
      assert.equal((await world.accounts(user)).length, 1);
    });
  }

  test('the response of Instagram to a code is read in a list and without', async () => {
    const { simulator } = ALL.instagram;
    simulator.listed = false;
    const user = world.arrive('dora-instagram');
    const journey = new Journey(world, 'instagram', simulator);
    await journey.connect(user);
    const { owner } = await journey.token(user, { login_hint: simulator.user(user.login).id, scope: 'instagram_business_manage_comments' });
    assert.equal(owner, user.login);
  });

  test('every request went to a provider that was meant', () => assert.deepEqual(world.internet.strays, []));
  test('each request was logged, and nothing secret was', () => world.assertLogHasNoSecret());
});
