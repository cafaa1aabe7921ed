// SPDX-License-Identifier: Apache-2.0
// What the agent stores: for each user the refresh token, sealed, and what the agent did last. Each is a file that
// is replaced as a whole, so that a crash leaves the file as it was before or as it is afterwards.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const { subtle } = globalThis.crypto;

/**
 * A refresh token, and when the agent got it, Unix seconds.
 * @typedef {{refresh_token: string, since: number}} Token
 *
 * When to try again; how often it failed; what the user was told; the last event that was written.
 * @typedef {{retry_at?: number, attempts?: number, told?: string, done?: string}} State
 */

/**
 * The name of a user's files. It is a hash, because a user's id may contain any character.
 *
 * @param {string} user
 */
export async function nameOf(user) {
  return Buffer.from(await subtle.digest('SHA-256', Buffer.from(user))).toString('hex');
}

class StorageError extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

export class Storage {
  /** @type {string} */
  #directory;

  /** @type {CryptoKey} */
  #key;

  /**
   * @param {string} directory
   * @param {CryptoKey} key
   */
  constructor(directory, key) {
    this.#directory = directory;
    this.#key = key;
  }

  /**
   * @param {string} directory
   * @param {string} key  32 random bytes, base64url
   */
  static async open(directory, key) {
    const bytes = Buffer.from(key, 'base64url');
    if (bytes.length !== 32) throw new Error('AGENT_KEY must be 32 bytes, base64url');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new Storage(directory, await subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']));
  }

  /** The names of the users that the agent holds a token of. */
  async names() {
    const files = await readdir(this.#directory);
    return files.filter((file) => file.endsWith('.token')).map((file) => file.slice(0, -'.token'.length));
  }

  /**
   * @param {string} name
   * @returns {Promise<string>}
   */
  async user(name) {
    const { user } = JSON.parse(await readFile(join(this.#directory, `${name}.token`), 'utf8'));
    if (await nameOf(user) !== name) throw new StorageError('file_of_another_user');
    return user;
  }

  /**
   * Opens a user's token.
   *
   * @param {string} user
   * @returns {Promise<Token>}
   */
  async token(user) {
    const file = JSON.parse(await readFile(await this.#path(user, 'token'), 'utf8'));
    const sealed = Buffer.from(file.sealed, 'base64url');
    const opened = await subtle.decrypt(gcm(sealed.subarray(0, 12), user), this.#key, sealed.subarray(12))
      .catch(() => { throw new StorageError('sealed_otherwise'); }); // with another key, or for another user
    return JSON.parse(Buffer.from(opened).toString());
  }

  /**
   * Resolves when the token is on the disk.
   *
   * @param {string} user
   * @param {Token} token
   */
  async keep(user, token) {
    const iv = globalThis.crypto.getRandomValues(new Uint8Array(12));
    const sealed = await subtle.encrypt(gcm(iv, user), this.#key, Buffer.from(JSON.stringify(token)));
    await this.#write(user, 'token', { user, sealed: Buffer.concat([iv, Buffer.from(sealed)]).toString('base64url') });
  }

  /**
   * @param {string} user
   * @returns {Promise<State>}
   */
  async state(user) {
    const text = await readFile(await this.#path(user, 'state'), 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return '{}';
      throw error;
    });
    return JSON.parse(text);
  }

  /**
   * @param {string} user
   * @param {State} state
   */
  async note(user, state) {
    await this.#write(user, 'state', state);
  }

  /**
   * Deletes all files of a user, also what a crash left of one.
   *
   * @param {string} user
   */
  async forget(user) {
    const name = await nameOf(user);
    const all = (await readdir(this.#directory)).filter((file) => file.startsWith(name));
    for (const file of all) await rm(join(this.#directory, file));
  }

  /**
   * @param {string} user
   * @param {string} kind
   */
  async #path(user, kind) {
    return join(this.#directory, `${await nameOf(user)}.${kind}`);
  }

  /**
   * @param {string} user
   * @param {string} kind
   * @param {object} content
   */
  async #write(user, kind, content) {
    const path = await this.#path(user, kind);
    const draft = `${path}.${randomUUID()}.draft`;
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(JSON.stringify(content));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    // The new name is on the disk only when the directory is.
    const directory = await open(this.#directory);
    await directory.sync().finally(() => directory.close());
  }
}

/**
 * The user is authenticated with the token, so that nobody can give one user's token to another by moving files.
 *
 * @param {Uint8Array<ArrayBuffer>} iv
 * @param {string} user
 */
const gcm = (iv, user) => ({ name: 'AES-GCM', iv, additionalData: Buffer.from(user) });
