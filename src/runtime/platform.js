// SPDX-License-Identifier: Apache-2.0
// What every exchange needs of the platform, in one call each: a crossing between wasm and
// JavaScript costs as much as most of the work behind it.

/**
 * Method, URL and the headers that are read of every request, a line each. A line is empty where
 * there is no such header; no value can hold a line break.
 */
export function head(request) {
  const { method, url, headers } = request;
  const header = (name) => headers.get(name) ?? '';
  return `${method}\n${url}\n${header('content-length')}\n${header('content-type')}\n${header('authorization')}`;
}

/**
 * Reads the body of a request that told its length, and calls `settled(number, worked, value)` with
 * a `Uint8Array`. So do all functions here that take a number.
 */
export function body(request, number, settled) {
  watch(request.bytes(), number, settled);
}

/** Reads the body of another request; the value is null if it has more than `limit` bytes. */
export function boundedBody(request, limit, number, settled) {
  watch(read(request.body, limit), number, settled);
}

/** Most bytes that are waited for at once. */
const PART = 64 * 1024 + 1;

/**
 * Reads a stream in parts of a size that we choose: one of the sender's choice may be a byte, and each
 * costs as much as a small request.
 */
async function read(stream, limit) {
  const reader = stream?.getReader({ mode: 'byob' });
  const parts = [];
  let size = 0;
  for (let room = PART, got = room; reader && got === room; size += got) {
    room = Math.min(limit + 1 - size, PART);
    if (room === 0) {
      // Nobody waits for the rest.
      reader.cancel().catch(() => {});
      return null;
    }
    const { value, done } = await reader.readAtLeast(room, new Uint8Array(room));
    got = done ? 0 : value.length;
    if (got > 0) parts.push(value);
  }
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(size);
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Headers that tell when to come again, in the order in which they are handed over. */
const WAITS = ['retry-after', 'x-ratelimit-remaining', 'x-ratelimit-reset'];

/**
 * Sends a request to somebody else; `given` has the name of each header and then its value. The
 * value is `[status, ...WAITS, body]`, with null for a body of more than `limit` bytes.
 *
 * A redirect that is followed would carry our credentials to wherever it points. Some providers
 * refuse requests without a user agent.
 */
export function send(method, url, given, body, limit, milliseconds, number, settled) {
  const headers = new Headers({ accept: 'application/json', 'user-agent': 'edge-token-vault' });
  for (let index = 0; index < given.length; index += 2) headers.set(given[index], given[index + 1]);
  const answer = within(milliseconds, async (signal) => {
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
    const told = WAITS.map((name) => response.headers.get(name));
    return [response.status, ...told, await read(response.body, limit)];
  });
  watch(answer, number, settled);
}

/** Rejects when the time is over, whether or not what was aborted does. */
async function within(milliseconds, work) {
  const controller = new AbortController();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error('late'));
      controller.abort();
    }, milliseconds);
  });
  try {
    return await Promise.race([work(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs `work` in one transaction of an object's storage. If it gives false or throws, what it wrote is undone: the
 * platform makes statements without an await in between one write, but keeps those before one that failed.
 */
export function transaction(storage, work) {
  const undo = new Error('undo');
  try {
    storage.transactionSync(() => {
      if (!work()) throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  }
}

/** The question in a request to an object, or null if it is the body. */
export function question(request) {
  return request.headers.get('question');
}

/**
 * Asks an object for its response; the value is undefined when the time is over.
 *
 * A question in a header costs both sides much less than a body.
 */
export function ask(namespace, name, question, inHeader, milliseconds, number, settled) {
  const init = inHeader ? { headers: { question } } : { method: 'POST', body: question };
  const answer = namespace.getByName(name).fetch('https://object/', init);
  // A second call finds nobody who waits.
  const timer = setTimeout(guarded, milliseconds, settled, number, true);
  answer.then((response) => {
    clearTimeout(timer);
    guarded(settled, number, true, response);
  }, (error) => {
    clearTimeout(timer);
    guarded(settled, number, false, error);
  });
}

/** Waits for a promise. */
export function watch(promise, number, settled) {
  promise.then(
    (value) => guarded(settled, number, true, value),
    (error) => guarded(settled, number, false, error),
  );
}

/** A trap must reach the handler of uncaught errors: that starts the wasm afresh. */
function guarded(settled, number, worked, value) {
  try {
    settled(number, worked, value);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

const promises = new Map();

/** How many promises are not settled yet. */
export function unsettled() {
  return promises.size;
}

/** A promise that `settle` settles. */
export function promise(number) {
  return new Promise((resolve, reject) => { promises.set(number, { resolve, reject }); });
}

export function settle(number, worked, value) {
  const { resolve, reject } = promises.get(number);
  promises.delete(number);
  if (worked) resolve(value);
  else reject(value);
}
