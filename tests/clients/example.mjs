// SPDX-License-Identifier: Apache-2.0
// Copies an example to where it finds the packages that are installed here.
import { cpSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (/** @type {string} */ relative) => fileURLToPath(new URL(relative, import.meta.url));

/**
 * Returns the directory of a copy of `examples/<name>`, and how to remove it.
 *
 * @param {string} name
 */
export function copyExample(name) {
  const directory = path(`.example-${name}`);
  const remove = () => rmSync(directory, { recursive: true, force: true });
  remove();
  cpSync(path(`../../examples/${name}`), directory, {
    recursive: true,
    filter: (source) => !['node_modules', '.next', 'package-lock.json'].includes(basename(source)),
  });
  return { directory, remove };
}
