// SPDX-License-Identifier: Apache-2.0
// What others published, from which latency.mjs computes. Each table names its source; nothing here is computed or
// guessed, except where a comment says which rule replaces a figure that nobody publishes.

/** Whom the figures are from: `date` is what they are of, or when they were published. */
export const SOURCES = {
  azure: {
    title: 'Azure network round-trip latency statistics',
    publisher: 'Microsoft',
    address: 'https://learn.microsoft.com/en-us/azure/networking/azure-network-latency',
    date: '30 July 2026',
    what: 'medians of the round trips between regions over 30 days',
  },
  zones: {
    title: 'What are availability zones?',
    publisher: 'Microsoft',
    address: 'https://learn.microsoft.com/en-us/azure/availability-zones/az-overview',
    date: 'read on 28 November 2026',
    what: '“a round-trip latency of less than 2ms” within a region',
  },
  objects: {
    title: 'Where Durable Objects Live',
    publisher: 'Alastair',
    address: 'https://where.durableobjects.live/api/v3/data.json',
    date: 'October 2026, as the package [cf-colo-hint](https://crates.io/crates/cf-colo-hint/0.1.1166) 0.1.1166 keeps it',
    what: 'where requests from a location create objects, and how long it takes until one runs',
  },
  hints: {
    title: 'Data location',
    publisher: 'Cloudflare',
    address: 'https://developers.cloudflare.com/durable-objects/reference/data-location/',
    date: 'read on 28 November 2026',
    what: 'what a location hint does, and which regions have no data centers for objects',
  },
};

/**
 * The cities. `code` is Cloudflare's location there. `region` is Azure's region there; those of Seattle, Stockholm and Mumbai
 * are up to 250 km away. `created` says where a request without a hint creates an object: data center, share of the requests,
 * mean time in ms until the object runs. `hinted` is the same time with a hint. Both times contain the creation and the way
 * to the object, and not the way back.
 */
export const CITIES = {
  source: 'objects',
  /** @type {{ name: string, code: string, region: string, created: [string, number, number][], hinted: Record<string, number> }[]} */
  rows: [
    { name: 'Seattle', code: 'SEA', region: 'West US 2', created: [['SEA', 1, 99.92]], hinted: { enam: 268.23, weur: 477.68, 'apac-se': 460.96 } },
    { name: 'San Jose', code: 'SJC', region: 'West US', created: [['SJC', 0.657, 66.13], ['LAX', 0.3428, 64]], hinted: { enam: 245.2, weur: 450.74, 'apac-se': 485.64 } },
    { name: 'Chicago', code: 'ORD', region: 'North Central US', created: [['ORD', 1, 45.02]], hinted: { enam: 39.07, weur: 337.34, 'apac-se': 582.97 } },
    { name: 'Toronto', code: 'YYZ', region: 'Canada Central', created: [['ORD', 0.5294, 34.22], ['EWR', 0.4705, 33.75]], hinted: { enam: 39.12, weur: 306.81, 'apac-se': 627.29 } },
    { name: 'Ashburn', code: 'IAD', region: 'East US', created: [['IAD', 0.5797, 67.4], ['EWR', 0.4202, 68.55]], hinted: { enam: 58.98, weur: 311.01, 'apac-se': 638.15 } },
    { name: 'São Paulo', code: 'GRU', region: 'Brazil South', created: [['MIA', 0.6491, 99.56], ['EWR', 0.3508, 98.45]], hinted: { enam: 99.59, weur: 535.1, 'apac-se': 908 } },
    { name: 'London', code: 'LHR', region: 'UK South', created: [['LHR', 0.8333, 60.28], ['AMS', 0.1666, 79.14]], hinted: { enam: 291.88, weur: 56.95, 'apac-se': 529.14 } },
    { name: 'Paris', code: 'CDG', region: 'France Central', created: [['CDG', 0.5333, 41.33], ['LHR', 0.4666, 63.66]], hinted: { enam: 364, weur: 45.3, 'apac-se': 477.73 } },
    { name: 'Madrid', code: 'MAD', region: 'Spain Central', created: [['MAD', 0.4375, 45.28], ['LIS', 0.375, 49.16], ['MRS', 0.1875, 44.66]], hinted: { enam: 358.81, weur: 38.62, 'apac-se': 521.76 } },
    { name: 'Frankfurt', code: 'FRA', region: 'Germany West Central', created: [['AMS', 0.6833, 66.53], ['FRA', 0.3166, 47.63]], hinted: { enam: 325.96, weur: 82.63, 'apac-se': 513.39 } },
    { name: 'Stockholm', code: 'ARN', region: 'Sweden Central', created: [['ARN', 1, 39.83]], hinted: { enam: 336.87, weur: 173.2, 'apac-se': 614.08 } },
    { name: 'Warsaw', code: 'WAW', region: 'Poland Central', created: [['WAW', 0.5789, 33.27], ['VIE', 0.421, 33.25]], hinted: { enam: 358.25, weur: 151.3, 'apac-se': 576.63 } },
    { name: 'Johannesburg', code: 'JNB', region: 'South Africa North', created: [['LHR', 0.3928, 114.81], ['LIS', 0.3571, 115.2], ['MAD', 0.25, 120.14]], hinted: { enam: 708.82, weur: 124.86, 'apac-se': 891.64 } },
    { name: 'Dubai', code: 'DXB', region: 'UAE North', created: [['SIN', 0.875, 91.71], ['MRS', 0.125, 86]], hinted: { enam: 746.5, weur: 280.5, 'apac-se': 151 } },
    { name: 'Mumbai', code: 'BOM', region: 'Central India', created: [['SIN', 1, 67.38]], hinted: { enam: 741, weur: 565.02, 'apac-se': 61.15 } },
    { name: 'Singapore', code: 'SIN', region: 'Southeast Asia', created: [['SIN', 1, 44.17]], hinted: { enam: 636.35, weur: 502.59, 'apac-se': 24.63 } },
    { name: 'Hong Kong', code: 'HKG', region: 'East Asia', created: [['HKG', 1, 66.81]], hinted: { enam: 664.92, weur: 961.36, 'apac-se': 57.43 } },
    { name: 'Seoul', code: 'ICN', region: 'Korea Central', created: [['ICN', 1, 41.06]], hinted: { enam: 547.94, weur: 780.68, 'apac-se': 297.75 } },
    { name: 'Tokyo', code: 'NRT', region: 'Japan East', created: [['NRT', 0.56, 23.42], ['KIX', 0.44, 23.18]], hinted: { enam: 484.02, weur: 653.4, 'apac-se': 237.44 } },
    { name: 'Sydney', code: 'SYD', region: 'Australia East', created: [['SYD', 0.5333, 24.62], ['BNE', 0.3333, 35.4], ['MEL', 0.1333, 37.5]], hinted: { enam: 595.53, weur: 941.11, 'apac-se': 530.88 } },
  ],
};

/**
 * Where the object of a hint lies in this model. Cloudflare chooses a data center of the region, and not always the same:
 * one for each region is our choice.
 */
export const HINTS = {
  source: 'hints',
  rows: [
    { hint: 'enam', city: 'Ashburn', center: 'IAD' },
    { hint: 'weur', city: 'Amsterdam', center: 'AMS' },
    { hint: 'apac-se', city: 'Singapore', center: 'SIN' },
  ],
};

/**
 * Azure's region at each data center that holds objects. Those with `estimate` have none in their metropolitan area: the
 * nearest region stands for them.
 */
export const CENTERS = {
  source: 'azure',
  rows: {
    AMS: { region: 'West Europe' },
    ARN: { region: 'Sweden Central' },
    BNE: { region: 'Australia East', estimate: true },
    CDG: { region: 'France Central' },
    EWR: { region: 'East US', estimate: true },
    FRA: { region: 'Germany West Central' },
    HKG: { region: 'East Asia' },
    IAD: { region: 'East US' },
    ICN: { region: 'Korea Central' },
    KIX: { region: 'Japan West' },
    LAX: { region: 'West US', estimate: true },
    LHR: { region: 'UK South' },
    LIS: { region: 'Spain Central', estimate: true },
    MAD: { region: 'Spain Central' },
    MEL: { region: 'Australia Southeast' },
    MIA: { region: 'East US 2', estimate: true },
    MRS: { region: 'France South' },
    NRT: { region: 'Japan East' },
    ORD: { region: 'North Central US' },
    SEA: { region: 'West US 2' },
    SIN: { region: 'Southeast Asia' },
    SJC: { region: 'West US' },
    SYD: { region: 'Australia East' },
    VIE: { region: 'Austria East' },
    WAW: { region: 'Poland Central' },
  },
};

/** The round trip within a region, in ms: an upper bound. */
export const WITHIN_A_REGION = { source: 'zones', value: 2 };

/** Median round trips in ms, from the region of the row to those of the columns. */
export const ROUND_TRIPS = {
  source: 'azure',
  to: ['West US 2', 'West US', 'North Central US', 'East US', 'East US 2', 'UK South', 'West Europe', 'France Central', 'France South', 'Spain Central', 'Germany West Central', 'Sweden Central', 'Poland Central', 'Austria East', 'Southeast Asia', 'East Asia', 'Korea Central', 'Japan East', 'Japan West', 'Australia East', 'Australia Southeast'],
  from: {
    'West US 2': [null, 24, 51, 73, 68, 139, 142, 149, 148, 141, 155, 158, 160, 163, 162, 141, 124, 101, 107, 160, 172],
    'West US': [24, null, 52, 67, 66, 140, 145, 146, 145, 134, 152, 162, 161, 164, 170, 148, 131, 108, 114, 140, 150],
    'North Central US': [51, 51, null, 20, 23, 97, 101, 106, 100, 95, 110, 119, 117, 117, 209, 188, 169, 148, 154, 186, 197],
    'Canada Central': [64, 69, 19, 18, 22, 81, 90, 89, 86, 91, 97, 109, 108, 109, 222, 201, 182, 160, 167, 202, 212],
    'East US': [71, 69, 19, null, 8, 78, 83, 88, 84, 81, 94, 100, 100, 103, 224, 202, 184, 162, 168, 201, 212],
    'Brazil South': [177, 169, 137, 118, 117, 181, 185, 191, 186, 183, 198, 201, 203, 205, 331, 307, 283, 262, 268, 295, 307],
    'UK South': [139, 140, 97, 78, 82, null, 11, 11, 20, 25, 17, 31, 29, 28, 167, 200, 240, 229, 232, 261, 261],
    'France Central': [149, 145, 104, 87, 83, 10, 13, null, 14, 19, 12, 37, 30, 21, 162, 193, 239, 229, 231, 255, 254],
    'Spain Central': [142, 134, 96, 81, 76, 25, 28, 20, 18, null, 27, 51, 47, 37, 166, 186, 234, 226, 227, 255, 252],
    'Germany West Central': [154, 151, 110, 94, 92, 16, 11, 12, 19, 26, null, 28, 23, 14, 166, 192, 244, 235, 236, 266, 254],
    'Sweden Central': [159, 160, 121, 100, 105, 31, 27, 36, 43, 50, 27, null, 26, 36, 190, 219, 260, 252, 254, 285, 277],
    'Poland Central': [160, 161, 115, 102, 108, 29, 22, 32, 37, 47, 23, 25, null, 17, 184, 205, 258, 249, 252, 278, 273],
    'South Africa North': [280, 272, 234, 220, 216, 163, 166, 159, 158, 143, 166, 188, 185, 176, 177, 210, 242, 247, 246, 328, 321],
    'UAE North': [241, 236, 190, 176, 188, 112, 111, 114, 93, 97, 100, 122, 116, 106, 83, 113, 147, 151, 151, 173, 167],
    'Central India': [211, 217, 218, 201, 204, 141, 139, 135, 118, 135, 140, 164, 147, 133, 53, 87, 121, 122, 123, 145, 138],
    'Southeast Asia': [162, 170, 210, 224, 228, 167, 169, 162, 142, 164, 166, 191, 184, 173, null, 36, 68, 72, 72, 95, 88],
    'East Asia': [141, 148, 188, 204, 204, 200, 203, 194, 170, 185, 193, 220, 204, 194, 36, null, 39, 49, 48, 122, 120],
    'Korea Central': [124, 130, 170, 185, 188, 239, 241, 234, 204, 239, 235, 260, 252, 240, 68, 39, null, 30, 19, 126, 137],
    'Japan East': [100, 107, 147, 162, 165, 230, 234, 231, 221, 224, 236, 253, 250, 244, 72, 49, 29, null, 11, 103, 114],
    'Australia East': [161, 140, 187, 202, 196, 261, 264, 256, 235, 253, 267, 286, 278, 268, 95, 121, 127, 104, 110, null, 15],
  },
};

/** The same source over all its locations, in ms: the mean of each over its data centers, weighted by their shares. */
export const ALL_LOCATIONS = { source: 'objects', locations: 292, centers: 31, median: 63, ninetieth: 118 };
