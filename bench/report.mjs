// SPDX-License-Identifier: BSD-2-Clause
// What a run looks like: tables for people, one object for programs.
import Table from 'cli-table3';

const units = {
  rate: { scale: 1e-6, unit: 'Mpps', digits: 2 },
  time: { scale: 1e6, unit: 'µs', digits: 2 },
  startup: { scale: 1e3, unit: 'ms', digits: 0 },
  line: { scale: 1e9, unit: 'ns', digits: 0 },
  share: { scale: 100, unit: '% of a core', digits: 2 },
  instructions: { scale: 1, unit: 'instr/frame', digits: 2 },
};

const fixed = (value, digits) => value.toFixed(digits);

const range = ({ median, min, max }, scale, digits) =>
  min === max
    ? fixed(median * scale, digits)
    : `${fixed(median * scale, digits)} (${fixed(min * scale, digits)}..${fixed(max * scale, digits)})`;

function barText({ trial, result, verdict }) {
  if (trial.bar === undefined) return '';
  const { of, min, max } = trial.bar;
  const { scale, unit } = of === 'ratio' ? { scale: 1, unit: '' } : units[trial.metric];
  const bound = min === undefined ? `≤ ${max * scale}` : `≥ ${min * scale}`;
  return `${bound} ${unit}`.trim() + (result ? `: ${verdict}` : '');
}

const nanoseconds = (seconds) => Math.round(seconds * 1e9);

function cells(row) {
  const { trial, result, command, skipped, error } = row;
  if (!result) {
    const why = skipped ? `skipped: ${skipped}` : `failed: ${error}`;
    return [trial.name, { content: why, colSpan: 6 }, command];
  }
  const { scale, unit, digits } = units[trial.metric];
  const bits =
    trial.metric !== 'rate' || result.bitsPerSecond === undefined
      ? ''
      : `, ${fixed(result.bitsPerSecond * 1e-9, 1)} Gbit/s`;
  const p99 = result.p99 === undefined ? '' : `, p99 ${fixed(result.p99 * scale, digits)}`;
  const trips = result.roundTrip;
  return [
    trial.name,
    `${range(result.value, scale, digits)} ${unit}${bits}${p99}`,
    result.ratio ? `${range(result.ratio, 1, 2)} of ${trial.limit.name}` : '',
    trips ? `${nanoseconds(trips.before)} → ${nanoseconds(trips.after)}` : '',
    result.dropped === undefined ? '' : `${fixed(result.dropped * 100, 1)} %`,
    result.repeated + result.disturbed > 0 ? `${result.repeated}/${result.disturbed}` : '',
    barText(row),
    command,
  ];
}

const head = [
  'name',
  'median (min..max)',
  'ratio (min..max)',
  'line, ns',
  'dropped',
  'again/off',
  'bar',
  'command',
];

/** One table a group. Plain: no colour, so that it reads the same in a file. */
export function tables(rows) {
  const groups = [...new Set(rows.map(({ trial }) => trial.group))];
  return groups
    .map((group) => {
      const table = new Table({ head, style: { head: [], border: [], compact: true } });
      for (const row of rows.filter(({ trial }) => trial.group === group)) table.push(cells(row));
      return `${group}\n${table.toString()}\n`;
    })
    .join('\n');
}

export const legend = `line: round trip of one cache line between the two cores, before and after. again/off: pairs taken
again because the cores moved or something else ran / pairs kept although. See docs/performance.md.
`;

/** The run as one object; SI base units, ratios as they are. */
export function document(run, rows) {
  return {
    schema: 'vale-bench/1',
    ...run,
    rows: rows.map(({ trial, result, verdict, command, limitCommand, skipped, error }) => ({
      name: trial.name,
      group: trial.group,
      metric: trial.metric,
      command,
      limit: trial.limit?.name,
      limitCommand,
      bar: trial.bar && { ...trial.bar, verdict },
      skipped,
      error,
      ...result,
    })),
  };
}
