// SPDX-License-Identifier: Apache-2.0
// Serves the page at /app: what an application's front end does with the vault, in a browser.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PAGE = new URL('./app.html', import.meta.url);

/**
 * A request handler that answers /app and returns true, or returns false for every other path.
 *
 * @param {{vault: string, issuer: string, client_id: string, connections: string[]}} settings
 */
export function serveApp(settings) {
  // Settings travel as data, so that the only script of the page is the one whose hash is allowed.
  const data = JSON.stringify(settings).replaceAll('<', '\\u003c');
  const page = readFileSync(PAGE, 'utf8').replace('{{settings}}', () => data);
  const policy = [
    "default-src 'none'",
    `script-src '${sha256(page, 'script type="module"', 'script')}'`,
    `style-src '${sha256(page, 'style', 'style')}'`,
    `connect-src 'self' ${new URL(settings.vault).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

  return (request, response) => {
    const { pathname } = new URL(request.url, settings.issuer);
    if (pathname !== '/app' || request.method !== 'GET') return false;
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cache-control': 'no-store',
      // The address bar holds one-time codes for a moment.
      'referrer-policy': 'no-referrer',
    });
    response.end(page);
    return true;
  };
}

function sha256(page, open, close) {
  const start = page.indexOf(`<${open}>`) + open.length + 2;
  const text = page.slice(start, page.indexOf(`</${close}>`, start));
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
