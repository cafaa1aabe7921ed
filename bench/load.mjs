// SPDX-License-Identifier: Apache-2.0
// Generates load on one port: each keep-alive connection sends its next request as soon as the last
// response is complete. The bytes of the requests are prepared beforehand, so that the load takes little of
// the machine that it shares with the measured Worker.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** Clock ticks per second of /proc (USER_HZ): 100 wherever Linux runs Node. */
const TICKS_PER_SECOND = 100;

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
 * Sends `requests` repeatedly; all connections take the next one from the same sequence.
 *
 * @param {{port: number, requests: Buffer[], connections?: number, seconds?: number, count?: number,
 *   pid?: number}} options  ends after `seconds`, or after `count` responses
 * @returns {Promise<{count: number, perSecond: number, median: number, p99: number, cpu: number}>}
 *   times in milliseconds; `cpu` is the CPU time of the process `pid` per response
 * @throws {Error} at the first response whose status is not 200
 */
export async function drive({ port, requests, connections = 16, seconds = Infinity, count = Infinity, pid }) {
  const times = [];
  let next = 0;
  const cpuBefore = pid ? cpuMilliseconds(pid) : 0;
  const start = performance.now();
  const until = start + seconds * 1000;
  const more = () => next < count && performance.now() < until;
  await Promise.all(Array.from({ length: connections }, () => new Promise((/** @type {(value?: undefined) => void} */ resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    let sent = 0;
    const send = () => {
      if (!more()) {
        socket.end();
        resolve();
        return;
      }
      sent = performance.now();
      socket.write(requests[next % requests.length]);
      next += 1;
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection was closed')));
    socket.on('data', (data) => {
      received += data;
      const status = complete(received);
      if (!status) return;
      if (status !== 200) {
        reject(new Error(`answered ${received.slice(0, 800)}`));
        socket.destroy();
        return;
      }
      times.push(performance.now() - sent);
      received = '';
      send();
    });
  })));
  const elapsed = (performance.now() - start) / 1000;
  const cpu = pid ? (cpuMilliseconds(pid) - cpuBefore) / times.length : NaN;
  times.sort((a, b) => a - b);
  return {
    count: times.length,
    perSecond: times.length / elapsed,
    median: times[Math.floor(times.length / 2)],
    p99: times[Math.floor(times.length * 0.99)],
    cpu,
  };
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

/** The user and system time of a process with all its threads, in milliseconds. */
export function cpuMilliseconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The process name is in brackets and may contain spaces, so the fields are counted from its end.
  const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number);
  return ((user + system) * 1000) / TICKS_PER_SECOND;
}
