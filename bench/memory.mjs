// SPDX-License-Identifier: Apache-2.0
// What callers leave behind: uploads without credentials that are given up in the middle, and requests
// that are refused, as many of each; and what memory the process has meanwhile. The JavaScript Worker
// runs first, so that what the runtime itself keeps is told apart.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { complete, post } from './load.mjs';
import { Exchange } from './subjects.mjs';

const COUNT = Number(process.argv[2] ?? 200_000);
const SLOTS = 16;
const REPORTS = 10;
const PATIENCE_MS = 10_000;

/** Most MiB that the process may gain in the second half, in which half of the requests are made. */
const BOUND = 64;

const PART = Buffer.alloc(2048, 'a');
const REFUSED = post('/oauth/token', { grant_type: 'x', filler: 'a'.repeat(1000) });

/** An upload and how it is given up: the end of the connection, or its reset. */
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

/** Gives an upload up once the Worker has begun to read it: then the runtime asks for the body. */
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

/** A request on a connection that is used again. */
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
      console.log(`    ${kind}: ${String(count).padStart(7)} given up, ${String(count).padStart(7)} refused: ${memory.at(-1).toFixed(0)} MiB`);
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
          // Lines of this many requests would fill our own memory.
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
  console.error(`error: callers that went away left ${gained.toFixed(0)} MiB behind; at most ${BOUND} are allowed`);
  process.exitCode = 1;
}
