// SPDX-License-Identifier: BSD-2-Clause
// What a run looks like: one table for people, one object for programs.
import Table from 'cli-table3';

const units = {
  rate: { scale: 1e-6, unit: 'Mpps', digits: 2 },
  time: { scale: 1e6, unit: 'µs', digits: 2 },
  nanoseconds: { scale: 1e9, unit: 'ns', digits: 1 },
  milliseconds: { scale: 1e3, unit: 'ms', digits: 2 },
  kibibytes: { scale: 1 / 1024, unit: 'KiB', digits: 0 },
  startup: { scale: 1e3, unit: 'ms', digits: 0 },
  line: { scale: 1e9, unit: 'ns', digits: 0 },
  bytes: { scale: 1e-6, unit: 'MB', digits: 2 },
  share: { scale: 100, unit: '% of a core', digits: 2 },
  instructions: { scale: 1, unit: 'instr/frame', digits: 2 },
};

/** So many digits behind the point; more where less than a tenth would lose its figures. */
const fixed = (value, digits) =>
  value !== 0 && Math.abs(value) < 0.1
    ? String(Number(value.toPrecision(2)))
    : value.toFixed(digits);

const range = ({ median, min, max }, scale, digits) =>
  min === max
    ? fixed(median * scale, digits)
    : `${fixed(median * scale, digits)} (${fixed(min * scale, digits)}..${fixed(max * scale, digits)})`;

/** Of two builds: in how many pairs this one was the better one. */
function comparedText({ metric }, { pairs, of }) {
  return `better in ${metric === 'rate' ? pairs : of - pairs} of ${of}`;
}

function barText({ trial, result, verdict }) {
  if (trial.compared && result) return comparedText(trial, result.above);
  if (trial.bar === undefined) return '';
  const { of, min, max } = trial.bar;
  const { scale, unit } = of === 'value' ? units[trial.metric] : { scale: 1, unit: '' };
  const bound = min === undefined ? `≤ ${max * scale}` : `≥ ${min * scale}`;
  return `${bound} ${unit}`.trim() + (result ? `: ${verdict}` : '');
}

const nanoseconds = (seconds) => Math.round(seconds * 1e9);

function valueText({ trial, result }) {
  const { scale, unit, digits } = units[trial.metric];
  const parts = [`${range(result.value, scale, digits)} ${unit}`];
  if (trial.metric === 'rate' && result.bitsPerSecond !== undefined)
    parts.push(`${fixed(result.bitsPerSecond * 1e-9, 1)} Gbit/s`);
  for (const [key, name] of [
    ['p99', 'p99'],
    ['p999', 'p99.9'],
  ])
    if (result[key] !== undefined) parts.push(`${name} ${fixed(result[key] * scale, digits)}`);
  if (result.switchPerFrame !== undefined)
    parts.push(`switch ${fixed(result.switchPerFrame * 1e9, 0)} ns/frame`);
  if (result.framesPerSleep !== undefined)
    parts.push(`${fixed(result.framesPerSleep, 0)} frames a sleep`);
  if (result.hugePages !== undefined)
    parts.push(result.hugePages ? 'in huge pages' : 'without huge pages');
  const places = Object.entries(result.places ?? {}).map(
    ([place, { median, windows }]) => `${place} ${fixed(median * scale, digits)} ×${windows}`,
  );
  return parts.join(', ') + (places.length > 0 ? `; ${places.join(', ')}` : '');
}

function ratioText({ trial, result }) {
  if (result.ofLine) return `${range(result.ofLine, 1, 1)} of a line's`;
  if (!result.ratio) return '';
  const { scale, unit, digits } = units[trial.metric];
  const own = result.oursPerFrame && `, switch ${fixed(result.oursPerFrame * 1e9, 0)} ns/frame`;
  const limit = result.limitValue
    ? ` (${fixed(result.limitValue.median * scale, digits)} ${unit}${own ?? ''})`
    : '';
  if (trial.kind === 'peer') return `ours: ${range(result.ratio, 1, 1)} ×${limit}`;
  return `${range(result.ratio, 1, 2)} of ${(trial.limit ?? trial.floor).name}${limit}`;
}

function cells(row) {
  const { trial, result, skipped, error } = row;
  if (!result) {
    const why = skipped ? `skipped: ${skipped}` : `failed: ${error}`;
    return [trial.name, { content: why, colSpan: 6 }];
  }
  const trips = result.roundTrip;
  return [
    trial.name,
    valueText(row),
    ratioText(row),
    trips ? `${nanoseconds(trips.before)} → ${nanoseconds(trips.after)}` : '',
    result.dropped === undefined ? '' : `${fixed(result.dropped * 100, 1)} %`,
    result.repeated + result.disturbed > 0 ? `${result.repeated}/${result.disturbed}` : '',
    barText(row),
  ];
}

const head = [
  'name',
  'median (min..max)',
  'ratio (min..max) of limit (its median)',
  'line, ns',
  'dropped',
  'again/off',
  'bar',
];

/** All rows in one table, under the names of their groups. No colour: the same in a file. */
export function table(rows) {
  const all = new Table({ head, style: { head: [], border: [], compact: true } });
  let group;
  for (const row of rows) {
    if (row.trial.group !== group) {
      group = row.trial.group;
      all.push([{ content: `— ${group}`, colSpan: head.length }]);
    }
    all.push(cells(row));
  }
  return `${all.toString()}\n`;
}

export const legend = `line: round trip of one cache line between the two cores, before and after. A figure that says near, far
or moved met more than one placement: medians and windows of each. again/off: pairs taken again because
the cores moved or something else ran / pairs kept although. See docs/performance.md.
`;

/** The run as one object; SI base units, ratios as they are. */
export function document(run, rows) {
  return {
    schema: 'vale-bench/2',
    ...run,
    rows: rows.map(
      ({ trial, result, verdict, command, limitCommand, skipped, error, seconds }) => ({
        name: trial.name,
        group: trial.group,
        metric: trial.metric,
        command,
        limit: (trial.limit ?? trial.floor)?.name,
        limitCommand,
        curve: trial.curve,
        bar: trial.bar && { ...trial.bar, verdict },
        skipped,
        error,
        seconds,
        ...result,
      }),
    ),
  };
}
