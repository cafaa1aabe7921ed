// SPDX-License-Identifier: Apache-2.0
// Measures whether callers leave memory behind: sends uploads without credentials that are aborted in the
// middle and as many requests that are rejected, and samples the memory of the process meanwhile. The
// JavaScript Worker runs first, to show how much the runtime itself retains.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { complete, post } from './load.mjs';
import { Exchange } from './subjects.mjs';

const COUNT = Number(process.argv[2] ?? 200_000);
const SLOTS = 16;
const REPORTS = 10;
const PATIENCE_MS = 10_000;

/** How much the memory may grow during the second half of the requests, in MiB. */
const BOUND = 64;

const PART = Buffer.alloc(2048, 'a');
const REFUSED = post('/oauth/token', { grant_type: 'x', filler: 'a'.repeat(1000) });

/** The kinds of uploads: with and without a length, aborted by closing or by resetting the connection. */
const UPLOADS = ['content-length: 20000', 'transfer-encoding: chunked'].flatMap((size) => (
  ['destroy', 'resetAndDestroy'].map((giveUp) => ({
    giveUp,
    head: ['POST /oauth/token HTTP/1.1', 'host: 127.0.0.1', 'expect: 100-continue',
      'content-type: application/x-www-form-urlencoded', size, '', ''].join('\r\n'),
    part: size.startsWith('transfer') ? Buffer.concat([Buffer.from('800\r\n'), PART]) : PART,
  }))
));

function open(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer')));
  return socket;
}

/** Aborts an upload once the Worker has begun to read it; the runtime sends `100 Continue` then. */
async function abort(port, { head, part, giveUp }) {
  const socket = open(port);
  socket.write(head);
  const [answer] = await once(socket, 'data');
  if (!answer.toString('latin1').startsWith('HTTP/1.1 100')) throw new Error(`answered ${answer}`);
  socket.write(part);
  const closed = once(socket, 'close');
  socket[giveUp]();
  await closed;
}

/** Sends a request that is rejected, on a connection that is kept alive. */
function refused(socket) {
  return new Promise((resolve, reject) => {
    let received = '';
    const done = (settle, value) => {
      socket.off('data', read).off('error', failed);
      settle(value);
    };
    const failed = (error) => done(reject, error);
    const read = (data) => {
      received += data.toString('latin1');
      const status = complete(received);
      if (status === 400) done(resolve);
      else if (status) failed(new Error(`answered ${received.slice(0, 800)}`));
    };
    socket.on('data', read).on('error', failed);
    socket.write(REFUSED);
  });
}

/** Resident memory of a process, in MiB. */
function resident(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

async function measure(kind) {
  const subject = await Exchange.start(kind);
  try {
    const { port, pid } = subject;
    const memory = [resident(pid)];
    const show = (count) => {
      console.log(`    ${kind}: ${String(count).padStart(7)} aborted, ${String(count).padStart(7)} rejected: ${memory.at(-1).toFixed(0)} MiB`);
    };
    show(0);
    let [begun, done] = [0, 0];
    await Promise.all(Array.from({ length: SLOTS }, async () => {
      const socket = open(port);
      while (begun < COUNT) {
        const upload = UPLOADS[begun % UPLOADS.length];
        begun += 1;
        await abort(port, upload);
        await refused(socket);
        done += 1;
        if (done % Math.ceil(COUNT / REPORTS) === 0 || done === COUNT) {
          memory.push(resident(pid));
          show(done);
          // The log lines of so many requests would fill this process's own memory.
          subject.world.workerd.log = '';
        }
      }
      socket.destroy();
    }));
    const gained = memory.at(-1) - memory[Math.floor(memory.length / 2)];
    console.log(`    ${kind}: ${gained.toFixed(0)} MiB more in the second half`);
    return gained;
  } finally {
    await subject.close();
  }
}

await measure('peer');
const gained = await measure('vault');
if (gained > BOUND) {
  console.error(`error: the memory grew by ${gained.toFixed(0)} MiB in the second half; at most ${BOUND} MiB are allowed`);
  process.exitCode = 1;
}
