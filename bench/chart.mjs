// SPDX-License-Identifier: BSD-2-Clause
// A run as one picture: each curve with its floor, latency by how the ends wait, ours beside the peers.
// Plain SVG without scripts or fonts of its own; axes are logarithmic, because what matters is factors.

const WIDTH = 320; // of a panel, px
const HEIGHT = 220;
const BOX = { left: 48, right: 12, top: 30, bottom: 34 };
const COLUMNS = 3;
const COLOURS = ['#1f6feb', '#8b949e', '#d29922', '#2da44e'];

const escape = (text) => String(text).replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

const short = (value) => {
  if (value >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
};

/** A logarithmic scale from [least, most] to [from, to] px. */
function logScale(values, from, to) {
  const least = Math.log10(Math.min(...values)) - 0.05;
  const most = Math.log10(Math.max(...values)) + 0.05;
  const at = (value) => from + ((Math.log10(value) - least) / (most - least)) * (to - from);
  const ticks = [];
  for (let power = Math.floor(least); power <= most; power++)
    for (const digit of most - least > 2.5 ? [1] : [1, 2, 5]) {
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
  for (const at of new Set(xs)) parts.push(label(x.at(at), HEIGHT - BOX.bottom + 14, short(at)));
  for (const [i, { name, points }] of series.entries()) {
    const path = points.map(([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`).join(' ');
    parts.push(
      `<polyline fill="none" stroke="${COLOURS[i]}" stroke-width="2" points="${path}"/>`,
      label(BOX.left + i * 90, HEIGHT - 6, name, 'start', 10, COLOURS[i]),
    );
  }
  return parts.join('\n');
}

/** rows: [{name, values}]: a bar each from the least of all, on one logarithmic axis. */
function barPanel(title, unit, rows) {
  const x = logScale(
    rows.flatMap(({ values }) => values),
    WIDTH * 0.5,
    WIDTH - BOX.right - 30,
  );
  const step = (HEIGHT - BOX.top - 10) / rows.length;
  const parts = [label(8, 16, `${title}, ${unit}`, 'start', 12, '#24292f')];
  for (const [i, { name, values }] of rows.entries()) {
    const y = BOX.top + step * (i + 0.5);
    const from = x.at(Math.min(...values));
    const to = x.at(Math.max(...values));
    parts.push(label(WIDTH * 0.5 - 8, y + 3, name, 'end', Math.min(10, step)));
    if (to > from) parts.push(line(from, y, to, y, COLOURS[1]));
    for (const [n, value] of values.entries())
      parts.push(
        `<circle cx="${x.at(value).toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${COLOURS[n]}"/>`,
      );
    parts.push(label(to + 6, y + 3, short(Math.max(...values)), 'start', Math.min(10, step)));
  }
  return parts.join('\n');
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
      'round trip: p50, p99, p99.9',
      'µs',
      some.map((row) => ({
        name: row.name.slice('latency-'.length),
        values: [row.value.median, row.p99, row.p999].map((seconds) => seconds * 1e6),
      })),
    ),
  ];
}

function peerPanels(rows) {
  const some = rows.filter((row) => row.name.startsWith('peer-') && row.value);
  const bySize = (size) => some.filter((row) => row.name.includes(`-${size}`));
  const generators = some.filter((row) => row.name.startsWith('peer-testpmd'));
  return [
    ['60 B: peer, ours', bySize(60)],
    ['1514 B: peer, ours', bySize(1514)],
    ['generation: peer, ours', generators],
  ].flatMap(([title, group]) =>
    group.length === 0
      ? []
      : [
          barPanel(
            title,
            'Mpps',
            group.map((row) => ({
              name: row.name.slice('peer-'.length),
              values: [row.value.median * 1e-6, row.limitValue.median * 1e-6],
            })),
          ),
        ],
  );
}

/** The document of report.mjs as SVG; undefined when there is nothing to draw. */
export function chart({ rows, time, commit }) {
  const panels = [...curvePanels(rows), ...latencyPanel(rows), ...peerPanels(rows)];
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
