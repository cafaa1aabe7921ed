// SPDX-License-Identifier: Apache-2.0
// Cloudflare's list prices on the Workers Paid plan.

/** The plan, in US$ a month. */
export const PLAN = 5;

/** When the prices were read, and where. */
export const PRICES_READ = '28 November 2026';
export const PRICE_PAGES = {
  Workers: 'https://developers.cloudflare.com/workers/platform/pricing/',
  'Durable Objects': 'https://developers.cloudflare.com/durable-objects/platform/pricing/',
  logs: 'https://developers.cloudflare.com/observability/pricing/',
};

/**
 * What is billed by its amount: `dollars` per million of the unit, beyond the amount that each month includes. `page` is where
 * the price stands.
 */
export const PRICES = {
  worker: { what: 'requests to the Worker', included: 10e6, dollars: 0.3, page: 'Workers' },
  cpu: { what: 'CPU time of the Worker', unit: 'ms', included: 30e6, dollars: 0.02, page: 'Workers' },
  objects: { what: 'requests to objects, alarms included', included: 1e6, dollars: 0.15, page: 'Durable Objects' },
  duration: { what: 'duration of objects', unit: 'GB-s', included: 400e3, dollars: 12.5, page: 'Durable Objects' },
  read: { what: 'rows read', included: 25e9, dollars: 0.001, page: 'Durable Objects' },
  written: { what: 'rows written', included: 50e6, dollars: 1, page: 'Durable Objects' },
  log: { what: 'log lines', included: 20e6, dollars: 0.6, page: 'logs' },
};

/** Prices by the gigabyte: stored data, and log lines from 1 December 2026 on. */
export const STORAGE = { included: 5, dollars: 0.2 };
export const NEXT_LOG = { from: '1 December 2026', ingestion: { included: 50, dollars: 0.25 }, storage: { included: 12, dollars: 0.1 } };

/** What an object is billed for while it works, in GB. */
export const OBJECT_MEMORY = 0.128;
