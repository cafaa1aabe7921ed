// SPDX-License-Identifier: Apache-2.0
// What the vault is compared with, and the bars that the comparisons must reach.
import { ratio } from './numbers.mjs';

/** The subjects, as reports name them. */
export const SUBJECTS = {
  vault: 'vault',
  vault_without_lease: 'vault, no lease',
  peer_with_lease: 'JavaScript, lease',
  peer: 'JavaScript',
  hop: 'one hop',
  refresh_token: 'by refresh token',
  access_token: 'by access token',
};

/** What is measured of a subject, by the member of a run. */
export const UNITS = {
  perSecond: { title: 'per second', digits: 0 },
  ms: { title: 'ms', digits: 1 },
};

/**
 * The comparisons: `ours` divided by `theirs`, both subjects of one group of alternating runs. The ratio of the
 * measured member must be `least` or more, or `most` or less. Where only one side is named, the vault has leases,
 * which is its default, and the JavaScript Worker has none.
 *
 * @typedef {{title: string, detail: string, group: string, ours: string, theirs: string,
 *   member: keyof typeof UNITS, least?: number, most?: number}} Comparison
 * @type {Comparison[]}
 */
const COMPARISONS = [
  { title: 'warm exchange', detail: 'leased, against JavaScript with a hop', group: 'warm', ours: 'vault', theirs: 'peer', member: 'perSecond', least: 1.8 },
  { title: 'warm exchange', detail: 'leased, against JavaScript with a lease', group: 'warm', ours: 'vault', theirs: 'peer_with_lease', member: 'perSecond', least: 0.9 },
  { title: 'warm exchange', detail: 'leased, against one bare hop', group: 'warm', ours: 'vault', theirs: 'hop', member: 'perSecond', least: 1.1 },
  { title: 'warm exchange', detail: 'without lease, against JavaScript', group: 'warm', ours: 'vault_without_lease', theirs: 'peer', member: 'perSecond', least: 1.15 },
  { title: 'warm exchange', detail: 'without lease, against one bare hop', group: 'warm', ours: 'vault_without_lease', theirs: 'hop', member: 'perSecond', least: 0.65 },
  { title: 'tokens seen for the first time', detail: 'without lease, against JavaScript', group: 'first_seen', ours: 'vault_without_lease', theirs: 'peer', member: 'perSecond', least: 1.0 },
  { title: 'tokens seen for the first time', detail: 'leased, against JavaScript with a lease', group: 'first_seen', ours: 'vault', theirs: 'peer_with_lease', member: 'perSecond', least: 1.0 },
  { title: 'refresh token as subject', detail: 'leased, against access token, leased', group: 'signed_in', ours: 'refresh_token', theirs: 'access_token', member: 'perSecond', least: 0.9 },
  { title: 'first exchange of an isolate', detail: 'against JavaScript', group: 'first_exchange', ours: 'vault', theirs: 'peer', member: 'ms', most: 1.4 },
  { title: 'cold start to the first answer', detail: 'against JavaScript', group: 'cold_start', ours: 'vault', theirs: 'peer', member: 'ms', most: 1.2 },
  { title: 'connect round trip', detail: 'against JavaScript', group: 'connect', ours: 'vault', theirs: 'peer', member: 'ms', most: 1.3 },
  { title: 'refresh with 50 who wait', detail: 'against JavaScript', group: 'refresh', ours: 'vault', theirs: 'peer', member: 'ms', most: 1.1 },
];

/** The most bytes that the wasm may have after gzip: what it had before there were leases. */
export const WASM_GZIP = 690_441;

/** The bar of a comparison, such as `≥ 1.8`. */
export const barOf = (/** @type {{least?: number, most?: number}} */ { least, most }) => (most === undefined ? `≥ ${decimal(least)}` : `≤ ${decimal(most)}`);

const decimal = (value) => value.toFixed(Number.isInteger(value * 10) ? 1 : 2);

/**
 * The comparisons with their measured ratios, and whether each bar holds: it does if the median does.
 *
 * @param {Record<string, Record<string, any[]>>} groups  the runs of each subject, by group; those with the same
 *   index are a pair
 */
export function compare(groups) {
  return COMPARISONS.map((comparison) => {
    const { group, ours, theirs, member, least = 0, most = Infinity } = comparison;
    const of = (subject, name) => groups[group][subject].map((run) => run[name]);
    const measured = ratio(of(ours, member), of(theirs, member));
    return {
      ...comparison,
      ratio: measured,
      cpu_ratio: ratio(of(ours, 'cpu'), of(theirs, 'cpu')),
      holds: measured.median >= least && measured.median <= most,
    };
  });
}
