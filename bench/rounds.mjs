// SPDX-License-Identifier: Apache-2.0
// Runs the subjects of a comparison in turn, so that whatever else slows the machine down meets all of them.

/**
 * Runs `once` for each subject, in rounds. Every second round has the reverse order, so that no subject always
 * comes before another. The runs of one round belong together: ratios are taken within a round.
 *
 * @template Subject, Run
 * @param {Record<string, Subject>} subjects
 * @param {number} count
 * @param {(subject: Subject, round: number) => Promise<Run>} once
 * @param {() => Promise<void>} [before]  precedes each round
 * @returns {Promise<Record<string, Run[]>>}  the runs by subject, in the order of the rounds
 */
export async function rounds(subjects, count, once, before = async () => {}) {
  const names = Object.keys(subjects);
  /** @type {Record<string, Run[]>} */
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    await before();
    for (const name of round % 2 ? names.toReversed() : names) {
      runs[name].push(await once(subjects[name], round));
    }
  }
  return runs;
}
