// SPDX-License-Identifier: Apache-2.0
// The faults of a token endpoint, each with what is true of it whoever asks: whether the provider had issued new
// tokens, and whether its reply brought the new refresh token. From these follows what a vault can keep.
import { LEEWAY } from './provider.mjs';

/** How long a way to the provider fails, in seconds. */
export const DOOR_SECONDS = 8;

const json = { 'content-type': 'application/json' };
const html = { 'content-type': 'text/html' };
const PAGE = '<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Bad Gateway</h1></body></html>';

/** Time for the bytes before a reset to reach the vault's process, in milliseconds. */
const ARRIVED = 500;

const drop = (response) => response.destroy();

/** @param {number} status @param {string} body @param {Record<string, string>} [headers] */
const answer = (status, body, headers = json) => (response) => response.writeHead(status, headers).end(body);
const page = (status) => answer(status, PAGE, html);
const half = (body) => body.slice(0, body.length / 2);
const after = (seconds, act) => (response, body) => setTimeout(() => act(response, body), seconds * 1000);

/** The whole token response, with its length. */
export const whole = (response, body) => {
  response.writeHead(200, { ...json, 'content-length': Buffer.byteLength(body) }).end(body);
};

/**
 * Sends the headers and `part` of the body, and resets the connection. Without a length the body is chunked. The
 * vault must not use the connection again before the reset, which would be a fault of another request.
 */
const reset = (part, hasLength = true) => (response, body) => {
  response.writeHead(200, { ...json, connection: 'close', ...(hasLength && { 'content-length': Buffer.byteLength(body) }) });
  response.flushHeaders();
  const sent = part(body);
  if (sent) response.write(sent);
  setTimeout(() => response.socket?.resetAndDestroy(), ARRIVED);
};

/** Sends the whole token response in 40 parts during 20 seconds. */
const trickle = (response, body) => {
  const bytes = Buffer.from(body);
  response.writeHead(200, { ...json, 'content-length': bytes.length });
  let sent = 0;
  const more = setInterval(() => {
    const next = Math.min(bytes.length, sent + Math.ceil(bytes.length / 40));
    response.write(bytes.subarray(sent, next));
    sent = next;
    if (sent < bytes.length && !response.destroyed) return;
    clearInterval(more);
    response.end();
  }, 500);
};

/** The token response up to the member after the refresh token; without a refresh token, up to the last member. */
const cutBehindToken = (body) => body.slice(0, body.lastIndexOf('"user"') + 3);

/** The faults that may come before or after the provider has issued new tokens. */
const both = (title, act) => [
  { title: `${title}, before the provider issues tokens`, unclear: true, act },
  { title: `${title}, after the provider has issued tokens`, commits: true, unclear: true, act },
];

const BUSY = JSON.stringify({ error: 'temporarily_unavailable' });

/** @type {import('./provider.mjs').Fault[]} */
export const FAULTS = [
  ...both('the connection is closed without a reply', drop),
  ...both('no reply, and the connection stays open', () => {}),
  { title: 'reset after the headers', commits: true, unclear: true, act: reset(() => '') },
  { title: 'reset after half of the body', commits: true, unclear: true, act: reset(half) },
  { title: 'reset behind the refresh token', commits: true, delivers: true, unclear: true, act: reset(cutBehindToken) },
  { title: 'reset after the whole body, whose length was told', commits: true, delivers: true, act: reset((body) => body) },
  { title: 'reset after the whole body, whose end was not told', commits: true, delivers: true, act: reset((body) => body, false) },
  { title: '429 with `Retry-After`', quiet: 7, act: answer(429, '', { 'retry-after': '7' }) },
  { title: '429 without `Retry-After`', act: answer(429, '', {}) },
  ...both('500', answer(500, 'Internal Server Error', { 'content-type': 'text/plain' })),
  ...both('502 with a page', page(502)),
  { title: '503 with the provider’s JSON', act: answer(503, BUSY) },
  { title: '503 with the provider’s JSON and `Retry-After`', quiet: 7, act: answer(503, BUSY, { ...json, 'retry-after': '7' }) },
  ...both('503 with a gateway’s page', page(503)),
  ...both('504 with a page', page(504)),
  ...[9, 12, 35].map((seconds) => ({
    title: `the reply comes after ${seconds} s`, commits: true, delivers: true, act: after(seconds, whole),
  })),
  { title: 'the reply comes in 40 parts during 20 s', commits: true, delivers: true, act: trickle },
  { title: 'JSON that ends in the access token', commits: true, unclear: true, act: (response, body) => whole(response, half(body)) },
  { title: 'JSON that ends behind the refresh token', commits: true, delivers: true, unclear: true, act: (response, body) => whole(response, cutBehindToken(body)) },
  { title: '400 without a body', unclear: true, act: answer(400, '', {}) },
  ...both('200 without a body', answer(200, '', {})),
  { title: `the connection is refused for ${DOOR_SECONDS} s`, unclear: true, door: 'refused' },
  { title: `the TLS handshake fails for ${DOOR_SECONDS} s`, unclear: true, door: 'tls' },
  ...[false, true].map((commits) => ({
    title: `no reply for ${LEEWAY + 10} s, ${commits ? 'after the provider has issued tokens' : 'before the provider issues tokens'}`,
    commits, unclear: true, outlasts: LEEWAY + 10, act: drop,
  })),
  { title: 'the caller closes its connection before the reply', commits: true, delivers: true, gone: true, act: after(3, whole) },
  { title: 'the caller closes its connection, and the reply is lost', commits: true, unclear: true, gone: true, act: after(3, drop) },
  { title: '`invalid_grant`, because the user ended the grant', ends: true, act: answer(400, JSON.stringify({ error: 'invalid_grant' })) },
];

/** The outcomes of a grant, as they are written in the table. */
export const OUTCOME = { kept: 'kept', lost: 'lost', ended: 'ended' };

/**
 * What must become of a grant. It may be lost only if the provider has replaced its refresh token, the reply did not
 * bring the new one, and the replaced one is accepted no more when the provider can be asked again.
 *
 * @param {import('./provider.mjs').Fault} fault
 * @param {{rotates: boolean, leeway: number}} mode
 */
export function expected(fault, mode) {
  if (fault.ends) return OUTCOME.ended;
  if (!mode.rotates || !fault.commits || fault.delivers) return OUTCOME.kept;
  return mode.leeway > (fault.outlasts ?? 0) ? OUTCOME.kept : OUTCOME.lost;
}
