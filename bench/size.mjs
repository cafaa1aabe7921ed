// SPDX-License-Identifier: Apache-2.0
// How large the built Worker is. `cargo xtask size` runs it: node bench/size.mjs DIR
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Bytes of the wasm and of the scripts in `build`, as they are and compressed. */
export function size(build) {
  const wasm = readFileSync(join(build, 'index_bg.wasm'));
  const script = Buffer.concat(['entry.js', 'index.js'].map((name) => readFileSync(join(build, name))));
  const both = (bytes) => ({ bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  return { wasm: both(wasm), script: both(script) };
}

/** Most bytes the wasm may have compressed, of `budget.toml`. */
export function budget() {
  const file = readFileSync(new URL('../budget.toml', import.meta.url), 'utf8');
  return Number(/^wasm_gzip = ([\d_]+)$/m.exec(file)?.[1].replaceAll('_', ''));
}

if (import.meta.filename === process.argv[1]) console.log(JSON.stringify(size(process.argv[2])));
