// SPDX-License-Identifier: Apache-2.0
// An agent that writes an event into each user's Google calendar once a day, while the users are away. It holds
// nothing of a user but a refresh token of the vault. README.md says how to set it up, and what it can and cannot do.
//
//   node agent.mjs add <user>     reads the user's refresh token from the standard input
//   node agent.mjs run            once for each user; let a timer start it every few minutes
//   node agent.mjs remove <user>  revokes the refresh token and deletes it
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { SCOPE, write } from './calendar.mjs';
import { Storage, nameOf } from './storage.mjs';
import { exchange, refresh, revoke } from './vault.mjs';

/**
 * What the agent does next, by what the vault says: `connection_state.state` if the error has one, else `error`.
 * What is not listed is a mistake of a configuration, or of this program: `operator`.
 *
 * connect: tell the user, with a link; look again at the next run
 * sign_in: tell the user, with a link; look again a day later
 * refresh: the vault does not say why it rejects the token. A refresh does
 * retry: nobody need do anything; look again later
 * operator: log an error; look again later
 *
 * @type {Record<string, 'connect' | 'sign_in' | 'refresh' | 'retry' | 'operator'>}
 */
export const NEXT = {
  // states of a connection
  not_connected: 'connect', // the user has disconnected the account, or never connected one
  reconnect_required: 'connect', // the consent has ended, such as when the user withdrew it at the provider
  missing_scopes: 'connect', // the user left something unticked, or the agent needs more than before
  unavailable: 'retry', // the provider is down
  misconfigured: 'operator',
  // errors without a state
  invalid_request: 'refresh', // RFC 8693 §2.2.2: also for a subject token that is not accepted
  invalid_grant: 'sign_in', // the refresh token has ended: revoked, expired, copied, or the user is disabled
  temporarily_unavailable: 'retry',
  key_unavailable: 'operator', // of the vault; nothing is lost
  vault_unreachable: 'retry',
  // what calendar.mjs makes of Google's errors
  token_refused: 'retry', // see `#later`
  provider_unavailable: 'retry',
  provider_refused: 'operator',
};

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @typedef {import('./vault.mjs').Answer} Answer */
/** Why there is no event, and what the message to the user or the time of the next attempt depends on. */
/** @typedef {{cause: string, scopes?: string[], retryAfter?: number}} Failure */

export class Agent {
  /**
   * @param {object} parts
   * @param {import('./vault.mjs').Client & {connection: string, calendar: string, application: string}} parts.settings
   *   `application`: the address of the application whose users these are
   * @param {Storage} parts.storage
   * @param {(user: string, message: string) => unknown} parts.tell  reaches this user and nobody else
   * @param {(line: object) => void} parts.log
   * @param {() => number} [parts.now]  Unix seconds
   */
  constructor({ settings, storage, tell, log, now = () => Math.floor(Date.now() / 1000) }) {
    this.settings = settings;
    this.storage = storage;
    this.tell = tell;
    this.log = log;
    this.now = now;
  }

  /**
   * Takes a user on, or once more after another sign-in.
   *
   * @param {string} user
   * @param {string} refreshToken
   */
  async add(user, refreshToken) {
    await this.storage.note(user, {});
    await this.storage.keep(user, { refresh_token: refreshToken, since: this.now() });
  }

  /**
   * Ends the agent's access to a user's accounts.
   *
   * @param {string} user
   */
  async remove(user) {
    const { refresh_token: token } = await this.storage.token(user);
    const answer = await revoke(this.settings, token);
    // Without the token nobody could revoke it.
    if (!answer.ok) throw new Error(`not revoked: ${answer.error}`);
    await this.storage.forget(user);
  }

  /** Does what is due, for one user after the other. */
  async run() {
    for (const name of await this.storage.names()) {
      const id = name.slice(0, 12);
      try {
        this.log({ user: id, ...await this.#turn(await this.storage.user(name)) });
      } catch (error) {
        // One user's trouble is not the others'. The message is not logged: it could contain anything.
        this.log({ user: id, outcome: 'operator', cause: error.code ?? error.name });
      }
    }
  }

  /** @param {string} user */
  async #turn(user) {
    const state = await this.storage.state(user);
    if ((state.retry_at ?? 0) > this.now()) return { outcome: 'not_yet' };
    const event = await eventOf(user, this.now());
    if (state.done === event.id) return { outcome: 'nothing_to_do' };
    const failure = await this.#act(user, event);
    if (failure) return this.#later(user, state, failure);
    await this.storage.note(user, { done: event.id });
    return { outcome: 'written' };
  }

  /**
   * Writes the event.
   *
   * @param {string} user
   * @param {import('./calendar.mjs').CalendarEvent} event
   * @returns {Promise<Failure | undefined>}
   */
  async #act(user, event) {
    let { refresh_token: token, since } = await this.storage.token(user);
    const renew = async () => {
      const answer = await refresh(this.settings, token);
      if (!answer.ok) return failureOf(answer);
      token = answer.body.refresh_token;
      // First stored, then used: as long as nobody has used the new one, the vault gives it again for the old one
      // to a client that authenticates. So a crash before this line, or in it, loses nothing.
      await this.storage.keep(user, { refresh_token: token, since: this.now() });
      return undefined;
    };
    // An exchange does not count as a use of the refresh token: without this it would expire.
    const isOld = this.now() - since >= DAY;
    const ended = isOld ? await renew() : undefined;
    if (ended) return ended;
    const { connection, calendar } = this.settings;
    let answer = await exchange(this.settings, token, { connection, scope: SCOPE });
    if (!answer.ok && NEXT[failureOf(answer).cause] === 'refresh') {
      const refused = await renew();
      if (refused) return refused;
      answer = await exchange(this.settings, token, { connection, scope: SCOPE });
    }
    if (!answer.ok) return failureOf(answer);
    const cause = await write(calendar, answer.body.access_token, event);
    if (cause === 'written') return undefined;
    if (cause === 'missing_scopes') return { cause, scopes: [SCOPE] };
    // The vault gives this access token until its end, and then learns from the provider whether the user has
    // withdrawn the consent. Only then is it known what to tell the user.
    return { cause, retryAfter: cause === 'token_refused' ? answer.body.expires_in : undefined };
  }

  /**
   * Tells the user, once, if only the user can help; and decides when to look again.
   *
   * @param {string} user
   * @param {import('./storage.mjs').State} state
   * @param {Failure} failure
   */
  async #later(user, state, { cause, scopes, retryAfter = 0 }) {
    const next = NEXT[cause] ?? 'operator';
    const outcome = next === 'refresh' ? 'operator' : next; // it was refreshed, and that did not help
    const told = `${cause} ${scopes?.join(' ') ?? ''}`.trim();
    if (outcome === 'connect' || outcome === 'sign_in') {
      if (state.told !== told) await this.tell(user, this.#message(cause, scopes));
      const retry_at = outcome === 'sign_in' ? this.now() + DAY : undefined;
      await this.storage.note(user, { ...state, told, retry_at, attempts: 0 });
      return { outcome, cause };
    }
    const attempts = (state.attempts ?? 0) + 1;
    const backoff = Math.min(MINUTE * 2 ** (attempts - 1), HOUR);
    // All users of a provider fail at the same time: they should not all come back at the same time.
    const delay = Math.ceil(Math.min(Math.max(backoff, retryAfter), DAY) * (1 + Math.random() / 10));
    await this.storage.note(user, { ...state, attempts, retry_at: this.now() + delay });
    return { outcome, cause, attempts, retry_in: delay };
  }

  /**
   * The links lead into the application, which knows who is signed in there. README.md says why they do not lead
   * to the vault or to the provider.
   *
   * @param {string} cause
   * @param {string[]} [scopes]
   */
  #message(cause, scopes = []) {
    const { application, connection } = this.settings;
    const link = new URL('connect', application);
    link.searchParams.set('connection', connection);
    switch (cause) {
      case 'not_connected':
        return `I cannot write to your calendar, because no account is connected. To connect one, open ${link}`;
      case 'reconnect_required':
        return `I cannot write to your calendar any more, because your account's consent has ended. To connect it again, open ${link}`;
      case 'missing_scopes':
        return `I cannot write to your calendar, because your account does not allow ${scopes.join(' ')}. To allow it, open ${link}`;
      default:
        return `I cannot act for you any more until you sign in again: open ${new URL('agent', application)}`;
    }
  }
}

/**
 * @param {Answer} answer
 * @returns {Failure}
 */
function failureOf({ error, state, retryAfter }) {
  return { cause: state?.state ?? error ?? 'unknown', scopes: state?.missing_scopes, retryAfter };
}

/**
 * The event of today. Its id follows from user and day, so that it is written once however often it is sent.
 *
 * @param {string} user
 * @param {number} now
 */
async function eventOf(user, now) {
  const day = (/** @type {number} */ seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  const id = await nameOf(`${user} ${day(now)}`);
  return { id, summary: 'What your agent did today', start: { date: day(now) }, end: { date: day(now + DAY) } };
}

/** @param {string[]} words */
async function main([command, user]) {
  const {
    VAULT: vault = '', CLIENT_ID: clientId = '', CLIENT_SECRET: clientSecret = '', CONNECTION: connection = 'calendar',
    APPLICATION: application = '', CALENDAR: calendar = 'https://www.googleapis.com/calendar/v3',
    AGENT_DIRECTORY: directory = 'users', AGENT_KEY: key = '',
  } = process.env;
  const agent = new Agent({
    settings: { vault, clientId, clientSecret, connection, application, calendar },
    storage: await Storage.open(directory, key),
    // Replace this by what reaches your users, such as e-mail.
    tell: (to, message) => console.log(JSON.stringify({ to, message })),
    log: (line) => console.log(JSON.stringify(line)),
  });
  if (command === 'run') await agent.run();
  else if (command === 'add' && user) await agent.add(user, (await text(process.stdin)).trim());
  else if (command === 'remove' && user) await agent.remove(user);
  else throw new Error('usage: node agent.mjs run | add <user> | remove <user>');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
