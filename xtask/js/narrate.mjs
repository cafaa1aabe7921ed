// SPDX-License-Identifier: Apache-2.0
// Prints HTTP calls for people: the request and the response, with every secret shortened or hidden.
const SHORTENED = new Set([
  'access_token', 'refresh_token', 'id_token', 'subject_token', 'client_assertion',
  'ticket', 'auth_session', 'connect_code', 'code', 'code_verifier', 'state', 'nonce',
]);
const HIDDEN = new Set(['client_secret', 'password', 'cookie']);
const HEADERS = ['content-type', 'www-authenticate', 'retry-after'];

/** Thrown when a response is not the expected one; the caller prints it and stops. */
export class UnexpectedAnswer extends Error {}

/**
 * Prints one step and checks the status of its response.
 *
 * @param {(line: string) => void} print
 * @param {string} title
 * @param {number} expected
 * @param {import('./vault-api.mjs').Answer} answer
 */
export function step(print, title, expected, answer) {
  print(`\n${title}`);
  for (const line of describeRequest(answer.request)) print(`  > ${line}`);
  print(`  < ${answer.status}${describeHeaders(answer.headers)}`);
  for (const line of describeBody(answer.body)) print(`  < ${line}`);
  if (answer.status !== expected) {
    throw new UnexpectedAnswer(`${title}: expected ${expected}, got ${answer.status}`);
  }
}

/**
 * The beginning and the end of a token, which is all that a screen may show. Many tokens begin alike, so the end
 * tells them apart; of a short one there would be too little left to guess.
 */
export function short(secret) {
  const text = String(secret);
  if (text.length >= 32) return `${text.slice(0, 6)}…${text.slice(-6)}`;
  return text.length > 8 ? `${text.slice(0, 4)}…` : '…';
}

/** A URL with its one-time values shortened. */
export function shortUrl(url) {
  const { origin, pathname, searchParams } = new URL(url);
  const query = [...searchParams].map(([name, value]) => `${name}=${shown(name, value)}`);
  return `${origin}${pathname}${query.length ? `?${query.join('&')}` : ''}`;
}

/** @param {import('./vault-api.mjs').Request} request */
function describeRequest({ method, url, headers = {}, json, form }) {
  const lines = [`${method} ${shortUrl(url)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${shownHeader(name, value)}`);
  if (form) lines.push(...Object.entries(form).map(([name, value]) => `${name}=${shown(name, value)}`));
  if (json !== undefined) lines.push(...describeBody(json));
  return lines;
}

function describeHeaders(headers) {
  const kept = HEADERS.filter((name) => headers.has(name)).map((name) => `${name}: ${headers.get(name)}`);
  return kept.length ? `  (${kept.join(', ')})` : '';
}

function describeBody(body) {
  if (body === '' || body === undefined) return [];
  if (typeof body === 'string') return body.slice(0, 500).split('\n');
  return JSON.stringify(body, (name, value) => shown(name, value), 2).split('\n');
}

function shown(name, value) {
  if (HIDDEN.has(name)) return '(hidden)';
  if (SHORTENED.has(name) && typeof value === 'string') return short(value);
  return value;
}

function shownHeader(name, value) {
  if (HIDDEN.has(name.toLowerCase())) return '(hidden)';
  if (name.toLowerCase() !== 'authorization') return value;
  const [scheme, credentials] = value.split(' ');
  if (scheme !== 'Basic') return `${scheme} ${short(credentials)}`;
  return `Basic ${Buffer.from(credentials, 'base64').toString().split(':')[0]}:(hidden)`;
}
