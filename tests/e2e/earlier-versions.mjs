// SPDX-License-Identifier: Apache-2.0
// What is on disk, as an earlier version of the vault would have written it.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Opens each database of a class of objects that is on disk; what `use` gives, one for each. */
export function databases(state, binding, use) {
  const files = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.sqlite') && entry.parentPath.includes(binding));
  return files.map(({ parentPath, name }) => {
    const database = new DatabaseSync(join(parentPath, name));
    try {
      const has = (table) => database.prepare('SELECT name FROM sqlite_master WHERE name = ?').get(table);
      return use(database, has);
    } finally {
      database.close();
    }
  });
}

/** Turns what is on disk into what an earlier version would have written; returns how many vaults there are. */
export function toVersion(version, state) {
  const tables = readFileSync(new URL(`../golden/schema-v${version}.sql`, import.meta.url), 'utf8').trim().split('\n');
  // Version 1 told the registry nothing, and version 2 under other names.
  if (version < 3) databases(state, 'REGISTRY', (database, has) => has('holder') && database.exec('DROP TABLE holder'));
  const changed = databases(state, 'VAULT', (database, has) => {
    if (!has('owner')) return false;
    for (const create of tables) {
      const [, table] = /EXISTS "?(\w+)"? \(/.exec(create);
      if (!has(table)) continue;
      database.exec(`ALTER TABLE "${table}" RENAME TO old`);
      database.exec(create);
      const columnsOf = (name) => database.prepare('SELECT name FROM pragma_table_info(?)').all(name).map((one) => one.name);
      const before = columnsOf('old');
      const columns = columnsOf(table).filter((column) => before.includes(column)).join(', ');
      database.exec(`INSERT INTO "${table}" (${columns}) SELECT ${columns} FROM old; DROP TABLE old`);
    }
    if (version < 3) database.exec('DROP TABLE redemption');
    database.exec(`UPDATE owner SET schema = ${version}`);
    return true;
  });
  return changed.filter(Boolean).length;
}
