// SPDX-License-Identifier: BSD-2-Clause
// A run as one picture: rates and costs beside their limits, each curve with its floor, latency by how the
// ends wait, ours beside the peers. Ours is blue everywhere. Plain SVG without scripts or fonts of its own; axes are logarithmic, because what matters is factors.

const WIDTH = 380; // of a panel, px
const HEIGHT = 230;
const BOX = { left: 48, right: 12, top: 30, bottom: 34 };
const COLUMNS = 3;
const COLOURS = ['#1f6feb', '#8b949e', '#d29922', '#2da44e'];

const escape = (text) => String(text).replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

const short = (value) => {
  if (value >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
};

/** Of an axis: what was asked for, not about that. */
const exact = (value) =>
  value >= 10_000 && value % 1000 === 0 ? `${value / 1000}k` : String(value);

/** A logarithmic scale from [least, most] to [from, to] px. */
function logScale(values, from, to) {
  const least = Math.log10(Math.min(...values)) - 0.05;
  const most = Math.log10(Math.max(...values)) + 0.05;
  const at = (value) => from + ((Math.log10(value) - least) / (most - least)) * (to - from);
  const ticks = [];
  const span = most - least;
  const digits = span > 2.5 ? [1] : span > 0.9 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 8];
  for (let power = Math.floor(least); power <= most; power++)
    for (const digit of digits) {
      const tick = digit * 10 ** power;
      if (Math.log10(tick) >= least && Math.log10(tick) <= most) ticks.push(tick);
    }
  return { at, ticks };
}

const line = (x1, y1, x2, y2, colour) =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`;
const label = (x, y, text, anchor = 'middle', size = 10, colour = '#57606a') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" fill="${colour}" text-anchor="${anchor}">${escape(text)}</text>`;

/** series: [{name, points: [[x, y]]}] on two logarithmic axes. */
function curvePanel(title, unit, series) {
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y));
  const x = logScale(xs, BOX.left, WIDTH - BOX.right);
  const y = logScale(ys, HEIGHT - BOX.bottom, BOX.top);
  const parts = [label(BOX.left, 16, `${title}, ${unit}`, 'start', 12, '#24292f')];
  for (const tick of y.ticks)
    parts.push(
      line(BOX.left, y.at(tick), WIDTH - BOX.right, y.at(tick), '#eaeef2'),
      label(BOX.left - 5, y.at(tick) + 3, short(tick), 'end'),
    );
  for (const at of new Set(xs)) parts.push(label(x.at(at), HEIGHT - BOX.bottom + 14, exact(at)));
  for (const [i, { name, points }] of series.entries()) {
    const path = points.map(([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`).join(' ');
    parts.push(
      `<polyline fill="none" stroke="${COLOURS[i]}" stroke-width="2" points="${path}"/>`,
      label(BOX.left + i * 90, HEIGHT - 6, name, 'start', 10, COLOURS[i]),
    );
  }
  return parts.join('\n');
}

/**
 * rows: [{name, values}]: a bar each from the least of all, on one logarithmic axis, and the values.
 * @param names of the values, in their colours
 */
function barPanel(title, unit, names, rows) {
  const left = WIDTH * 0.42;
  const x = logScale(
    rows.flatMap(({ values }) => values),
    left,
    WIDTH - BOX.right - 115,
  );
  const step = Math.min(26, (HEIGHT - BOX.top - 10) / rows.length);
  const size = Math.min(10, step);
  const parts = [label(8, 16, `${title}, ${unit}`, 'start', 12, '#24292f')];
  for (const [i, name] of names.entries())
    parts.push(
      label(WIDTH - BOX.right - 50 * (names.length - 1 - i), 16, name, 'end', 10, COLOURS[i]),
    );
  for (const [i, { name, values }] of rows.entries()) {
    const y = BOX.top + step * (i + 0.5);
    const from = x.at(Math.min(...values));
    const to = x.at(Math.max(...values));
    parts.push(label(left - 8, y + 3, name, 'end', size));
    if (to > from) parts.push(line(from, y, to, y, COLOURS[1]));
    for (const [n, value] of values.entries())
      parts.push(
        `<circle cx="${x.at(value).toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${COLOURS[n]}"/>`,
      );
    parts.push(label(to + 6, y + 3, values.map(short).join(', '), 'start', size));
  }
  return parts.join('\n');
}

/** Rows that have a limit, beside it. */
function limitPanel(title, unit, scale, limit, rows) {
  const some = rows.filter((row) => row.value && row.limitValue);
  if (some.length === 0) return [];
  const values = (row) => [row.value.median * scale, row.limitValue.median * scale];
  return [
    barPanel(
      title,
      unit,
      ['ours', limit],
      some.map((row) => ({ name: row.name, values: values(row) })),
    ),
  ];
}

const startsWith = (rows, ...starts) =>
  rows.filter(({ name }) => starts.some((start) => name.startsWith(start)));

function figurePanels(rows) {
  return [
    ...limitPanel('two processors', 'Mpps', 1e-6, 'limit', startsWith(rows, 'two-')),
    ...limitPanel(
      'flooding, and who sleeps',
      'Mpps',
      1e-6,
      'limit',
      startsWith(rows, 'flood-', 'spin-', 'block-', 'same-core-'),
    ),
    ...limitPanel('one processor', 'ns a frame', 1e9, 'floor', startsWith(rows, 'sync-')),
    ...limitPanel('generation', 'ns a frame', 1e9, 'bare', startsWith(rows, 'generate-')),
  ];
}

function curvePanels(rows) {
  const axes = [...new Set(rows.flatMap(({ curve }) => (curve ? [curve.axis] : [])))];
  return axes.flatMap((axis) => {
    const points = rows.filter((row) => row.curve?.axis === axis && row.value);
    if (points.length < 2) return [];
    const series = [
      { name: 'switch', points: points.map((row) => [row.curve.at, row.value.median * 1e9]) },
    ];
    if (points[0].limitValue)
      series.push({
        name: points[0].limit,
        points: points.map((row) => [row.curve.at, row.limitValue.median * 1e9]),
      });
    return [curvePanel(axis, 'ns a frame', series)];
  });
}

function latencyPanel(rows) {
  const some = rows.filter((row) => row.name.startsWith('latency-') && row.p99 !== undefined);
  if (some.length === 0) return [];
  return [
    barPanel(
      'round trip',
      'µs',
      ['p50', 'p99', 'p99.9'],
      some.map((row) => ({
        name: row.name.slice('latency-'.length),
        values: [row.value.median, row.p99, row.p999].map((seconds) => seconds * 1e6),
      })),
    ),
  ];
}

function peerPanels(rows) {
  const peers = startsWith(rows, 'peer-').map((row) => ({
    ...row,
    name: row.name.slice('peer-'.length),
    // Ours first, as everywhere.
    value: row.limitValue,
    limitValue: row.value,
  }));
  const generators = startsWith(peers, 'testpmd-');
  const times = peers.filter(({ metric }) => metric === 'time');
  const bySize = (size) => peers.filter(({ name }) => name.includes(`-${size}`));
  return [
    ...limitPanel('peers, 60 bytes', 'Mpps', 1e-6, 'peer', bySize(60)),
    ...limitPanel('peers, 1514 bytes', 'Mpps', 1e-6, 'peer', bySize(1514)),
    ...limitPanel('peers, generation', 'Mpps', 1e-6, 'peer', generators),
    ...limitPanel('peers, round trip', 'µs', 1e6, 'peer', times),
  ];
}

/** The document of report.mjs as SVG; undefined when there is nothing to draw. */
export function chart({ rows, time, commit }) {
  const panels = [
    ...figurePanels(rows),
    ...curvePanels(rows),
    ...latencyPanel(rows),
    ...peerPanels(rows),
  ];
  if (panels.length === 0) return undefined;
  const height = Math.ceil(panels.length / COLUMNS) * HEIGHT + 24;
  const width = Math.min(COLUMNS, panels.length) * WIDTH;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    ...panels.map(
      (panel, i) =>
        `<g transform="translate(${(i % COLUMNS) * WIDTH} ${Math.floor(i / COLUMNS) * HEIGHT})">\n${panel}\n</g>`,
    ),
    label(8, height - 8, `vale-switch ${commit?.slice(0, 9) ?? ''}, ${time}`, 'start'),
    '</svg>\n',
  ].join('\n');
}
