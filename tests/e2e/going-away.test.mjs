// SPDX-License-Identifier: Apache-2.0
// A caller that disconnects in the middle of its request leaves nothing in the Worker's memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { GRANT, TOKEN_TYPE } from '../../xtask/js/vault-api.mjs';
import { PROVIDER_TOKEN_SECONDS, World, eventually } from './harness.mjs';

const MANY = 50;

describe('callers that go away', { timeout: 120_000 }, () => {
  let world;
  before(async () => { world = await World.start(); });
  after(() => world?.close());

  /** Counts of what the Worker holds while requests run, including this request. */
  const live = async () => (await fetch(`${world.vault}/test-live`)).json();

  const idle = async () => {
    const now = await live();
    return now.tasks === 1 && now;
  };

  async function assertBack(before) {
    let now;
    await eventually('what requests left behind goes', async () => {
      now = await live();
      return JSON.stringify(now) === JSON.stringify(before);
    }).catch((error) => {
      throw new Error(`${JSON.stringify(now)} is left of ${JSON.stringify(before)}`, { cause: error });
    });
  }

  /** Begins a request and waits for `100 Continue`: the runtime sends it once the Worker reads the body. */
  async function begin(size) {
    const socket = connect({ port: world.workerd.port, host: '127.0.0.1' });
    socket.write([
      'POST /oauth/token HTTP/1.1', 'host: 127.0.0.1', 'expect: 100-continue',
      'content-type: application/x-www-form-urlencoded', size, '', '',
    ].join('\r\n'));
    const [answer] = await once(socket, 'data');
    assert.match(answer.toString(), /^HTTP\/1\.1 100 /);
    return socket;
  }

  async function giveUp(socket, how) {
    const closed = once(socket, 'close');
    socket[how]();
    await closed;
  }

  for (const [what, how] of [['end', 'destroy'], ['reset', 'resetAndDestroy']]) {
    for (const size of ['content-length: 20000', 'transfer-encoding: chunked']) {
      test(`nothing is left after the ${what} of connections that carried half a body (${size})`, async () => {
        // The first request creates the values that exist only once.
        await giveUp(await begin(size), how);
        const before = await eventually('the first request ends', idle);
        const sockets = await Promise.all(Array.from({ length: MANY }, () => begin(size)));
        assert.equal((await live()).tasks, before.tasks + MANY);
        await Promise.all(sockets.map((socket) => giveUp(socket, how)));
        await assertBack(before);
      });
    }

    test(`nothing is left after the ${what} of a connection that waited for the provider`, async () => {
      const user = await world.signIn(`waits-${what}`);
      await world.connect(user);
      await world.exchange(user);
      const before = await eventually('all is quiet', idle);
      await world.advance(PROVIDER_TOKEN_SECONDS);
      let answer;
      /** @type {Promise<void>} */
      const asked = new Promise((resolve) => {
        world.intercept(() => {
          resolve();
          return new Promise((go) => { answer = go; });
        });
      });
      const body = new URLSearchParams({
        ...world.clients.backend,
        grant_type: GRANT.rfc8693,
        subject_token: user.access_token,
        subject_token_type: TOKEN_TYPE.access,
        audience: 'demo',
      }).toString();
      const socket = await begin(`content-length: ${body.length}`);
      socket.write(body);
      await asked;
      await giveUp(socket, how);
      answer();
      world.intercept();
      await assertBack(before);
      // The refresh continued without its caller.
      await world.exchange(user);
      assert.equal(world.tokenRequests('refresh_token'), what === 'end' ? 1 : 2);
    });
  }
});
