// SPDX-License-Identifier: Apache-2.0
// One user's grant at one connection: sealed with AES-GCM, and refreshed once for all waiting callers.
import { DurableObject } from 'cloudflare:workers';
import { now, tokenRequest } from './common.mjs';
import { leaseUntil } from './leases.mjs';

const MARGIN_SECONDS = 30;

let sealingKey;

/** The sealing key, imported once per isolate. */
async function key(env) {
  if (!sealingKey) {
    const ring = JSON.parse(env.KEY_RING);
    const bytes = Uint8Array.fromBase64(ring.keys[ring.write], { alphabet: 'base64url' });
    sealingKey = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
  }
  return sealingKey;
}

export class Vault extends DurableObject {
  #refresh;

  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec(`CREATE TABLE IF NOT EXISTS account (
      id INTEGER PRIMARY KEY, access_token BLOB NOT NULL, refresh_token BLOB, scope TEXT NOT NULL, expires_at INTEGER NOT NULL
    )`);
  }

  async keep({ connection, name }, tokens) {
    const before = this.#row();
    const [access, refresh] = await Promise.all([
      this.#seal(name, tokens.access_token),
      tokens.refresh_token ? this.#seal(name, tokens.refresh_token) : before?.refresh_token,
    ]);
    const scope = tokens.scope ?? before?.scope ?? this.env.CONNECTIONS[connection].scopes.join(' ');
    this.sql.exec(
      'INSERT OR REPLACE INTO account (id, access_token, refresh_token, scope, expires_at) VALUES (1, ?, ?, ?, ?)',
      access, refresh, scope, now() + tokens.expires_in,
    );
  }

  async release({ connection, name }) {
    let row = this.#row();
    if (!row) return { status: 400, error: 'invalid_target', description: 'not connected' };
    if (row.expires_at - now() < MARGIN_SECONDS) {
      this.#refresh ??= this.#renew({ connection, name }).finally(() => { this.#refresh = undefined; });
      try {
        await this.#refresh;
      } catch {
        return { status: 503, error: 'temporarily_unavailable', description: 'the provider cannot renew the token' };
      }
      row = this.#row();
    }
    const token = await this.#open(name, row.access_token);
    return {
      access_token: token,
      expires_at: row.expires_at,
      scope: row.scope,
      lease_until: leaseUntil(this.env.CONNECTIONS[connection], row.expires_at, now()),
    };
  }

  async #renew({ connection, name }) {
    const refreshToken = await this.#open(name, this.#row().refresh_token);
    const tokens = await tokenRequest(this.env, connection, { grant_type: 'refresh_token', refresh_token: refreshToken });
    await this.keep({ connection, name }, tokens);
  }

  #row() {
    return this.sql.exec('SELECT access_token, refresh_token, scope, expires_at FROM account').toArray()[0];
  }

  async #seal(name, text) {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const algorithm = { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(name) };
    const sealed = await crypto.subtle.encrypt(algorithm, await key(this.env), new TextEncoder().encode(text));
    const envelope = new Uint8Array(12 + sealed.byteLength);
    envelope.set(iv);
    envelope.set(new Uint8Array(sealed), 12);
    return envelope;
  }

  async #open(name, envelope) {
    const bytes = new Uint8Array(envelope);
    const algorithm = { name: 'AES-GCM', iv: bytes.subarray(0, 12), additionalData: new TextEncoder().encode(name) };
    const text = await crypto.subtle.decrypt(algorithm, await key(this.env), bytes.subarray(12));
    return new TextDecoder().decode(text);
  }
}
