// SPDX-License-Identifier: Apache-2.0
// What makes an exchange fail, and what the application got then.
import assert from 'node:assert/strict';
import { PROVIDER_TOKEN_SECONDS } from '../e2e/harness.mjs';

/** Longer than the vault's access tokens and the provider's are good for. */
export const ACCESS_TOKEN_LIFE = PROVIDER_TOKEN_SECONDS + 120;

/** Longer than the vault's refresh tokens are good for by default. */
export const REFRESH_TOKEN_LIFE = 31 * 86_400;

/** Calls `run` while the provider, asked for a fresh access token, answers that the grant has ended. */
export function whileRefused(world, run) {
  return answering(world, { status: 400, body: { error: 'invalid_grant' } }, run);
}

/** Calls `run` while the provider, asked for a fresh access token, is down. */
export function whileDown(world, run) {
  return answering(world, { status: 503 }, run);
}

async function answering(world, answer, run) {
  let asked = 0;
  world.intercept(() => {
    asked += 1;
    return answer;
  });
  await world.advance(ACCESS_TOKEN_LIFE);
  try {
    const result = await run();
    assert.ok(asked > 0, 'the provider was not asked');
    return result;
  } finally {
    world.intercept();
  }
}

/**
 * The error that a promise is rejected with.
 *
 * @param {Promise<any>} promise
 * @returns {Promise<any>}
 */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('there was no error');
}

/** Asserts that the vault's secrets and the provider's tokens do not stand in the log. */
export function assertLogHasNoSecret(world) {
  const leaked = [...world.secrets, ...world.provider.stats.issued].filter((one) => world.workerd.log.includes(one));
  assert.equal(leaked.length, 0);
}
