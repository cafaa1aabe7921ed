// SPDX-License-Identifier: Apache-2.0
// A simulator of the part of Cloudflare's API that `wrangler secret` and `wrangler deploy` use:
// workers/scripts, their secrets, versions and subdomains (developers.cloudflare.com/api, Workers). It cannot
// test an account's permissions, nor whether the platform accepts an upload.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const NOT_FOUND = 10007;

/** @typedef {{secrets: Map<string, string>, deployments: object[], migrationTag?: string, subdomain: object}} Worker */

export class Cloudflare {
  /** @type {Map<string, Worker>} */
  workers = new Map();

  /** `METHOD path` of every request. @type {string[]} */
  requests = [];

  #server;

  static async start() {
    const cloudflare = new Cloudflare();
    cloudflare.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const [status, body] = await cloudflare.#answer(request, Buffer.concat(chunks));
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
    await new Promise((resolve) => { cloudflare.#server.listen(0, '127.0.0.1', resolve); });
    return cloudflare;
  }

  /** Variables for wrangler's environment. */
  get environment() {
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${this.#server.address().port}/client/v4`,
      CLOUDFLARE_API_TOKEN: 'a-token-of-the-tests',
      CLOUDFLARE_ACCOUNT_ID: '00000000000000000000000000000000',
      // The banner would query the npm registry for a newer version.
      WRANGLER_HIDE_BANNER: 'true',
    };
  }

  /** Adds a Worker with these secrets and without a deployment. */
  put(name, secrets = {}) {
    const worker = { migrationTag: undefined, secrets: new Map(Object.entries(secrets)), deployments: [], subdomain: { enabled: false, previews_enabled: false } };
    this.workers.set(name, worker);
    return worker;
  }

  /** The requests that may change something. */
  get writes() {
    return this.requests.filter((request) => !request.startsWith('GET '));
  }

  /** @param {{method?: string, url?: string, headers: any}} request */
  async #answer({ method, url, headers }, body) {
    const path = url.split('?')[0];
    this.requests.push(`${method} ${path}`);
    if (!headers.authorization) return failure(401, 10000, 'Authentication error');
    const [, kind, name, rest = ''] = /\/workers\/([^/]+)(?:\/([^/]+)(\/.*)?)?$/.exec(path) ?? [];
    const route = `${method} ${kind}${rest}`;
    if (route === 'GET subdomain') return success({ subdomain: 'tests' });
    if (route === 'PUT scripts') return this.#upload(name, new Response(body, { headers }));
    const worker = this.workers.get(name);
    if (!worker) return failure(404, NOT_FOUND, 'workers.api.error.script_not_found');
    const secrets = () => [...worker.secrets.keys()].map((one) => ({ name: one, type: 'secret_text' }));
    switch (route) {
      case 'GET services':
        return success({ id: name, default_environment: { environment: 'production', script: script(name, worker) } });
      case 'GET scripts/secrets': return success(secrets());
      case 'PATCH scripts/secrets-bulk':
        for (const { name: one, text } of Object.values(JSON.parse(body).secrets)) worker.secrets.set(one, text);
        return success(secrets());
      case 'PUT scripts/secrets': {
        const { name: one, text, type } = JSON.parse(body);
        worker.secrets.set(one, text);
        return success({ name: one, type });
      }
      case 'GET scripts/deployments': return success({ deployments: worker.deployments });
      case 'POST scripts/deployments': {
        const deployment = { id: randomUUID(), ...JSON.parse(body) };
        worker.deployments.unshift(deployment);
        return success(deployment);
      }
      case 'POST scripts/versions': {
        const uploaded = await metadata(new Response(body, { headers }));
        return success({ id: uploaded.id, startup_time_ms: 1, resources: { script: { etag: uploaded.id } }, metadata: {} });
      }
      case 'PATCH scripts/script-settings': return success({});
      case 'GET workers': return success({ name, subdomain: worker.subdomain });
      case 'POST scripts/subdomain':
        worker.subdomain = JSON.parse(body);
        return success(worker.subdomain);
      default: return failure(404, 7003, `no route for ${method} ${path}`);
    }
  }

  /** An upload that deploys immediately. Secrets are kept only if its metadata requests that. */
  async #upload(name, upload) {
    const uploaded = await metadata(upload);
    const worker = this.workers.get(name) ?? this.put(name);
    if (!uploaded.keep_bindings?.includes('secret_text')) worker.secrets.clear();
    worker.migrationTag = uploaded.migrations?.new_tag ?? worker.migrationTag;
    worker.deployments.unshift({ id: randomUUID(), versions: [{ version_id: uploaded.id, percentage: 100 }], uploaded });
    return success({ ...script(name, worker), deployment_id: uploaded.id.replaceAll('-', ''), startup_time_ms: 1 });
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

/** The metadata of an upload, with the names of its modules. */
async function metadata(upload) {
  const form = await upload.formData();
  const modules = [...form.keys()].filter((name) => name !== 'metadata');
  return { id: randomUUID(), ...JSON.parse(form.get('metadata')), modules };
}

const script = (name, worker) => ({
  id: name, tag: name, tags: [], migration_tag: worker.migrationTag, last_deployed_from: 'wrangler',
});
const success = (result) => [200, { success: true, errors: [], messages: [], result }];
const failure = (status, code, message) => [status, { success: false, errors: [{ code, message }], messages: [], result: null }];
