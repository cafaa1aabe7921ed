// SPDX-License-Identifier: Apache-2.0
// The platform operations that every exchange needs, each as one function: a call between wasm and
// JavaScript costs about as much as most of these operations themselves.

/**
 * The method, the URL and the headers that the vault reads of most requests, one per line. The line of an
 * absent header is empty. No value can contain a line break.
 */
export function head(request) {
  const { method, url, headers } = request;
  const header = (name) => headers.get(name) ?? '';
  const names = ['content-length', 'content-type', 'authorization', 'cache-control', 'origin'];
  return [method, url, ...names.map(header)].join('\n');
}

/**
 * Reads the whole body of a request that has a `content-length`, as a `Uint8Array`. Like all functions here
 * that take a number, it calls `settled(number, worked, value)` with the result.
 */
export function body(request, number, settled) {
  watch(request.bytes(), number, settled);
}

/** Reads the body of a request without `content-length`; the value is null if it exceeds `limit` bytes. */
export function boundedBody(request, limit, number, settled) {
  const parts = [];
  const body = read(request.body, limit, parts, 0).then((fits) => (fits ? joined(parts) : null));
  watch(body, number, settled);
}

/** The largest number of bytes that one read waits for. */
const PART = 64 * 1024 + 1;

/**
 * Reads a stream into `parts`; the value is false if it exceeds `limit` bytes.
 *
 * The reads wait for parts whose size this function chooses. Otherwise the sender chooses it: a part may be
 * one byte, and each part costs as much as a small request. Only the first `prompt` reads take what has
 * arrived: bytes that a read waits with are lost if the stream breaks.
 */
async function read(stream, limit, parts, prompt) {
  const reader = stream?.getReader({ mode: 'byob' });
  let size = 0;
  for (let count = 0, ended = !reader; !ended; count += 1) {
    const room = Math.min(limit + 1 - size, PART);
    if (room === 0) {
      // The rest is discarded, so nothing waits for the cancellation.
      reader.cancel().catch(() => {});
      return false;
    }
    const least = count < prompt ? 1 : room;
    const { value, done } = await reader.readAtLeast(least, new Uint8Array(room));
    const got = done ? 0 : value.length;
    // The copy lets go of the rest of the buffer.
    if (got > 0) parts.push(got < room ? value.slice() : value);
    size += got;
    ended = got < least;
  }
  return true;
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** The headers that say when to retry, in the order in which `send` returns their values. */
const WAITS = ['retry-after', 'x-ratelimit-remaining', 'x-ratelimit-reset'];

/** How many reads of a response take what has arrived: token responses are short. */
const PROMPT_READS = 64;

/**
 * Sends a request to a provider or an issuer. `given` alternates header names and values. The value is
 * `[status, ...WAITS, body, complete]`, with null for a body of more than `limit` bytes. If the connection
 * breaks after the headers, or the time runs out, `complete` is false, and the body is what had arrived.
 *
 * Redirects are not followed, because they would carry the vault's credentials to any host they name.
 * Some providers reject requests without a user agent.
 */
export function send(method, url, given, body, limit, milliseconds, number, settled) {
  const headers = new Headers({ accept: 'application/json', 'user-agent': 'edge-token-vault' });
  for (let index = 0; index < given.length; index += 2) headers.set(given[index], given[index + 1]);
  const parts = [];
  let head;
  const answer = within(milliseconds, async (signal) => {
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
    head = [response.status, ...WAITS.map((name) => response.headers.get(name))];
    const fits = await read(response.body, limit, parts, PROMPT_READS);
    return [...head, fits ? joined(parts) : null, true];
  }).catch((error) => {
    if (!head) throw error;
    return [...head, joined(parts), false];
  });
  watch(answer, number, settled);
}

/** Aborts `work` after the given time and rejects then, whether or not the aborted work rejects. */
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

/** Runs a statement. The value has the number of columns and then those of all rows, or nothing without rows. */
export function rows(storage, query, parameters) {
  const found = storage.sql.exec(query, ...parameters).raw().toArray();
  return found.length === 0 ? found : [found[0].length, ...found.flat()];
}

/**
 * Runs `work` in one transaction of an object's storage, and rolls back if it returns false or throws.
 * Without a transaction, the platform writes statements without an await between them together, but keeps
 * those before one that failed.
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

/** Makes a response. `head` has a name and a value per line, in turn; a name may stand several times. */
export function respond(status, head, body) {
  const lines = head.split('\n');
  // The platform takes an object in half the time of a list of pairs.
  const headers = {};
  const more = [];
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const [name, value] = [lines[index], lines[index + 1]];
    if (name in headers) more.push([name, value]);
    else headers[name] = value;
  }
  const response = new Response(body, { status, headers });
  for (const [name, value] of more) response.headers.append(name, value);
  return response;
}

/** Makes a response 200 with a copy of these `Headers`, and with `timing` as `server-timing`. */
export function token(headers, timing, body) {
  headers.set('server-timing', timing);
  return new Response(body, { headers });
}

/** Makes an object's response, with the message in the header `reply`. */
export function reply(status, message) {
  return new Response(null, { status, headers: { reply: message } });
}

/** The message in the header of a request to an object, or null if it is in the body. */
export function question(request) {
  return request.headers.get('question');
}

/**
 * Sends a message to an object and waits for its response; the value is undefined if the time runs out, and the
 * message of a response that has it in the header `reply`. An object that does not exist yet is created near
 * `locationHint`, which may be undefined.
 *
 * A message in a header costs both sides much less than one in a body.
 */
export function ask(env, binding, name, locationHint, question, inHeader, milliseconds, number, settled) {
  const init = inHeader ? { headers: { question } } : { method: 'POST', body: question };
  const answer = env[binding].getByName(name, { locationHint }).fetch('https://object/', init);
  // If the response arrives after the timer, the second call of `settled` has no effect.
  const timer = setTimeout(guarded, milliseconds, settled, number, true);
  answer.then((response) => {
    clearTimeout(timer);
    guarded(settled, number, true, response.headers.get('reply') ?? response);
  }, (error) => {
    clearTimeout(timer);
    guarded(settled, number, false, error);
  });
}

/** Calls `settled` when the promise is fulfilled or rejected. */
export function watch(promise, number, settled) {
  promise.then(
    (value) => guarded(settled, number, true, value),
    (error) => guarded(settled, number, false, error),
  );
}

/** A wasm trap must reach the handler of uncaught errors, which instantiates the wasm anew. */
function guarded(settled, number, worked, value) {
  try {
    settled(number, worked, value);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

const promises = new Map();

/** Counts the promises that are not settled yet. */
export function unsettled() {
  return promises.size;
}

/** Creates a promise that `settle` settles by its number. */
export function promise(number) {
  return new Promise((resolve, reject) => { promises.set(number, { resolve, reject }); });
}

export function settle(number, worked, value) {
  const { resolve, reject } = promises.get(number);
  promises.delete(number);
  if (worked) resolve(value);
  else reject(value);
}
