// SPDX-License-Identifier: Apache-2.0
// A GitHub App with its installations on accounts of users and organisations. The App requests their tokens
// with its private key. Written from GitHub's REST reference.
import { generateKeyPairSync, verify } from 'node:crypto';
import { GitHub } from './github.mjs';
import { bearer, empty, json, random } from './simulator.mjs';

const APPS = 'https://docs.github.com/en/rest/apps/apps';

const LEVELS = ['read', 'write', 'admin'];

export class GitHubInstallations extends GitHub {
  constructor(options) {
    super({ ...options, app: true });
    this.sources = {
      ...this.sources,
      make: `${APPS}#create-an-installation-access-token-for-an-app`,
      own: `${APPS}#get-a-user-installation-for-the-authenticated-app`,
      organisation: `${APPS}#get-an-organization-installation-for-the-authenticated-app`,
      member: 'https://docs.github.com/en/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user',
      signature: 'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app',
      end: 'https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token',
    };
    // GitHub provides PKCS#1.
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.privateKey = String(privateKey.export({ type: options.pkcs8 ? 'pkcs8' : 'pkcs1', format: 'pem' }));
    this.publicKey = publicKey;
    this.proof = { client_secret: this.client.secret, private_key: this.privateKey };
    for (const line of this.privateKey.split('\n').slice(1, -2)) this.secrets.add(line);
  }

  /** Whether the endpoints that issue and revoke installation tokens are down. */
  makingIsDown = false;

  /** The number of issued installation tokens. */
  made = 0;

  /** Name in lower case → `{ id, login, members: Map of login → { role, state } }`. */
  #organisations = new Map();

  #installations = [];

  /** Token → its installation and permissions. */
  installationTokens = new Map();

  organisation(login, members) {
    this.#organisations.set(login.toLowerCase(), { id: this.user(`org ${login}`).number, login, members: new Map(Object.entries(members)) });
  }

  /** Sets or removes a user's membership in an organisation. */
  member(organisation, login, membership) {
    this.#organisations.get(organisation.toLowerCase()).members.set(login, membership);
  }

  /** Installs the App on an account. */
  install(login, more = {}) {
    const organisation = this.#organisations.get(login.toLowerCase());
    const installation = {
      id: 1000 + this.#installations.length,
      account: { login, id: organisation?.id ?? this.user(login).number },
      target_type: organisation ? 'Organization' : 'User',
      suspended_at: null,
      permissions: { contents: 'write', metadata: 'read' },
      ...more,
    };
    this.#installations.push(installation);
    return installation;
  }

  /** The account of an installation token, if it is valid. */
  installationOf(token) {
    const found = this.installationTokens.get(token);
    return found && found.ends > this.now() ? found.installation.account.login : undefined;
  }

  answer(request) {
    const { url, headers } = request;
    const [, first, second, third] = url.pathname.split('/');
    const installations = url.host === 'api.github.com'
      && (first === 'app' || first === 'installation' || third === 'installation' || second === 'memberships');
    if (!installations) return super.answer(request);
    if (!headers['user-agent']) return json(403, { message: 'Request forbidden by administrative rules.' });
    if (this.makingIsDown) return { status: 502, headers: {}, body: '<html>Unicorn!</html>' };
    return second === 'memberships' ? this.#membership(request) : this.#installation(request);
  }

  #membership(request) {
    const login = this.owner(bearer(request));
    if (!login) return json(401, { message: 'Bad credentials' });
    const name = decodeURIComponent(request.url.pathname.split('/')[4]).toLowerCase();
    const organisation = this.#organisations.get(name);
    const membership = organisation?.members.get(login);
    if (!membership) return json(404, { message: 'Not Found' });
    // The App can read members only where it is installed and has the permission.
    if (!this.#find(organisation.login)) return json(403, { message: 'Resource not accessible by integration' });
    const { id, login: called } = organisation;
    return json(200, { ...membership, organization: { id, login: called }, user: { login } });
  }

  #installation(request) {
    const { method, url, body } = request;
    const [, first, name, , make] = url.pathname.split('/');
    if (method === 'DELETE' && url.pathname === '/installation/token') {
      const token = bearer(request);
      if (!this.installationOf(token)) return json(401, { message: 'Bad credentials' });
      this.installationTokens.delete(token);
      return empty(204);
    }
    if (!this.#signed(bearer(request))) return json(401, { message: 'A JSON web token could not be decoded' });
    if (method === 'GET' && (first === 'users' || first === 'orgs')) {
      const found = this.#find(decodeURIComponent(name));
      const type = first === 'users' ? 'User' : 'Organization';
      return found?.target_type === type ? json(200, found) : json(404, { message: 'Not Found' });
    }
    const id = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(url.pathname)?.[1];
    if (method !== 'POST' || !id || !make) return undefined;
    const installation = this.#installations.find((one) => one.id === Number(id));
    return installation ? this.#make(installation, JSON.parse(body)) : json(404, { message: 'Not Found' });
  }

  #make(installation, { permissions = installation.permissions }) {
    if (installation.suspended_at) return json(403, { message: 'This installation has been suspended' });
    const within = ([name, level]) => LEVELS.indexOf(level) <= LEVELS.indexOf(installation.permissions[name]);
    if (!Object.entries(permissions).every(within)) {
      return json(422, { message: 'The permissions requested are not granted to this installation.' });
    }
    const token = random('ghs_');
    const ends = this.now() + 3600;
    this.made += 1;
    this.secrets.add(token);
    this.installationTokens.set(token, { installation, permissions, ends });
    const expires = new Date(ends * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    return json(201, { token, expires_at: expires, permissions, repository_selection: 'all' });
  }

  #find(login) {
    return this.#installations.findLast((one) => one.account.login.toLowerCase() === login.toLowerCase() && !one.removed);
  }

  /** Whether this is a valid JWT of the App: RS256, current, with a lifetime of at most ten minutes. */
  #signed(jwt) {
    const [header, claims, signature] = (jwt ?? '').split('.');
    const read = (part) => JSON.parse(Buffer.from(part ?? '', 'base64url').toString() || '{}');
    if (!signature || read(header).alg !== 'RS256') return false;
    const { iss, iat, exp } = read(claims);
    const now = this.now();
    return iss === this.client.id && iat <= now + 30 && exp > now && exp <= now + 600
      && verify('sha256', Buffer.from(`${header}.${claims}`), this.publicKey, Buffer.from(signature, 'base64url'));
  }
}
