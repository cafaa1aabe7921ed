// SPDX-License-Identifier: Apache-2.0
// The module that the platform loads. `worker-build` generates a class around the Worker that is
// constructed for each request, through proxies; that costs more than an exchange's own work. This
// module uses that class for its purpose only: to instantiate the wasm anew after a trap.
// @ts-expect-error: the platform has it.
import { env } from 'cloudflare:workers';
// @ts-expect-error: `worker-build` generates it beside the copy of this file.
import Worker from './index.js';

// @ts-expect-error
export * from './index.js';

const state = globalThis.__worker_init_state;
const { fetch, prepare } = Worker.prototype;

export default {
  fetch(request, env, ctx) {
    const answer = begin(request, env, ctx);
    // When a caller resets the connection, the platform drops the request: the promises it waits for
    // never settle, and the wasm would keep its tasks for ever. `waitUntil` lets the request run to its
    // end, which comes soon: reading the body fails then.
    ctx.waitUntil(answer);
    return answer;
  },
};

function begin(request, env, ctx) {
  if (state.criticalError) return new Worker(ctx, env).fetch(request);
  try {
    return fetch.call({ env, ctx }, request);
  } catch (error) {
    note(error);
    throw error;
  }
}

/** After a trap, the next request instantiates the wasm anew. */
function note(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

// The platform evaluates this module before the first request, and on its network often while the caller is still
// connecting. What is done here, no request waits for.
try {
  prepare(env, new Request('https://vault/oauth/token', { method: 'POST' }));
} catch (error) {
  note(error);
}
