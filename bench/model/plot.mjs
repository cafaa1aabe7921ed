// SPDX-License-Identifier: Apache-2.0
// Plots the latency of exchanges: a row for each city. The upper line of a row has the times without leases, the lower one the
// means with them: of the nearest hint, and up to that of the farthest user without one.
import { HINTS } from './figures.mjs';
import { hopShare, mean, rows } from './latency.mjs';

const WIDTH = 480;

/** How large it is drawn, where the page has room. */
const SCALE = 1.25;

const LEFT = 108;
const RIGHT = 20;
const TOP = 152;
const ROW = 29;
const STEP = 50;
const COLORS = { enam: '#1f6feb', weur: '#bf3989', 'apac-se': '#1a7f37' };
const SHAPES = {
  enam: (x, y) => `<circle cx="${x}" cy="${y}" r="4.5"`,
  weur: (x, y) => `<rect x="${fixed(x - 4)}" y="${fixed(y - 4)}" width="8" height="8"`,
  'apac-se': (x, y) => `<path d="M${x} ${fixed(y - 5)}l5.2 9h-10.4z"`,
};

const fixed = (number) => Number(number.toFixed(1));

/**
 * @param {import('./latency.mjs').Times} times
 * @returns {string} an SVG document
 */
export function plot(times, leaseSeconds) {
  const all = rows();
  const most = Math.ceil(Math.max(...all.map(({ unhinted }) => unhinted.worst + times.exchange)) / STEP) * STEP;
  const x = (time) => fixed(LEFT + ((WIDTH - LEFT - RIGHT) * time) / most);
  const bottom = TOP + all.length * ROW;
  const share = hopShare(1, leaseSeconds);
  const drawn = all.map((row, index) => drawRow(row, TOP + index * ROW, x, times, share));
  const notes = [
    'Back ends in these cities. With a hint, the object lies in the city that is named',
    'beside it; without one, where the user was who connected: in these cities, too.',
    'Sources: Azure network round-trip latency statistics, July 2026;',
    'Where Durable Objects Live, October 2026.',
  ];
  const height = bottom + 50 + notes.length * 17;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH * SCALE}" height="${fixed(height * SCALE)}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="26" font-size="16" font-weight="bold">Exchanges on the edge, in ms, by the model</text>
${legend(leaseSeconds)}
${axis(most, x, bottom)}
${drawn.join('\n')}
${notes.map((note, index) => `<text x="16" y="${bottom + 42 + index * 17}" fill="#57606a" font-size="11.5">${note}</text>`).join('\n')}
</svg>
`;
}

function legend(leaseSeconds) {
  const hints = HINTS.rows.map(({ hint, city }, index) => {
    const left = 24 + index * 146;
    return `${mark(hint, left, 48)}<text x="${left + 11}" y="52">${hint}, ${city}</text>`;
  });
  return `${hints.join('\n')}
<rect x="16" y="66" width="34" height="10" fill="#d0d7de"/><path d="M33 63v16" stroke="#24292f" stroke-width="2"/>
<text x="58" y="76">no hint: from the nearest user to the farthest, and the median</text>
<rect x="24" y="93" width="26" height="5" fill="#d0d7de"/>${mark('enam', 24, 95, true)}
<text x="58" y="100">${leaseSeconds} s of lease, mean at 1 per s: nearest hint to farthest user</text>`;
}

const mark = (hint, x, y, leased = false) =>
  `${SHAPES[hint](x, y)} fill="${leased ? '#fff' : COLORS[hint]}"${leased ? ` stroke="${COLORS[hint]}" stroke-width="1.5"` : ''}/>`;

function axis(most, x, bottom) {
  const steps = Array.from({ length: most / STEP + 1 }, (_, index) => index * STEP);
  return steps.map((time) => `<path d="M${x(time)} ${TOP - 8}V${bottom}" stroke="#eaeef2"/>
<text x="${x(time)}" y="${TOP - 14}" text-anchor="middle" fill="#57606a">${time}</text>
<text x="${x(time)}" y="${bottom + 16}" text-anchor="middle" fill="#57606a">${time}</text>`).join('\n');
}

function drawRow({ city, hinted, unhinted }, y, x, times, share) {
  const [line, below] = [y + 9, y + 21];
  const [least, middle, worst] = [unhinted.least, unhinted.median, unhinted.worst].map((trip) => x(times.exchange + trip));
  const nearest = hinted.reduce((best, one) => (one.trip < best.trip ? one : best));
  const [leasedLeast, leasedWorst] = [nearest.trip, unhinted.worst].map((trip) => x(mean(times, trip, share)));
  return [
    `<text x="${LEFT - 12}" y="${y + 16}" text-anchor="end">${city.name}</text>`,
    `<rect x="${least}" y="${line - 5}" width="${fixed(worst - least)}" height="10" fill="#d0d7de"/>`,
    `<path d="M${middle} ${line - 7}v14" stroke="#24292f" stroke-width="2"/>`,
    ...hinted.map(({ hint, trip }) => mark(hint, x(times.exchange + trip), line)),
    `<rect x="${leasedLeast}" y="${below - 2.5}" width="${fixed(leasedWorst - leasedLeast)}" height="5" fill="#d0d7de"/>`,
    mark(nearest.hint, leasedLeast, below, true),
  ].join('');
}
