// SPDX-License-Identifier: Apache-2.0
// Serves a Next.js application on `localhost`, in a process of its own: Next.js changes the globals of its process.
// Its arguments are the directory, the port, and the authority that it trusts; it reports when it is ready.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { trust } from './network.mjs';

const [directory, port, authority] = process.argv.slice(2);
trust(authority);
process.env.NEXT_TELEMETRY_DISABLED = '1';
const { default: next } = await import('next');
const application = next({ dev: true, dir: directory, hostname: 'localhost', port: Number(port) });
await application.prepare();
const handle = application.getRequestHandler();
await once(createServer((request, response) => handle(request, response)).listen(Number(port), 'localhost'), 'listening');
process.send?.('ready');
// The test that began this has ended.
process.once('disconnect', () => process.exit());
