// SPDX-License-Identifier: Apache-2.0
// What the tests of a package tried, for docs/compatibility.md. Each test file of a package makes one `Compatibility`;
// it writes what it found to `target/clients/`, and `write-compatibility.mjs` makes the document of it.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Where the results are, from this file. */
export const RESULTS = new URL('../../target/clients/', import.meta.url);

/** What an application does with a vault, in the order of the document. */
export const USES = {
  login: 'signs a user in',
  me: 'gets a token for the connected-accounts API',
  connect: 'connects an account',
  list: 'lists accounts or connections',
  byRefreshToken: 'exchanges a refresh token for a provider’s access token',
  byAccessToken: 'exchanges an access token for a provider’s access token',
  refreshTwice: 'refreshes twice',
  audiences: 'gets tokens for several audiences from one refresh token',
  logout: 'signs the user out',
  backChannelLogout: 'ends its session by back-channel logout',
};

/** What an application sees if an exchange fails, in the order of the document. */
export const FAILURES = {
  notConnected: 'the user has not connected an account',
  reconnectRequired: 'the provider has ended the grant',
  missingScopes: 'the account lacks a requested scope',
  unknownConnection: 'the connection is unknown',
  expiredSubjectToken: 'the subject token has expired',
  revokedRefreshToken: 'the refresh token was revoked',
  wrongSecret: 'the client secret is wrong',
  providerDown: 'the provider does not respond',
};

const TOPICS = { ...USES, ...FAILURES };

/**
 * The tests of one package. Each topic must be tried, or the package must be without it, for a stated reason.
 *
 * ```js
 * const sdk = new Compatibility('openid-client', { version: npmVersion('openid-client'), settings: ['no setting'] });
 * sdk.tries('login', async () => { … });
 * sdk.tries('notConnected', async () => `${error.name}: ${error.code}`);
 * sdk.without('backChannelLogout', 'It has no function for logout tokens.');
 * ```
 */
export class Compatibility {
  #tried = new Map();

  #without = {};

  /**
   * @param {string} name  the package, as its registry names it
   * @param {object} of
   * @param {string} of.version  as it was installed
   * @param {'npm' | 'PyPI' | 'crates.io'} [of.registry]
   * @param {string[]} of.settings  what an application sets in order to use a vault, each as Markdown
   * @param {string | false} [of.skip]  why nothing can be tried on this machine
   */
  constructor(name, { version, registry = 'npm', settings, skip = false }) {
    this.#skip = skip;
    after(() => {
      if (skip) return;
      const { tried, without } = this.#checked();
      write(name, { name, version, registry, settings, tried, without });
    });
  }

  #skip;

  /**
   * Defines a test of a topic. For a failure it returns what the application sees, as Markdown.
   *
   * @param {keyof typeof TOPICS} topic
   * @param {(context: import('node:test').TestContext) => Promise<string | void>} run
   */
  tries(topic, run) {
    assert.ok(topic in TOPICS, topic);
    this.#tried.set(topic, undefined);
    test(TOPICS[topic], { skip: this.#skip }, async (context) => {
      const seen = await run(context);
      if (topic in FAILURES) assert.equal(typeof seen, 'string', 'the test must return what the application sees');
      this.#tried.set(topic, seen ?? true);
    });
  }

  /**
   * @param {keyof typeof TOPICS} topic
   * @param {string} why  a sentence
   */
  without(topic, why) {
    this.#without[topic] = why;
  }

  #checked() {
    const open = Object.keys(TOPICS).filter((topic) => !this.#tried.has(topic) && !this.#without[topic]);
    assert.deepEqual(open, [], 'topics that were neither tried nor declared to be absent');
    const failed = [...this.#tried].filter(([, seen]) => seen === undefined).map(([topic]) => topic);
    assert.deepEqual(failed, [], 'topics whose test did not pass');
    return { tried: Object.fromEntries(this.#tried), without: this.#without };
  }
}

/**
 * Returns a function that defines tests of a package, as `test` does, and notes which of them passed. For packages of
 * which more is tried than the topics. Call it in a `describe`.
 *
 * @param {string} name
 * @param {{version: string, settings: string[], skip?: string | false}} of  as of a `Compatibility`
 */
export function notedTests(name, { version, settings, skip = false }) {
  const passed = [];
  after(() => {
    if (!skip) write(name, { name, version, registry: 'npm', settings, passed });
  });
  return (/** @type {string} */ title, /** @type {() => Promise<void>} */ run) => test(title, { skip }, async () => {
    await run();
    passed.push(title);
  });
}

function write(name, result) {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(new URL(`${name.replace('/', '__')}.json`, RESULTS), JSON.stringify(result));
}

/** The version of a package that is installed beside this file. */
export function npmVersion(name) {
  const file = fileURLToPath(new URL(`node_modules/${name}/package.json`, import.meta.url));
  return JSON.parse(readFileSync(file, 'utf8')).version;
}
