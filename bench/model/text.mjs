// SPDX-License-Identifier: Apache-2.0
// Parts of documents that a script writes: they stand between comments with the part's name.

const marks = (name) => [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];

function places(page, name) {
  const [begin, end] = marks(name);
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no part ${name} between ${begin} and ${end}`);
  return [from + begin.length, to];
}

/** The part of a page that has this name. */
export const between = (page, name) => page.slice(...places(page, name));

/** The page with another text in that part. */
export function replace(page, name, text) {
  const [from, to] = places(page, name);
  return `${page.slice(0, from)}\n${text}\n${page.slice(to)}`;
}

/**
 * A table in Markdown, of rows of cells; the first row is its head.
 *
 * @param {(string | number)[][]} rows
 */
export function table(rows) {
  const [head] = rows;
  const lines = rows.map((cells) => `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`);
  lines.splice(1, 0, `|${'---|'.repeat(head.length)}`);
  return lines.join('\n');
}
