// SPDX-License-Identifier: Apache-2.0
// The table in docs/providers/tried.md: the tested behaviour of each provider, with its source. Each test
// file fills the rows of its connections. If the document differs, the test fails, or with WRITE_GOLDEN=1
// updates the document (run one file at a time).
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../../../docs/providers/tried.md', import.meta.url));
const [BEGIN, END] = ['<!-- tried: begin -->\n', '\n<!-- tried: end -->'];

/** The columns of the table. */
const BEHAVIOURS = [
  'connect', 'exchange', 'refresh', 'refresh twice', 'rotate', 'keep the refresh token', 'revoke',
  'revoke while it is down', 'dead grant', 'outage', 'misconfigured client', 'denied consent',
  'own account', 'organisation', 'no owner', 'not installed', 'suspended', 'permissions',
];

const line = (cells) => `| ${cells.join(' | ')} |`;
const HEAD = [line(['', ...BEHAVIOURS]), line(['---', ...BEHAVIOURS.map(() => '---')])];

export class Tried {
  #rows = new Map();

  /** Adds one observed behaviour, with where it is documented. */
  add(connection, behaviour, source, word = 'yes') {
    assert.ok(BEHAVIOURS.includes(behaviour), behaviour);
    const row = this.#rows.get(connection) ?? new Map();
    this.#rows.set(connection, row.set(behaviour, `[${word}](${source})`));
  }

  compare() {
    const text = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
    const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
    assert.ok(from >= 0 && to > from, 'docs/providers/tried.md lacks the table of what was tried');
    const then = text.slice(from + BEGIN.length, to).split('\n');
    const now = new Map(then.slice(HEAD.length).filter(Boolean).map((row) => [row.split('`')[1], row]));
    for (const [connection, row] of this.#rows) {
      now.set(connection, line([`\`${connection}\``, ...BEHAVIOURS.map((column) => row.get(column) ?? '')]));
    }
    const table = [...HEAD, ...[...now.keys()].toSorted().map((connection) => now.get(connection))].join('\n');
    if (process.env.WRITE_GOLDEN) {
      writeFileSync(FILE, text.slice(0, from + BEGIN.length) + table + text.slice(to));
    } else {
      assert.equal(table, then.join('\n'), 'docs/providers/tried.md says otherwise; WRITE_GOLDEN=1 writes it');
    }
  }
}
