// SPDX-License-Identifier: Apache-2.0
// Summarizes several runs as a median with its spread.

/** @param {number[]} values */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], min: sorted[0], max: sorted.at(-1) };
}

/** The ratios of two series of runs that alternated, pair by pair. */
export function ratio(ours, theirs) {
  return spread(ours.map((value, index) => value / theirs[index]));
}

/** Formats a spread, such as `1.04 (0.99 to 1.07)`. */
export function show({ median, min, max }, digits = 2) {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}
