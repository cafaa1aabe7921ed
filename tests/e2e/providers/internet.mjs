// SPDX-License-Identifier: Apache-2.0
// The vault's network in tests: simulators respond for their host names, and otherwise only this machine can
// be reached. So the catalogue's addresses are tested unchanged.
import { createServer, request as forward } from 'node:http';

async function answer(simulator, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, headers } = request;
  const { status, headers: more, body } = await simulator.serve({
    method, url: new URL(url, `https://${headers.host}`), headers, body: Buffer.concat(chunks).toString(),
  });
  response.writeHead(status, more).end(body);
}

export class Internet {
  /** @type {import('node:http').Server} */
  server;

  /** @type {number} */
  port;

  /** Requests to hosts without a simulator. */
  strays = [];

  #hosts = new Map();

  static async start() {
    const internet = new Internet();
    internet.server = createServer((request, response) => internet.#serve(request, response));
    await new Promise((resolve) => { internet.server.listen(0, '127.0.0.1', () => resolve(undefined)); });
    ({ port: internet.port } = /** @type {import('node:net').AddressInfo} */ (internet.server.address()));
    return internet;
  }

  /** From now on, `simulator` responds for its hosts. */
  add(simulator) {
    for (const host of simulator.hosts) this.#hosts.set(host, simulator);
  }

  async #serve(request, response) {
    response.on('error', () => {});
    const { host } = request.headers;
    const simulator = this.#hosts.get(host);
    if (simulator) {
      await answer(simulator, request, response).catch((error) => {
        // A request that makes a simulator throw is unexpected, and counts as a stray one.
        this.strays.push(`${request.method} ${host}${request.url}: ${error.message}`);
        response.writeHead(500).end();
      });
    } else if (/^127\.0\.0\.1:\d+$/.test(host)) {
      const [hostname, port] = host.split(':');
      const { method, url: path, headers } = request;
      const onward = forward({ hostname, port, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.writeHead(502).end());
      request.pipe(onward);
    } else {
      this.strays.push(`${request.method} ${host}${request.url}`);
      response.writeHead(502).end();
    }
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}
