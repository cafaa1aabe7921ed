// SPDX-License-Identifier: Apache-2.0
// Plots the results: for each comparison both sides, and their ratio with its quartiles against the bar.
import { SUBJECTS, UNITS, barOf } from './bars.mjs';

const WIDTH = 1040;
const ROW = 46;
const TITLES = { x: 16 };
const SIDES = { x: 250, width: 210 };
const RATIOS = { x: 680, width: 240 };
const OURS = '#1f6feb';
const THEIRS = '#afb8c1';
const HOLDS = '#1a7f37';
const MISSED = '#cf222e';
const INK = '#24292f';
const FAINT = '#57606a';

/** The ends of the logarithmic axis of ratios, and its marks. */
const AXIS = { least: 0.4, most: 6, marks: [0.5, 0.75, 1, 1.5, 2, 3, 5] };

/** Which way is better on that axis. */
const better = ({ most }) => (most === undefined ? 'more' : 'less');

/** @returns {string} an SVG document */
export function plot({ comparisons, groups, growth, date, machine }) {
  const top = 92;
  const rows = comparisons.map((one, index) => row(one, groups[one.group], top + index * ROW));
  const end = top + comparisons.length * ROW;
  const grown = growths(growth, end + 58);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${grown.end + 46}" font-family="sans-serif" font-size="12" fill="${INK}">
<rect width="100%" height="100%" fill="#fff"/>
${text(TITLES.x, 28, 'The vault against its bars', { size: 17, bold: true })}
${text(SIDES.x, 58, 'Both sides', { bold: true })}
${text(SIDES.x, 74, 'blue is the vault; each row has its own scale', { color: FAINT, size: 11 })}
${text(RATIOS.x, 58, 'Ratio, median and quartiles', { bold: true })}
${text(RATIOS.x, 74, 'green is where the bar holds', { color: FAINT, size: 11 })}
${axis(top - 4, end)}
${rows.join('\n')}
${grown.drawn}
${text(TITLES.x, grown.end + 28, `Medians of alternating runs; whiskers are quartiles. workerd, 16 connections, ${machine.cores} cores shared with the load, ${date}.`, { color: FAINT })}
</svg>
`;
}

const place = (ratio) => {
  const share = Math.log(ratio / AXIS.least) / Math.log(AXIS.most / AXIS.least);
  return RATIOS.x + RATIOS.width * Math.min(1, Math.max(0, share));
};

function axis(from, to) {
  return AXIS.marks.map((mark) => (
    `<path d="M${place(mark).toFixed(1)} ${from}V${to}" stroke="${mark === 1 ? '#8c959f' : '#eaeef2'}"/>`
    + text(place(mark), to + 14, String(mark), { color: FAINT, size: 11, anchor: 'middle' })
  )).join('\n');
}

function row(comparison, group, y) {
  const { title, detail, ours, theirs, member } = comparison;
  const [first, second] = [group[ours][member], group[theirs][member]];
  const most = Math.max(first.high, second.high);
  return [
    text(TITLES.x, y + 16, title, { bold: true }),
    text(TITLES.x, y + 31, detail, { color: FAINT, size: 11 }),
    side(first, SUBJECTS[ours], OURS, most, member, y + 5),
    side(second, SUBJECTS[theirs], THEIRS, most, member, y + 21),
    against(comparison, y),
  ].join('');
}

function side(spread, name, color, most, member, y) {
  const { title, digits } = UNITS[member];
  const scale = (value) => SIDES.x + (SIDES.width * value) / most;
  return [
    `<rect x="${SIDES.x}" y="${y}" width="${(scale(spread.median) - SIDES.x).toFixed(1)}" height="13" fill="${color}"/>`,
    whisker(scale(spread.low), scale(spread.high), y + 6.5, INK),
    text(SIDES.x + SIDES.width + 10, y + 11, `${number(spread.median, digits)} ${title}, ${name}`, { size: 11 }),
  ].join('');
}

/** The ratio and the part of the axis in which the bar holds. */
function against(comparison, y) {
  const { ratio, least, most, holds } = comparison;
  const bar = place(least ?? most);
  const [from, to] = better(comparison) === 'more' ? [bar, RATIOS.x + RATIOS.width] : [RATIOS.x, bar];
  const color = holds ? HOLDS : MISSED;
  const middle = y + 20;
  return [
    `<rect x="${from.toFixed(1)}" y="${y + 6}" width="${(to - from).toFixed(1)}" height="28" fill="#dafbe1"/>`,
    `<path d="M${bar.toFixed(1)} ${y + 4}v32" stroke="${INK}" stroke-width="1.5"/>`,
    whisker(place(ratio.low), place(ratio.high), middle, color, 2),
    `<circle cx="${place(ratio.median).toFixed(1)}" cy="${middle}" r="4.5" fill="${color}"/>`,
    text(RATIOS.x + RATIOS.width + 12, y + 17, ratio.median.toFixed(2), { bold: true, color }),
    text(RATIOS.x + RATIOS.width + 12, y + 32, `${barOf(comparison)}: ${holds ? 'holds' : 'missed'}`, { color, size: 11 }),
  ].join('');
}

/** The rates while the vault grows, relative to the first step, on one scale. */
function growths(growth, top) {
  let y = top;
  const most = Math.max(1.2, ...Object.values(growth).flatMap((steps) => steps.map(({ to_first: { high } }) => high)));
  const scale = (value) => SIDES.x + (SIDES.width * value) / most;
  const drawn = [
    text(TITLES.x, y, 'Warm exchange without lease, as the vault grows', { bold: true }),
    text(SIDES.x + SIDES.width + 10, y, 'relative to the first', { color: FAINT, size: 11 }),
  ];
  y += 10;
  for (const [what, steps] of Object.entries(growth)) {
    for (const { step, to_first: ratio } of steps.slice(1)) {
      drawn.push(
        text(SIDES.x - 10, y + 13, `${number(step, 0)} ${what}`, { anchor: 'end', size: 11 }),
        `<rect x="${SIDES.x}" y="${y + 3}" width="${(scale(ratio.median) - SIDES.x).toFixed(1)}" height="13" fill="${OURS}"/>`,
        whisker(scale(ratio.low), scale(ratio.high), y + 9.5, INK),
        text(SIDES.x + SIDES.width + 10, y + 14, ratio.median.toFixed(2), { size: 11 }),
      );
      y += 18;
    }
  }
  drawn.push(`<path d="M${scale(1).toFixed(1)} ${top + 10}V${y}" stroke="${INK}" stroke-dasharray="3 3"/>`);
  return { drawn: drawn.join('\n'), end: y };
}

const number = (value, digits) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function whisker(low, high, y, color, width = 1) {
  const [from, to] = [low, high].map((x) => x.toFixed(1));
  return `<path d="M${from} ${y}H${to}M${from} ${y - 4}v8M${to} ${y - 4}v8" stroke="${color}" stroke-width="${width}" fill="none"/>`;
}

function text(x, y, content, /** @type {{size?: number, bold?: boolean, color?: string, anchor?: string}} */ { size, bold, color, anchor } = {}) {
  const attributes = [
    size && ` font-size="${size}"`,
    bold && ' font-weight="bold"',
    color && ` fill="${color}"`,
    anchor && ` text-anchor="${anchor}"`,
  ].filter(Boolean).join('');
  return `<text x="${x.toFixed(1)}" y="${y}"${attributes}>${content}</text>`;
}
