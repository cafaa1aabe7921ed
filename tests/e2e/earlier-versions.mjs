// SPDX-License-Identifier: Apache-2.0
// Converts the storage on disk into the form that an earlier version of the vault would have written.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Calls `use` with each database on disk of a class of objects; returns the results. While the runtime runs, they
 * must only be read (`{ readOnly: true }`).
 */
export function databases(state, binding, use, options = {}) {
  const files = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.sqlite') && entry.parentPath.includes(binding));
  return files.map(({ parentPath, name }) => {
    const database = new DatabaseSync(join(parentPath, name), options);
    try {
      const has = (table) => database.prepare('SELECT name FROM sqlite_master WHERE name = ?').get(table);
      return use(database, has);
    } finally {
      database.close();
    }
  });
}

/** Converts the storage on disk to the tables of an earlier version; returns the number of vaults. */
export function toVersion(version, state) {
  const tables = readFileSync(new URL(`../golden/schema-v${version}.sql`, import.meta.url), 'utf8').trim().split('\n');
  // Version 1 sent nothing to the registry, and version 2 used other names there.
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
    if (version < 5) database.exec('DROP TABLE key_stamp');
    database.exec(`UPDATE owner SET schema = ${version}`);
    return true;
  });
  return changed.filter(Boolean).length;
}

/**
 * Gives each refresh in flight a job that follows it up, and takes the time of that out of its intent, as the version
 * did that came before such intents; returns the number of jobs.
 */
export function withJobs(state) {
  const added = databases(state, 'VAULT', (database, has) => {
    if (!has('grant')) return 0;
    const rows = database.prepare('SELECT account, kind, generation, intent FROM "grant" WHERE intent IS NOT NULL').all();
    const open = rows.filter(({ intent }) => JSON.parse(String(intent)).follow_up);
    for (const { account, kind, generation, intent } of open) {
      const { follow_up: due, ...before } = JSON.parse(String(intent));
      const job = { kind: 'recover', account, generation, ...(kind && { token_kind: kind }) };
      database.prepare('INSERT INTO jobs (due, kind, payload) VALUES (?, ?, ?)').run(due, job.kind, JSON.stringify(job));
      database.prepare('UPDATE "grant" SET intent = ? WHERE account = ? AND kind = ?').run(JSON.stringify(before), account, kind);
    }
    return open.length;
  });
  return added.reduce((sum, one) => sum + one, 0);
}

/** Deletes the alarms of all vaults, while the runtime does not run; returns their number. */
export function withoutAlarms(state) {
  const deleted = databases(state, 'VAULT', (database, has) => {
    if (has('_cf_METADATA')) database.exec('DELETE FROM _cf_METADATA');
    return has('_cf_ALARM') ? Number(database.prepare('DELETE FROM _cf_ALARM').run().changes) : 0;
  });
  return deleted.reduce((sum, one) => sum + one, 0);
}
