// SPDX-License-Identifier: Apache-2.0
// Generates load on one port: each keep-alive connection sends its next request as soon as the last
// response is complete. The bytes of the requests are prepared beforehand, so that the load takes little of
// the machine that it shares with the measured Worker.
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** The bytes of a `POST` request. */
export function post(path, form) {
  const body = new URLSearchParams(form).toString();
  return Buffer.from([
    `POST ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    'content-type: application/x-www-form-urlencoded',
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n'));
}

/**
 * Sends `requests` repeatedly; all connections take the next one from the same sequence. The measurement begins
 * when all connections are open.
 *
 * @param {{port: number, requests: Buffer[], connections?: number, seconds?: number, count?: number,
 *   pid?: number}} options  ends after `seconds`, or after `count` responses
 * @returns {Promise<{count: number, perSecond: number, total: number, median: number, p99: number, cpu: number,
 *   waited: number, load: number}>}  times in milliseconds: `total` until the last response, `cpu` of the process
 *   `pid` per response, `load` of this process per response; `waited` is the share of the time in which the process
 *   `pid` could have run but had no processor
 * @throws {Error} at the first response whose status is not 200
 */
export async function drive({ port, requests, connections = 16, seconds = Infinity, count = Infinity, pid }) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const times = [];
  let next = 0;
  const before = pid && scheduled(pid);
  const ownBefore = process.cpuUsage();
  const start = performance.now();
  const until = start + seconds * 1000;
  const more = () => next < count && performance.now() < until;
  await Promise.all(sockets.map((socket) => new Promise((/** @type {(value?: undefined) => void} */ resolve, reject) => {
    let received = '';
    let sent = 0;
    const send = () => {
      if (!more()) {
        resolve();
        return;
      }
      sent = performance.now();
      socket.write(requests[next % requests.length]);
      next += 1;
    };
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection was closed')));
    socket.on('data', (data) => {
      received += data;
      const status = complete(received);
      if (!status) return;
      if (status !== 200) {
        reject(new Error(`answered ${received.slice(0, 800)}`));
        return;
      }
      times.push(performance.now() - sent);
      received = '';
      send();
    });
    send();
  }))).finally(() => { for (const socket of sockets) socket.destroy(); });
  const total = performance.now() - start;
  const own = process.cpuUsage(ownBefore);
  const after = pid && scheduled(pid);
  times.sort((a, b) => a - b);
  return {
    count: times.length,
    perSecond: times.length / (total / 1000),
    total,
    median: times[Math.floor(times.length / 2)],
    p99: times[Math.floor(times.length * 0.99)],
    cpu: after ? (after.ran - before.ran) / times.length : NaN,
    waited: after ? (after.waited - before.waited) / total : NaN,
    load: (own.user + own.system) / 1000 / times.length,
  };
}

/** @returns {Promise<import('node:net').Socket>} */
function open(port) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.setEncoding('latin1');
  socket.once('error', reject);
  socket.once('connect', () => {
    socket.off('error', reject);
    resolve(socket);
  });
  return promise;
}

/** The status of a response; undefined until the whole response has arrived. */
export function complete(text) {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const status = Number(text.slice(9, 12));
  const headers = text.slice(0, head).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(headers);
  const whole = length ? text.length >= head + 4 + Number(length[1]) : text.endsWith('\r\n0\r\n\r\n');
  return whole ? status : undefined;
}

/**
 * The user and system time of a process with all its threads, in milliseconds. The scheduler counts it in
 * nanoseconds; the ticks of `/proc/PID/stat` are too coarse for half a second. The time of a thread that has
 * ended is lost, and workerd ends none while it serves.
 */
export const cpuMilliseconds = (pid) => scheduled(pid).ran;

/** For how long the threads of a process have run, and have waited for a processor, in milliseconds. */
function scheduled(pid) {
  const tasks = `/proc/${pid}/task`;
  const sum = { ran: 0, waited: 0 };
  for (const task of readdirSync(tasks)) {
    const [ran, waited] = readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ').map(Number);
    sum.ran += ran / 1e6;
    sum.waited += waited / 1e6;
  }
  return sum;
}

/** How much CPU a process that waits may use in `REST_MS`, both in milliseconds. */
const REST_CPU = 0.1;
const REST_MS = 4;
const PATIENCE_MS = 300;

/** Waits until a process has no more work that its last answers left, and returns its CPU time. */
export async function rested(pid) {
  let before = cpuMilliseconds(pid);
  for (const late = performance.now() + PATIENCE_MS; performance.now() < late;) {
    await sleep(REST_MS);
    const now = cpuMilliseconds(pid);
    if (now - before < REST_CPU) return now;
    before = now;
  }
  return before;
}
