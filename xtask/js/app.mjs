// SPDX-License-Identifier: Apache-2.0
// Serves the page at /app, which does in a browser what an application's front end does with the vault.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PAGE = new URL('./app.html', import.meta.url);

/**
 * Returns a request handler. It responds to GET /app and returns true; for other requests it returns false.
 *
 * `origin` is that of the page. `authorize`, `token` and `logout` are addresses of the issuer of the user's tokens.
 *
 * @param {{vault: string, origin: string, client_id: string, connections: string[], authorize: string,
 *   token: string, logout?: string}} settings
 */
export function serveApp(settings) {
  // The settings are embedded as data, so that the policy need allow only the hash of the page's one script.
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
    const { pathname } = new URL(request.url, settings.origin);
    if (pathname !== '/app' || request.method !== 'GET') return false;
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cache-control': 'no-store',
      // The page's URL briefly contains one-time codes.
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
