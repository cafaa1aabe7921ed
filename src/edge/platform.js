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

/** The body, as a promise of a `Uint8Array`. */
export function body(request) {
  return request.bytes();
}

/** The question in a request to an object, or null if it is the body. */
export function question(request) {
  return request.headers.get('question');
}

/**
 * Asks an object. The promise is of its response, or of nothing when the time is over.
 *
 * A question in a header costs both sides much less than a body.
 */
export function ask(namespace, name, question, inHeader, milliseconds) {
  const init = inHeader ? { headers: { question } } : { method: 'POST', body: question };
  const answer = namespace.getByName(name).fetch('https://object/', init);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    answer.then((response) => {
      clearTimeout(timer);
      resolve(response);
    }, (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** Calls `settled(number, worked, value)` once the promise is settled. */
export function watch(promise, number, settled) {
  promise.then(
    (value) => guarded(settled, number, true, value),
    (error) => guarded(settled, number, false, error),
  );
}

/** A trap must reach the handler of uncaught errors: that starts the wasm afresh. */
function guarded(settled, ...result) {
  try {
    settled(...result);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

const promises = new Map();

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
