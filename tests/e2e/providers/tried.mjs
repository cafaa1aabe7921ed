// The table in docs/providers.md of what was tried with each provider. The tests fill it; where the
// document says otherwise they fail, or write it (WRITE_GOLDEN=1).
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../../../docs/providers.md', import.meta.url));

/** The order of columns. */
const BEHAVIOURS = [
  'connect', 'exchange', 'refresh', 'refresh twice', 'rotate', 'keep the refresh token', 'revoke',
  'revoke while it is down', 'dead grant', 'outage', 'misconfigured client', 'denied consent',
  'own account', 'organisation', 'no owner', 'not installed', 'suspended', 'permissions',
];

export class Tried {
  #rows = new Map();

  /** @param {string} name  of the part of the document */
  constructor(name) {
    this.name = name;
  }

  /** One behaviour that was seen, and where it is documented. */
  add(connection, behaviour, source, word = 'yes') {
    assert.ok(BEHAVIOURS.includes(behaviour), behaviour);
    const row = this.#rows.get(connection) ?? new Map();
    this.#rows.set(connection, row.set(behaviour, `[${word}](${source})`));
  }

  #table() {
    const columns = BEHAVIOURS.filter((one) => [...this.#rows.values()].some((row) => row.has(one)));
    const line = (cells) => `| ${cells.join(' | ')} |`;
    const rows = [...this.#rows].map(([connection, row]) => (
      line([`\`${connection}\``, ...columns.map((column) => row.get(column) ?? '')])
    ));
    return [line(['', ...columns]), line(['---', ...columns.map(() => '---')]), ...rows].join('\n');
  }

  compare() {
    const [begin, end] = [`<!-- ${this.name}: begin -->\n`, `\n<!-- ${this.name}: end -->`];
    const text = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    assert.ok(from >= 0 && to > from, `docs/providers.md lacks the part ${this.name}`);
    const now = this.#table();
    const then = text.slice(from + begin.length, to);
    if (process.env.WRITE_GOLDEN) {
      writeFileSync(FILE, text.slice(0, from + begin.length) + now + text.slice(to));
    } else {
      assert.equal(now, then, 'docs/providers.md says otherwise; WRITE_GOLDEN=1 writes it');
    }
  }
}
