// SPDX-License-Identifier: Apache-2.0
// What the vault takes for the network: host names that simulators answer for, and nothing else but
// this machine. So the addresses of the catalogue are tested as they are.
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

  /** Requests to hosts that nobody answers for. */
  strays = [];

  #hosts = new Map();

  static async start() {
    const internet = new Internet();
    internet.server = createServer((request, response) => internet.#serve(request, response));
    await new Promise((resolve) => { internet.server.listen(0, '127.0.0.1', () => resolve(undefined)); });
    ({ port: internet.port } = /** @type {import('node:net').AddressInfo} */ (internet.server.address()));
    return internet;
  }

  /** From now on `simulator` answers for its hosts. */
  add(simulator) {
    for (const host of simulator.hosts) this.#hosts.set(host, simulator);
  }

  async #serve(request, response) {
    response.on('error', () => {});
    const { host } = request.headers;
    const simulator = this.#hosts.get(host);
    if (simulator) {
      await answer(simulator, request, response).catch((error) => {
        // A request that a simulator cannot read is one that nobody meant.
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
