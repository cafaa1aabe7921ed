// SPDX-License-Identifier: Apache-2.0
// Records which requests reached the development provider and which tokens it issued.
//
// With the records, tests count requests ("exactly one refresh") and search for tokens in places where
// they must not be (logs, files on disk).
const TOKENS = ['access_token', 'refresh_token', 'id_token'];
const MAX_BODY = 64 * 1024;

export class Traffic {
  /** @type {{method: string, path: string, client?: string, grant?: string, status?: number}[]} */
  requests = [];

  /** Every token that this provider has issued. */
  issued = new Set();

  /** The opaque access tokens and the refresh tokens issued to one client, oldest first. */
  tokens(client, kind) {
    return this.#log.filter((entry) => entry.client === client && entry[kind]).map((entry) => entry[kind]);
  }

  /**
   * Counts the requests that match all given fields, for example
   * `count({ path: '/token', client: 'edge-token-vault', grant: 'refresh_token' })`.
   */
  count(filter) {
    const wanted = Object.entries(filter);
    return this.requests.filter((one) => wanted.every(([name, value]) => one[name] === value)).length;
  }

  /** Records a request, and its status once the response is sent. */
  watch(request, response) {
    const { pathname } = new URL(request.url, 'http://provider');
    const record = { method: request.method, path: pathname };
    this.requests.push(record);
    response.on('finish', () => { record.status = response.statusCode; });
    if (pathname === '/token') this.#keepTokens(record, response);
    return record;
  }

  /** Adds the client and the grant type of a token request to its record; returns the parameters. */
  describe(record, request, body) {
    const params = new URLSearchParams(body);
    record.client = basicUser(request.headers.authorization) ?? params.get('client_id') ?? undefined;
    record.grant = params.get('grant_type') ?? undefined;
    return params;
  }

  #log = [];

  #keepTokens(record, response) {
    const end = response.end.bind(response);
    response.end = (chunk, ...rest) => {
      const answer = tokenAnswer(chunk);
      if (answer) {
        this.#log.push({ client: record.client, ...answer });
        for (const kind of TOKENS) if (answer[kind]) this.issued.add(answer[kind]);
      }
      return end(chunk, ...rest);
    };
  }
}

function tokenAnswer(chunk) {
  try {
    const answer = JSON.parse(String(chunk));
    return answer?.access_token ? answer : undefined;
  } catch {
    return undefined;
  }
}

function basicUser(header) {
  const [scheme, value] = (header ?? '').split(' ');
  if (scheme.toLowerCase() !== 'basic' || !value) return undefined;
  return decodeURIComponent(Buffer.from(value, 'base64').toString().split(':')[0]);
}

export async function readBody(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error('request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
