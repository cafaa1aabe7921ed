// SPDX-License-Identifier: Apache-2.0
// Summarizes the runs of a measurement as their median with its quartiles.

/**
 * @typedef {{median: number, low: number, high: number, runs: number}} Spread  `low` and `high` are the
 *   quartiles
 */

/**
 * @param {number[]} values
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => {
    const place = (sorted.length - 1) * share;
    const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return below + (above - below) * (place % 1);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75), runs: sorted.length };
}

/** The ratios of two series of runs that alternated, pair by pair. */
export function ratio(ours, theirs) {
  return spread(ours.map((value, index) => value / theirs[index]));
}

/** Formats a spread, such as `1.04 (0.99 to 1.07)`. */
export function show({ median, low, high }, digits = 2) {
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
