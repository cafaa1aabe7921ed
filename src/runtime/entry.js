// SPDX-License-Identifier: Apache-2.0
// The module that the platform loads. The class that `worker-build` makes around the Worker is
// constructed anew for each request, through proxies; that costs more than an exchange's own work.
// It stays in use for what it is there for: starting the wasm afresh after a trap.
// @ts-expect-error: `worker-build` makes it, beside the copy of this file.
import Worker from './index.js';

// @ts-expect-error
export * from './index.js';

const state = globalThis.__worker_init_state;
const { fetch } = Worker.prototype;

export default {
  fetch(request, env, ctx) {
    const answer = begin(request, env, ctx);
    // When a caller resets the connection, the platform drops the request: what it waits for never
    // comes, and the wasm would keep its work for ever. So it goes on to its end, which is near: the
    // body that it reads is refused then.
    ctx.waitUntil(answer);
    return answer;
  },
};

function begin(request, env, ctx) {
  if (state.criticalError) return new Worker(ctx, env).fetch(request);
  try {
    return fetch.call({ env, ctx }, request);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
    throw error;
  }
}
