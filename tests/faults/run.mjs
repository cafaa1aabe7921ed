// SPDX-License-Identifier: Apache-2.0
// Tries what faults of a provider do to grants: the parts that are named, or all.
//
//   node tests/faults/run.mjs [table|kill|load|glewlwyd]...
//
// E2E_BUILD names the directory of the built Worker.
import { compare } from './document.mjs';
import { glewlwyd } from './glewlwyd.mjs';
import { kill } from './kill.mjs';
import { load } from './load.mjs';
import { table } from './table.mjs';

const PARTS = { table, kill, load, glewlwyd };

/** Longer than all parts take together, in milliseconds. */
const BOUND = 20 * 60_000;
setTimeout(() => {
  console.error('error: not finished in time');
  process.exit(1);
}, BOUND).unref();

const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(PARTS, name));
if (unknown) throw new Error(`no part is named ${unknown}; there are ${Object.keys(PARTS).join(', ')}`);
let failed = 0;
for (const [name, part] of Object.entries(PARTS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`==> ${name}`);
  const result = await part();
  failed += result.failed;
  if (result.rows && result.failed === 0) failed += compare(result.rows);
}
console.log(failed === 0 ? 'all as expected' : `${failed} not as expected`);
process.exitCode = failed === 0 ? 0 : 1;
