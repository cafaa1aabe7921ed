// SPDX-License-Identifier: Apache-2.0
// The latency of an exchange on the edge, in ms: a back end in one of the cities asks the Worker in its city, and the Worker asks
// the object. All times are computed from figures.mjs and from what the benchmark measured.
import { CENTERS, CITIES, HINTS, ROUND_TRIPS, WITHIN_A_REGION } from './figures.mjs';

/** How long a lease lasts by default, in seconds. */
export const LEASE_SECONDS = 15;

/** Between a Worker in a city and an object in a data center. */
export function roundTrip(city, center) {
  const { region } = CENTERS.rows[center];
  if (region === city.region) return WITHIN_A_REGION.value;
  return ROUND_TRIPS.from[city.region][ROUND_TRIPS.to.indexOf(region)];
}

/**
 * The share of exchanges that ask the object, if one isolate gets `rate` exchanges a second for one lease, at random times:
 * the one that gets the lease, and on average `rate * seconds` that the lease serves.
 */
export const hopShare = (rate, seconds = LEASE_SECONDS) => 1 / (1 + rate * seconds);

/**
 * What the benchmark measured of an exchange on one machine, in ms: its CPU time if a lease serves it, and if it asks the object.
 *
 * @typedef {{ leased: number, exchange: number }} Times
 */

/**
 * The mean of exchanges, of which the object is asked for a share.
 *
 * @param {Times} times
 */
export const mean = ({ leased, exchange }, trip, share) => (1 - share) * leased + share * (exchange + trip);

/**
 * A percentile of exchanges: the slow ones are those that ask the object.
 *
 * @param {Times} times
 */
export const percentile = ({ leased, exchange }, trip, share, rank) => (share > 1 - rank ? exchange + trip : leased);

/**
 * The round trips from a city to objects that lie where users happened to be when they connected, as `{ least, median, worst }`: each of
 * the cities has as many users, whose browsers create objects where `created` says.
 */
export function unhinted(city) {
  const trips = CITIES.rows.flatMap(({ created }) => {
    const all = created.reduce((sum, [, share]) => sum + share, 0);
    return created.map(([center, share]) => ({ trip: roundTrip(city, center), share: share / all / CITIES.rows.length }));
  });
  trips.sort((a, b) => a.trip - b.trip);
  let passed = 0;
  const middle = trips.find(({ share }) => {
    passed += share;
    return passed > 0.5 - 1e-9; // shares do not add up to one half exactly
  });
  return { least: trips[0].trip, median: middle.trip, worst: trips.at(-1).trip };
}

/** The mean time until a new object runs that a request from this city creates without a hint. */
export function creation({ created }) {
  const all = created.reduce((sum, [, share]) => sum + share, 0);
  return created.reduce((sum, [, share, time]) => sum + (share / all) * time, 0);
}

/** For each city: the round trips with each hint, and those without. */
export function rows() {
  return CITIES.rows.map((city) => ({
    city,
    hinted: HINTS.rows.map(({ hint, center }) => ({ hint, trip: roundTrip(city, center) })),
    unhinted: unhinted(city),
  }));
}
