// SPDX-License-Identifier: Apache-2.0
// Bundles the JavaScript Workers of the benchmark for workerd.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const OBJECTS = {
  peer: { VAULT: 'Vault', CONNECT_SESSION: 'ConnectSession' },
  hop: { HOP: 'Hop' },
};

/**
 * Bundles one of the JavaScript Workers.
 *
 * @param {'peer' | 'hop'} name
 * @returns {{build: string, objects: object}}
 */
export function bundle(name) {
  const build = join(ROOT, 'target/bench', name);
  buildSync({
    entryPoints: [join(ROOT, 'bench', name, 'index.mjs')],
    outfile: join(build, 'entry.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*'],
    logLevel: 'error',
  });
  return { build, objects: OBJECTS[name] };
}
