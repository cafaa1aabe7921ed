// The part of Cloudflare's API that `wrangler secret` uses, for the real wrangler: workers/scripts
// and their secrets (developers.cloudflare.com/api, Workers). What it cannot show is an account.
import { createServer } from 'node:http';

const NOT_FOUND = 10007;

export class Cloudflare {
  /** Secrets by Worker, by name. @type {Map<string, Map<string, string>>} */
  workers = new Map();

  /** `METHOD path` of every request. @type {string[]} */
  requests = [];

  #server;

  static async start() {
    const cloudflare = new Cloudflare();
    cloudflare.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const [status, body] = cloudflare.#answer(request, Buffer.concat(chunks).toString());
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
    await new Promise((resolve) => { cloudflare.#server.listen(0, '127.0.0.1', resolve); });
    return cloudflare;
  }

  /** For wrangler's environment. */
  get environment() {
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${this.#server.address().port}/client/v4`,
      CLOUDFLARE_API_TOKEN: 'a-token-of-the-tests',
      CLOUDFLARE_ACCOUNT_ID: '00000000000000000000000000000000',
    };
  }

  #answer({ method, url }, body) {
    const path = url.split('?')[0];
    this.requests.push(`${method} ${path}`);
    const [, name, rest = ''] = /\/workers\/scripts\/([^/]+)(\/.*)?$/.exec(path) ?? [];
    const secrets = this.workers.get(name);
    if (name && method === 'PUT' && !rest) {
      this.workers.set(name, new Map());
      return success({ id: name });
    }
    if (!secrets) return failure(404, NOT_FOUND, 'workers.api.error.script_not_found');
    const list = () => [...secrets.keys()].map((one) => ({ name: one, type: 'secret_text' }));
    if (method === 'GET' && rest === '/secrets') return success(list());
    if (method === 'PATCH' && rest === '/secrets-bulk') {
      for (const { name: one, text } of Object.values(JSON.parse(body).secrets)) secrets.set(one, text);
      return success(list());
    }
    return failure(404, 7003, `no route for ${method} ${path}`);
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

const success = (result) => [200, { success: true, errors: [], messages: [], result }];
const failure = (status, code, message) => [status, { success: false, errors: [{ code, message }], messages: [], result: null }];
