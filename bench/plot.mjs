// SPDX-License-Identifier: Apache-2.0
// Plots the results: bars show the rates, whiskers reach from the slowest run to the fastest.

const WIDTH = 760;
const LEFT = 290;
const BAR = 18;
const GAP = 8;
const COLORS = { vault: '#1f6feb', peer: '#8c959f', hop: '#d0d7de' };

/** @returns {string} an SVG document */
export function plot({ warm, growth, date, machine }) {
  const rates = [
    heading('Warm exchange'),
    bar('vault', 'vault', warm.remembered.vault.per_second),
    bar('JavaScript with jose and WebCrypto', 'peer', warm.remembered.peer.per_second),
    bar('one hop to an object, a constant', 'hop', warm.remembered.hop.per_second),
    heading('Subject tokens seen for the first time'),
    bar('vault', 'vault', warm.unknown.vault.per_second),
    bar('JavaScript with jose and WebCrypto', 'peer', warm.unknown.peer.per_second),
    ...Object.entries(growth).flatMap(([what, steps]) => [
      heading(`Warm exchange as ${what} grow`),
      ...steps.map(({ step, per_second: rate }) => bar(`${step.toLocaleString('en')} ${what}`, 'vault', rate)),
    ]),
  ];
  const most = Math.max(...rates.map((row) => row.rate?.max ?? 0));
  const scale = (value) => ((WIDTH - LEFT - 70) * value) / most;
  let y = 44;
  const drawn = rates.map((row) => {
    const text = row.rate ? drawBar(row, y, scale) : drawHeading(row, y + GAP);
    y += BAR + GAP + (row.rate ? 0 : GAP);
    return text;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 30}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="26" font-size="16" font-weight="bold">Exchanges per second, 16 connections</text>
${drawn.join('\n')}
<text x="16" y="${y + 18}" fill="#57606a">Medians of five runs in turn; whiskers from least to most. workerd on ${machine.cores} cores, ${date}.</text>
</svg>
`;
}

const heading = (title) => ({ title });
const bar = (title, kind, rate) => ({ title, kind, rate });

function drawHeading({ title }, y) {
  return `<text x="16" y="${y + 13}" font-weight="bold">${title}</text>`;
}

function drawBar({ title, kind, rate }, y, scale) {
  const middle = y + BAR / 2;
  const [low, high] = [LEFT + scale(rate.min), LEFT + scale(rate.max)].map((x) => x.toFixed(1));
  return [
    `<text x="${LEFT - 10}" y="${middle + 4}" text-anchor="end">${title}</text>`,
    `<rect x="${LEFT}" y="${y}" width="${scale(rate.median).toFixed(1)}" height="${BAR}" fill="${COLORS[kind]}"/>`,
    `<path d="M${low} ${middle}H${high}M${low} ${middle - 4}v8M${high} ${middle - 4}v8" stroke="#24292f" fill="none"/>`,
    `<text x="${(Number(high) + 8).toFixed(1)}" y="${middle + 4}">${Math.round(rate.median).toLocaleString('en')}</text>`,
  ].join('');
}
