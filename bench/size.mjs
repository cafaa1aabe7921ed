// SPDX-License-Identifier: Apache-2.0
// Measures the size of the built Worker. `cargo xtask size` runs: node bench/size.mjs DIR
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** The sizes of the wasm and of the scripts in `build`, in bytes, uncompressed and after gzip. */
export function size(build) {
  const wasm = readFileSync(join(build, 'index_bg.wasm'));
  const script = Buffer.concat(['entry.js', 'index.js'].map((name) => readFileSync(join(build, name))));
  const both = (bytes) => ({ bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  return { wasm: both(wasm), script: both(script) };
}

if (import.meta.filename === process.argv[1]) console.log(JSON.stringify(size(process.argv[2])));
