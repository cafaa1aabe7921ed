// SPDX-License-Identifier: Apache-2.0
// The documents' commands, so that tests run them as they stand there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** The text of a document, by its path in the repository. */
export const document = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/**
 * The commands of a document's shell block that begins so.
 *
 * @param {string} path
 * @param {string} start
 */
export function commands(path, start) {
  const blocks = [...document(path).matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text]) => text);
  const found = blocks.filter((text) => text.startsWith(start));
  assert.equal(found.length, 1, `${path} has ${found.length} blocks that begin with ${start}`);
  return found[0];
}
