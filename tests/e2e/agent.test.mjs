// SPDX-License-Identifier: Apache-2.0
// `examples/agent` with a vault that signs users in, and Google as its documentation describes it: what the agent
// does while its users are away, what it tells them when only they can help, and what it stores.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Agent, NEXT } from '../../examples/agent/agent.mjs';
import { SCOPE } from '../../examples/agent/calendar.mjs';
import { Storage, nameOf } from '../../examples/agent/storage.mjs';
import { exchange, refresh, revoke } from '../../examples/agent/vault.mjs';
import { GRANT } from '../../xtask/js/vault-api.mjs';
import { CookieJar, browse, startsAt } from '../../xtask/js/browser.mjs';
import { APP_ORIGIN, assertRefused, describe as show } from './harness.mjs';
import { Google, failure } from './providers/google.mjs';
import { Internet } from './providers/internet.mjs';
import { Journey } from './providers/journey.mjs';
import { json } from './providers/simulator.mjs';
import { CALLBACK, REFRESH_TOKEN, REMEMBERED, RelyingParty, formsOf, visit } from './relying-party.mjs';

const PROGRAM = fileURLToPath(new URL('../../examples/agent/agent.mjs', import.meta.url));
const HOUR = 3600;
const DAY = 24 * HOUR;

/** Seconds for which the vault gives a replaced refresh token's successor to anybody who has it. */
const LEEWAY = 60;

const random = () => randomBytes(32).toString('base64url');

/** Kills the process where it has a refresh token that is not yet in its place, or just is. */
const CRASH = (/** @type {string} */ at) => `data:text/javascript,${encodeURIComponent(`
  import fs from 'node:fs/promises';
  import { syncBuiltinESMExports } from 'node:module';
  const { open, rename } = fs;
  const at = ${JSON.stringify(at)};
  const die = () => { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); };
  fs.open = async (path, ...more) => {
    const isDraft = path.includes('.token.');
    if (isDraft && at === 'before the draft is opened') return die();
    const file = await open(path, ...more);
    if (isDraft && at === 'before the draft is on the disk') file.sync = die;
    return file;
  };
  fs.rename = async (from, to) => {
    if (to.endsWith('.token') && at === 'before the draft takes its place') return die();
    await rename(from, to);
    if (to.endsWith('.token') && at === 'after the draft has taken its place') return die();
  };
  syncBuiltinESMExports();
`)}`;

describe('an agent that acts while its users are away', { timeout: 240_000 }, () => {
  const google = new Google({});
  const secret = random();
  const insider = random();
  let internet;
  let party;
  let world;
  let journey;
  let settings;
  const directories = [];
  /** What a vault in trouble answers, at the same address as the calendar. */
  const troubledVault = { answer: /** @type {object} */ ({}) };
  /** What was sent to where it redirects to. */
  const elsewhere = [];
  /** Everything that agents logged, printed or told their users. */
  const said = [];

  const confidential = (/** @type {string} */ password) => ({
    authentication: 'client_secret',
    secret_sha256: [createHash('sha256').update(password).digest('hex')],
    grants: ['authorization_code', 'refresh_token', GRANT.rfc8693],
    connections: ['google'],
    redirect_uris: [CALLBACK],
  });

  before(async () => {
    internet = await Internet.start();
    party = await RelyingParty.start({
      internet: internet.port,
      providerSecrets: { google: google.client.secret },
      connections: ({ vault }) => {
        google.redirectUri = `${vault}/callback/google`;
        return { google: { provider: 'google', client_id: google.client.id, scopes: [SCOPE] } };
      },
    }, {
      clients: {
        app: {
          authentication: 'none',
          kind: 'spa',
          grants: ['authorization_code', 'refresh_token'],
          connections: ['google', 'demo'],
          redirect_uris: [CALLBACK, `${APP_ORIGIN}/app`],
          origins: [APP_ORIGIN],
        },
        // Not somebody else's, but so its users are asked, and it gets no tokens for the connected-accounts API.
        assistant: { ...confidential(secret), kind: 'third_party', name: 'The assistant' },
        insider: { ...confidential(insider), redirect_uris: [CALLBACK, `${APP_ORIGIN}/app`] },
      },
    });
    world = Object.assign(party.world, { internet });
    world.secrets.add(secret).add(insider);
    journey = new Journey(world, 'google', google);
    // The agent asks Google at an address of this machine.
    const own = `127.0.0.1:${internet.port}`;
    internet.add({
      hosts: [own],
      serve: (request) => {
        const { pathname } = request.url;
        if (pathname === '/oauth/token') return troubledVault.answer;
        if (pathname === '/elsewhere') elsewhere.push(request.body);
        return google.serve({ ...request, url: new URL(pathname, 'https://www.googleapis.com') });
      },
    });
    settings = {
      vault: world.vault,
      clientId: 'assistant',
      clientSecret: secret,
      connection: 'google',
      application: `${APP_ORIGIN}/`,
      calendar: `http://${own}/calendar/v3`,
    };
  });

  after(async () => {
    await world?.close();
    await internet?.close();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  });

  /** A user of the application: someone with a token for the connected-accounts API. */
  const atTheApplication = async (login) => (
    { login, me_token: (await party.meToken(await party.signIn(login))).me_token }
  );

  /** Signs a user in to the agent, who is asked; returns the refresh token. */
  async function signInToAgent(login, jar = new CookieJar()) {
    const verifier = random();
    const { page } = await browse(party.request(verifier, { client_id: 'assistant', scope: 'openid offline_access' }), { login, jar, stop: startsAt(CALLBACK) });
    const [allow] = formsOf(page.text).filter(({ fields }) => fields.action === 'allow');
    const allowed = await visit(jar, new URL(allow.action, world.vault).href, { form: allow.fields, origin: world.vault });
    return redeem(new URL(allowed.headers.get('location')).searchParams.get('code'), verifier, { client_id: 'assistant', client_secret: secret });
  }

  /** Redeems a code; returns the refresh token. */
  async function redeem(code, verifier, client) {
    const answer = await party.redeem(code, verifier, client);
    assert.equal(answer.status, 200, show(answer));
    for (const name of ['access_token', 'refresh_token', 'id_token']) world.secrets.add(answer.body[name]);
    return answer.body.refresh_token;
  }

  const tokenForAccounts = (client, refreshToken) => party.token({
    grant_type: 'refresh_token', ...client, audience: `${world.vault}/me/`, refresh_token: refreshToken,
    scope: 'create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts',
  });

  /** Signs a user in to a client of the kind web; returns what that gives it for the connected-accounts API. */
  async function asInsider(login) {
    const client = { client_id: 'insider', client_secret: insider };
    const { code, verifier } = await party.begin(login, { client_id: 'insider', scope: 'openid offline_access' });
    const answer = await tokenForAccounts(client, await redeem(code, verifier, client));
    assert.equal(answer.status, 200, show(answer));
    for (const name of ['access_token', 'refresh_token']) world.secrets.add(answer.body[name]);
    return { me_token: answer.body.access_token, refresh_token: answer.body.refresh_token };
  }

  /** An agent with one user, who is signed in and, unless `connected` is false, has connected an account. */
  async function agentOf(login, { connected = true, more = {} } = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'agent-'));
    directories.push(directory);
    const key = random();
    world.secrets.add(key);
    const storage = await Storage.open(directory, key);
    const lines = [];
    const messages = [];
    const agent = new Agent({
      settings: { ...settings, ...more },
      storage,
      tell: (to, message) => { messages.push({ to, message }); said.push(message); },
      log: (line) => { lines.push(line); said.push(JSON.stringify(line)); },
      now: () => Math.floor(Date.now() / 1000) + world.clock,
    });
    const user = `demo|${login}`;
    await agent.add(user, await signInToAgent(login));
    const account = connected ? await journey.connect(await atTheApplication(login)) : undefined;
    /** Runs the agent once; returns the line that it logs. */
    const run = async () => {
      const before = lines.length;
      await agent.run();
      world.secrets.add((await storage.token(user).catch(() => undefined))?.refresh_token ?? key);
      for (const one of google.secrets) world.secrets.add(one);
      assert.equal(lines.length, before + 1);
      const { user: id, ...line } = lines.at(-1);
      assert.equal(id, (await nameOf(user)).slice(0, 12));
      return line;
    };
    return { agent, directory, key, storage, messages, lines, user, account, run };
  }

  /** Lets the agent try again, though it would wait. */
  const hurry = async ({ storage, user }) => storage.note(user, { ...await storage.state(user), retry_at: 0 });

  const eventsOf = (login) => [...(google.events.get(login) ?? new Map()).values()];

  /** Runs the agent as a program of its own. */
  async function program({ directory, key }, args, { stdin = '', imports = [] } = {}) {
    const child = spawn(process.execPath, [...imports.map((one) => `--import=${one}`), PROGRAM, ...args], {
      // Types of packages that the suite `clients` installs may require more variables.
      env: /** @type {any} */ ({
        PATH: process.env.PATH, VAULT: settings.vault, CLIENT_ID: settings.clientId, CLIENT_SECRET: secret, CONNECTION: 'google',
        APPLICATION: settings.application, CALENDAR: settings.calendar, AGENT_DIRECTORY: directory, AGENT_KEY: key,
      }),
    });
    child.stdin.end(stdin);
    const ended = new Promise((resolve) => { child.once('exit', (code, signal) => resolve(signal ?? code)); });
    const [end, out, err] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    said.push(out, err);
    return { end, out, err };
  }

  test('it writes the event of the day once, into the calendar of its user', async () => {
    const { run, messages } = await agentOf('anna');
    assert.deepEqual(await run(), { outcome: 'written' });
    const [event, ...others] = eventsOf('anna');
    assert.deepEqual(others, []);
    assert.equal(event.creator.email, 'anna@example.com');
    assert.deepEqual(await run(), { outcome: 'nothing_to_do' });
    assert.deepEqual(messages, []);
  });

  test('an event whose response was lost is not written a second time', async () => {
    const subject = await agentOf('arno');
    assert.deepEqual(await subject.run(), { outcome: 'written' });
    await subject.storage.note(subject.user, {});
    assert.deepEqual(await subject.run(), { outcome: 'written' });
    assert.equal(eventsOf('arno').length, 1);
  });

  test('as a program it takes a user on, acts, and lets go of the user', async () => {
    const { directory, key, user } = await agentOf('bea');
    assert.deepEqual(await program({ directory, key }, ['remove', user]), { end: 0, out: '', err: '' });
    assert.deepEqual(readdirSync(directory), []);
    const token = await signInToAgent('bea');
    assert.deepEqual(await program({ directory, key }, ['add', user], { stdin: `${token}\n` }), { end: 0, out: '', err: '' });
    const { end, out, err } = await program({ directory, key }, ['run']);
    assert.deepEqual([end, JSON.parse(out).outcome, err], [0, 'written', '']);
    assert.equal(eventsOf('bea').length, 1);
    await program({ directory, key }, ['remove', user]);
    const ended = await refresh(settings, token);
    assert.equal(ended.error, 'invalid_grant');
  });

  test('nothing at rest contains the refresh token, and nobody else may read the files', async () => {
    const { directory, storage, user, run } = await agentOf('carl');
    const { refresh_token: first } = await storage.token(user);
    await storage.keep(user, { refresh_token: first, since: 0 });
    assert.deepEqual(await run(), { outcome: 'written' });
    const { refresh_token: second } = await storage.token(user);
    assert.notEqual(second, first);
    const files = readdirSync(directory);
    assert.deepEqual(files.map((name) => name.split('.').slice(1).join('.')).sort(), ['state', 'token']);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of files) {
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
      const bytes = readFileSync(join(directory, name), 'latin1');
      for (const token of [first, second].flatMap((one) => [one, ...one.split('.')])) {
        for (const coded of [token, ...['base64', 'base64url', 'hex'].map((coding) => Buffer.from(token).toString(/** @type {BufferEncoding} */ (coding)))]) {
          assert.ok(!bytes.includes(coded.replace(/=+$/, '').slice(0, -2)), name);
        }
      }
    }
  });

  test('a sealed token opens with its key and for its user only', async () => {
    const { directory, storage, user, run } = await agentOf('cora');
    const victim = await agentOf('cleo');
    const token = (name) => join(directory, `${name}.token`);
    // Whoever can write files gives another user's token to this user.
    const { sealed } = JSON.parse(readFileSync(join(victim.directory, `${await nameOf(victim.user)}.token`), 'utf8'));
    const path = token(await nameOf(user));
    const own = readFileSync(path, 'utf8');
    writeFileSync(path, JSON.stringify({ user, sealed }));
    assert.deepEqual(await run(), { outcome: 'operator', cause: 'sealed_otherwise' });
    // The same with both under one key.
    await storage.keep(victim.user, await victim.storage.token(victim.user));
    const moved = JSON.parse(readFileSync(token(await nameOf(victim.user)), 'utf8'));
    rmSync(token(await nameOf(victim.user)));
    writeFileSync(path, JSON.stringify({ ...moved, user }));
    assert.deepEqual(await run(), { outcome: 'operator', cause: 'sealed_otherwise' });
    // Or the whole file.
    writeFileSync(path, JSON.stringify(moved));
    assert.deepEqual(await run(), { outcome: 'operator', cause: 'file_of_another_user' });
    assert.deepEqual(eventsOf('cleo'), []);
    // Nothing was overwritten: with its own content in place the agent goes on.
    writeFileSync(path, own);
    const other = await Storage.open(directory, random());
    await assert.rejects(other.token(user), { code: 'sealed_otherwise' });
    assert.deepEqual(await run(), { outcome: 'written' });
  });

  test('the user withdraws the consent at Google: the agent waits until the vault knows, and tells the user once', async () => {
    const subject = await agentOf('dora');
    const { run, messages, user } = subject;
    google.withdraw('dora');
    // The vault still has an access token that has not expired.
    const waits = await run();
    assert.deepEqual([waits.outcome, waits.cause], ['retry', 'token_refused']);
    assert.ok(waits.retry_in > 3500 && waits.retry_in < 1.1 * HOUR + 2, `${waits.retry_in}`);
    assert.deepEqual(await run(), { outcome: 'not_yet' });
    assert.deepEqual(messages, []);
    await world.advance(waits.retry_in + 1);
    assert.deepEqual(await run(), { outcome: 'connect', cause: 'reconnect_required' });
    assert.deepEqual(messages, [{
      to: user,
      message: `I cannot write to your calendar any more, because your account's consent has ended. To connect it again, open ${APP_ORIGIN}/connect?connection=google`,
    }]);
    assert.deepEqual(await run(), { outcome: 'connect', cause: 'reconnect_required' });
    assert.equal(messages.length, 1);
    await journey.connect(await atTheApplication('dora'));
    assert.deepEqual(await run(), { outcome: 'written' });
    assert.equal(eventsOf('dora').length, 1);
  });

  test('the user disconnects at the vault: the agent tells the user at once, and goes on after another connect', async () => {
    const { run, messages, user, account } = await agentOf('emil');
    assert.equal(await journey.remove(await atTheApplication('emil'), account), 'revoked');
    assert.deepEqual(await run(), { outcome: 'connect', cause: 'not_connected' });
    assert.deepEqual(messages, [{
      to: user,
      message: `I cannot write to your calendar, because no account is connected. To connect one, open ${APP_ORIGIN}/connect?connection=google`,
    }]);
    assert.deepEqual(eventsOf('emil'), []);
    await journey.connect(await atTheApplication('emil'));
    assert.deepEqual(await run(), { outcome: 'written' });
  });

  test('the user leaves the scope unticked: the agent names it, and another connect with it helps', async () => {
    const { run, messages, user } = await agentOf('finn', { connected: false });
    const finn = await atTheApplication('finn');
    await journey.connect(finn, { ticked: ['openid', 'https://www.googleapis.com/auth/userinfo.email'] });
    const asked = google.requests.length;
    assert.deepEqual(await run(), { outcome: 'connect', cause: 'missing_scopes' });
    assert.equal(google.requests.length, asked);
    assert.deepEqual(messages, [{
      to: user,
      message: `I cannot write to your calendar, because your account does not allow ${SCOPE}. To allow it, open ${APP_ORIGIN}/connect?connection=google`,
    }]);
    await journey.connect(finn, { scopes: [SCOPE] });
    assert.deepEqual(await run(), { outcome: 'written' });
  });

  test('Google itself misses the scope: the user is told the same', async () => {
    const { run, messages } = await agentOf('fee');
    const grants = [...google.access.values(), ...google.refreshes.values()].filter((grant) => grant.login === 'fee');
    for (const grant of grants) grant.scopes = grant.scopes.filter((scope) => scope !== SCOPE);
    assert.deepEqual(await run(), { outcome: 'connect', cause: 'missing_scopes' });
    assert.ok(messages[0].message.includes(SCOPE));
    assert.deepEqual(eventsOf('fee'), []);
  });

  test('Google is down: the agent comes back later, at most an hour later if nobody names a time', async () => {
    const subject = await agentOf('gabi');
    const isCalendar = ({ url }) => url.pathname.endsWith('/events');
    const troubles = [
      json(503, {}),
      failure(500, 'Backend Error', { reason: 'backendError' }),
      failure(403, 'User Rate Limit Exceeded', { domain: 'usageLimits', reason: 'userRateLimitExceeded' }),
      failure(403, 'Rate Limit Exceeded', { domain: 'usageLimits', reason: 'rateLimitExceeded' }),
      failure(429, 'Rate Limit Exceeded', { domain: 'usageLimits', reason: 'rateLimitExceeded' }),
      json(502, 'a page'),
      json(503, {}),
      json(503, {}),
    ];
    for (const [number, trouble] of troubles.entries()) {
      const line = await google.meanwhile(isCalendar, () => trouble, subject.run);
      const { retry_in: delay, ...rest } = line;
      assert.deepEqual(rest, { outcome: 'retry', cause: 'provider_unavailable', attempts: number + 1 });
      const backoff = Math.min(60 * 2 ** number, HOUR);
      assert.ok(delay >= backoff && delay <= Math.ceil(1.1 * backoff), `${number}: ${delay}`);
      assert.deepEqual(await subject.run(), { outcome: 'not_yet' });
      await hurry(subject);
    }
    assert.deepEqual(await subject.run(), { outcome: 'written' });
    assert.deepEqual(await subject.storage.state(subject.user), { done: eventsOf('gabi')[0].id });
    assert.deepEqual(subject.messages, []);
  });

  test('the vault cannot renew the token, or cannot be reached: the agent comes back later', async () => {
    const subject = await agentOf('hugo');
    await world.advance(HOUR);
    google.outage = { ...json(503, {}), headers: { 'content-type': 'application/json', 'retry-after': '120' } };
    const renewal = await subject.run().finally(() => { google.outage = undefined; });
    assert.deepEqual([renewal.outcome, renewal.cause], ['retry', 'unavailable']);
    // The second attempt of its own would be after two minutes; the vault's `Retry-After` says the same.
    assert.ok(renewal.retry_in >= 115 && renewal.retry_in <= 132, `${renewal.retry_in}`);
    await hurry(subject);
    await world.stopVault();
    const silence = await subject.run();
    await world.startVault();
    assert.deepEqual([silence.outcome, silence.cause, silence.attempts], ['retry', 'vault_unreachable', 2]);
    await world.advance(renewal.retry_in);
    await hurry(subject);
    assert.deepEqual(await subject.run(), { outcome: 'written' });
    assert.deepEqual(subject.messages, []);
  });

  test('a vault in trouble, or something else in its place, does not trouble the user', async () => {
    const subject = await agentOf('hedi', { more: { vault: `http://127.0.0.1:${internet.port}` } });
    const page = (status, headers = {}) => ({ status, headers: { 'content-type': 'text/html', ...headers }, body: '<p>' });
    /** @type {[object, string, string, number][]} */
    const cases = [
      [json(503, { error: 'temporarily_unavailable' }, { 'retry-after': '600' }), 'retry', 'temporarily_unavailable', 600],
      [json(503, { error: 'key_unavailable' }, { 'retry-after': '60' }), 'operator', 'key_unavailable', 120],
      [page(502), 'retry', 'vault_unreachable', 240],
      [page(307, { location: '/elsewhere' }), 'retry', 'vault_unreachable', 480],
      [json(503, { error: 'temporarily_unavailable' }, { 'retry-after': '99999999' }), 'retry', 'temporarily_unavailable', DAY],
      [json(400, { error: 'something_new' }), 'operator', 'something_new', 1920],
    ];
    for (const [answer, outcome, cause, delay] of cases) {
      troubledVault.answer = answer;
      const line = await subject.run();
      assert.deepEqual([line.outcome, line.cause], [outcome, cause]);
      assert.ok(line.retry_in >= delay && line.retry_in <= Math.ceil(1.1 * delay), `${cause}: ${line.retry_in}`);
      await hurry(subject);
    }
    assert.deepEqual(subject.messages, []);
    assert.deepEqual(elsewhere, []);
  });

  test('a sign-out does not end what the agent may do', async () => {
    const { agent, user, run } = await agentOf('ilse');
    const jar = new CookieJar();
    await agent.add(user, await signInToAgent('ilse', jar));
    assert.equal((await party.silently(jar)).get('error'), null);
    const page = await visit(jar, `${world.vault}/oidc/logout`);
    const [yes] = formsOf(page.text);
    await visit(jar, new URL(yes.action, world.vault).href, { form: yes.fields, origin: world.vault });
    assert.equal((await party.silently(jar)).get('error'), 'login_required');
    await world.advance(REMEMBERED);
    assert.deepEqual(await run(), { outcome: 'written' });
  });

  test('the refresh token is revoked: the agent asks the user to sign in again, and goes on after that', async () => {
    const subject = await agentOf('ines');
    const { run, messages, user, storage, agent } = subject;
    assert.equal((await revoke(settings, (await storage.token(user)).refresh_token)).ok, true);
    assert.deepEqual(await run(), { outcome: 'sign_in', cause: 'invalid_grant' });
    assert.deepEqual(messages, [{ to: user, message: `I cannot act for you any more until you sign in again: open ${APP_ORIGIN}/agent` }]);
    assert.deepEqual(await run(), { outcome: 'not_yet' });
    await hurry(subject);
    assert.deepEqual(await run(), { outcome: 'sign_in', cause: 'invalid_grant' });
    assert.equal(messages.length, 1);
    // The account is still connected.
    await agent.add(user, await signInToAgent('ines'));
    assert.deepEqual(await run(), { outcome: 'written' });
  });

  test('the user is disabled: the agent gets nothing, and asks the user to sign in', async () => {
    const known = party.objects('USER');
    const { run, messages } = await agentOf('jana');
    const [file] = party.objects('USER').filter((name) => !known.includes(name));
    await world.stopVault();
    party.change('USER', file, (record) => ({ ...record, disabled: true }));
    await world.startVault();
    assert.deepEqual(await run(), { outcome: 'sign_in', cause: 'invalid_grant' });
    assert.match(messages[0].message, /until you sign in again/);
    assert.deepEqual(eventsOf('jana'), []);
  });

  test('a mistake of the configuration is logged and does not trouble the user', async () => {
    const wrong = await agentOf('karl', { more: { clientSecret: random() } });
    const { retry_in: _, ...line } = await wrong.run();
    assert.deepEqual(line, { outcome: 'operator', cause: 'invalid_client', attempts: 1 });
    const other = await agentOf('kira', { more: { connection: 'demo' } });
    assert.equal((await other.run()).cause, 'invalid_target');
    assert.deepEqual([...wrong.messages, ...other.messages], []);
  });

  for (const at of [
    'before the draft is opened', 'before the draft is on the disk', 'before the draft takes its place',
    'after the draft has taken its place',
  ]) {
    test(`a refresh token survives a crash ${at}`, async () => {
      const login = `lena-${at.replaceAll(' ', '-')}`;
      const subject = await agentOf(login);
      const { storage, user } = subject;
      const { refresh_token: first } = await storage.token(user);
      await storage.keep(user, { refresh_token: first, since: 0 });
      const families = party.objects('REFRESH_FAMILY').length;
      const { end, out, err } = await program(subject, ['run'], { imports: [CRASH(at)] });
      assert.deepEqual([end, out, err], ['SIGKILL', '', '']);
      const left = (await storage.token(user)).refresh_token;
      assert.equal(left === first, at !== 'after the draft has taken its place');
      // Within the leeway anybody would get the successor; later the vault gives it to a client that authenticates.
      await world.advance(LEEWAY);
      assert.deepEqual(await subject.run(), { outcome: 'written' });
      const { refresh_token: next } = await storage.token(user);
      assert.notEqual(next, first);
      assert.equal((await refresh(settings, next)).ok, true);
      assert.equal(party.objects('REFRESH_FAMILY').length, families);
    });
  }

  test('a refresh whose response is lost is repeated, and loses nothing', async () => {
    const { storage, user, run } = await agentOf('mona');
    const { refresh_token: first } = await storage.token(user);
    await storage.keep(user, { refresh_token: first, since: 0 });
    const lost = await refresh(settings, first);
    assert.equal(lost.ok, true);
    await world.advance(LEEWAY);
    assert.deepEqual(await run(), { outcome: 'written' });
    assert.equal((await storage.token(user)).refresh_token, lost.body.refresh_token);
  });

  test('what it cannot do: another connection, wider scopes, another client\'s refresh tokens', async () => {
    const { storage, user } = await agentOf('nele');
    const { refresh_token: own } = await storage.token(user);
    const failed = async (token, wanted) => {
      const answer = await exchange(settings, token, wanted);
      return [answer.error, answer.state?.state];
    };
    assert.deepEqual(await failed(own, { connection: 'demo', scope: 'openid' }), ['invalid_target', undefined]);
    const wider = 'https://www.googleapis.com/auth/gmail.readonly';
    assert.deepEqual(await failed(own, { connection: 'google', scope: wider }), ['invalid_scope', 'missing_scopes']);
    const { refresh_token: others } = await party.signIn('nele');
    assert.deepEqual(await failed(others, { connection: 'google', scope: SCOPE }), ['invalid_request', undefined]);
  });

  test('the connected-accounts API is closed to it, but not to an agent that is a client of the kind web', async () => {
    const { storage, user } = await agentOf('nora');
    const assistant = { client_id: 'assistant', client_secret: secret };
    assertRefused(await tokenForAccounts(assistant, (await storage.token(user)).refresh_token), 400, 'invalid_target');
    assert.equal((await world.accounts(await asInsider('nora'))).length, 1);
  });

  test('a connect that such an agent begins and completes connects the account of whoever opens the link', async () => {
    const me = await asInsider('nils');
    const other = await journey.begin({ ...me, login: 'nils' }, { login: 'somebody-else' });
    assert.equal(other.done.status, 201, show(other.done));
    const [account] = await world.accounts(me);
    assert.equal(account.connection, 'google');
    const { body } = await party.token({
      grant_type: GRANT.rfc8693, client_id: 'insider', client_secret: insider, audience: 'google', subject_token: me.refresh_token,
      subject_token_type: REFRESH_TOKEN,
    });
    assert.equal(google.owner(body.access_token), 'somebody-else');
  });

  // The vault's clock moves by weeks from here on, and the users' identity provider stays behind: nobody signs in
  // after this.
  test('it goes on for weeks because it refreshes each day; a refresh token that is not refreshed expires', async () => {
    const busy = await agentOf('olaf');
    const idle = await agentOf('oona');
    for (let time = 0; time < 2; time += 1) {
      const { refresh_token: before } = await busy.storage.token(busy.user);
      await world.advance(20 * DAY);
      assert.deepEqual(await busy.run(), { outcome: 'written' });
      assert.notEqual((await busy.storage.token(busy.user)).refresh_token, before);
    }
    assert.equal(eventsOf('olaf').length, 2);
    assert.deepEqual(await idle.run(), { outcome: 'sign_in', cause: 'invalid_grant' });
  });

  test('every row of its table was seen, or needs an operator', () => {
    const seen = new Set(said.flatMap((line) => /"cause":"(\w+)"/.exec(line)?.[1] ?? []));
    const unseen = Object.entries(NEXT).filter(([cause, next]) => !seen.has(cause) && next !== 'operator').map(([cause]) => cause);
    // A rejected subject token is followed by a refresh, which says why.
    assert.deepEqual(unseen, ['invalid_request']);
  });

  test('it never said a secret, and neither did the vault; it asked nobody else', async () => {
    const all = said.join('\n');
    const secrets = [...world.secrets, ...google.secrets, ...world.provider.stats.issued];
    assert.ok(secrets.length > 100 && all.length > 1000);
    assert.deepEqual(secrets.filter((one) => all.includes(one)).length, 0);
    assert.deepEqual(internet.strays, []);
    await world.assertLogHasNoSecret();
  });
});
