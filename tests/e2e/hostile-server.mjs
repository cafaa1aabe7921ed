// SPDX-License-Identifier: Apache-2.0
// A server with configurable misbehaviour: as a token endpoint, or as an issuer's metadata and keys.
import { createServer } from 'node:http';

export class HostileServer {
  /** @type {import('node:http').Server} */
  server;

  /** @type {string} */
  origin;

  /** The requested paths, oldest first. */
  requests = [];

  /** Path → the function that writes the response. */
  #acts = new Map();

  static async start() {
    const hostile = new HostileServer();
    hostile.server = createServer((request, response) => hostile.#serve(request, response));
    await new Promise((resolve) => { hostile.server.listen(0, '127.0.0.1', () => resolve(undefined)); });
    const { port } = /** @type {import('node:net').AddressInfo} */ (hostile.server.address());
    hostile.origin = `http://127.0.0.1:${port}`;
    return hostile;
  }

  /** From now on, `act(response, body, query, headers)` responds to requests for `path`. */
  on(path, act) {
    this.#acts.set(path, act);
  }

  count(path) {
    return this.requests.filter((one) => one === path).length;
  }

  async #serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    this.requests.push(pathname);
    response.on('error', () => {});
    let body = '';
    for await (const chunk of request) body += chunk;
    const act = this.#acts.get(pathname);
    if (act) act(response, new URLSearchParams(body), searchParams, request.headers);
    else response.writeHead(404).end();
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

/**
 * A response with this status and body.
 *
 * @param {number} status
 * @param {string | object} body
 * @param {Record<string, string>} [headers]
 */
export const answer = (status, body, headers = { 'content-type': 'application/json' }) => (response) => {
  response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
};

/** A response with a body of `bytes`, unless the client closes the connection before. */
export const endless = (bytes, start = '') => (response) => {
  const chunk = Buffer.alloc(64 * 1024, 'a');
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write(start);
  let left = bytes;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= chunk.length;
      if (!response.write(chunk)) return response.once('drain', more);
    }
    return response.end();
  };
  more();
};

/** A response that stops after the headers. */
export const silent = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('{');
};

/** Breaks the connection instead of responding. */
export const broken = (response) => response.destroy();

/**
 * A response whose body arrives, but not its end: the connection closes before the last chunk, or before as
 * many bytes as `content-length` announces.
 *
 * @param {number} status
 * @param {string | object} body
 * @param {Record<string, string>} [headers]
 */
export const cutOff = (status, body, headers = {}) => (response) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.write(text, () => response.destroy());
};
