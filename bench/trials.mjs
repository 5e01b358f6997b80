// SPDX-License-Identifier: BSD-2-Clause
// Every trial, as data. A row of the table is one of:
//   figure alone          {tool, args}: windows of one measuring program
//   figure against limit  ... and `limit`: windows of both in alternation, compared pair by pair
//   kind: 'startup'       two commands in alternation, wall time
//   kind: 'instructions'  one measuring program, two builds, under callgrind
// `bar` is what --check holds the row to: {of: 'ratio'|'value', min|max}, in SI base units.
// `quick: false` keeps a row out of --quick.

const limits = {
  spsc60: { name: 'spsc-60', tool: 'spsc', args: { size: 60 } },
  spsc1514: { name: 'spsc-1514', tool: 'spsc', args: { size: 1514 } },
  memcpy1514: { name: 'memcpy-1514', tool: 'memcpy', args: { size: 1514 } },
  spsc60OneCore: { name: 'spsc-60-one', tool: 'spsc', args: { size: 60, 'one-core': true } },
};

const batches = [1, 16, 64, 256, 1024];

/** Round trip of one cache line below which two processors count as near, s. */
export const NEAR = 100e-9;

const bars = {
  'two-60-1': { of: 'value', min: 8e6, whenNear: true },
  'two-60-256': { of: 'ratio', min: 0.4 },
  'two-1514-256': { of: 'ratio', min: 0.75 },
};

const twoCores = [60, 1514].flatMap((size) =>
  batches.map((batch) => ({
    name: `two-${size}-${batch}`,
    group: 'Switch, two processes on two cores, receiver busy',
    metric: 'rate',
    tool: 'switch',
    args: { size, batch },
    limit: size === 60 ? limits.spsc60 : limits.memcpy1514,
    bar: bars[`two-${size}-${batch}`],
  })),
);

const oneCore = [60, 1514].flatMap((size) =>
  batches.map((batch) => ({
    name: `one-${size}-${batch}`,
    group: 'Switch, both ends in one process on one core',
    metric: 'rate',
    tool: 'switch',
    args: { size, batch, 'one-core': true },
    limit: size === 60 ? limits.spsc60OneCore : limits.memcpy1514,
  })),
);

const busy256 = { name: 'busy', tool: 'switch', args: { size: 60, batch: 256 } };

export const trials = [
  {
    name: 'round-trip',
    group: 'Limits',
    metric: 'line',
    field: 'roundTripBefore',
    tool: 'spsc',
    args: { size: 60 },
    seconds: { quick: 0.02, full: 0.02 },
  },
  ...Object.values(limits).map((limit) => ({ ...limit, group: 'Limits', metric: 'rate' })),
  ...twoCores,
  ...oneCore,
  ...['spin', 'block'].map((receiver) => ({
    name: `${receiver}-60-256`,
    group: 'Receivers that sleep, against a busy one',
    metric: 'rate',
    tool: 'switch',
    args: { size: 60, batch: 256, receiver },
    limit: busy256,
    bar: receiver === 'spin' ? { of: 'ratio', min: 0.8 } : undefined,
  })),
  ...['busy', 'spin', 'block'].map((receiver) => ({
    name: `latency-${receiver}`,
    group: 'Round trip of a frame, median',
    metric: 'time',
    field: 'p50',
    tool: 'latency',
    args: { receiver },
  })),
  {
    name: 'idle-block',
    group: 'Costs',
    metric: 'share',
    field: 'cpuShare',
    tool: 'idle',
    args: {},
    windows: 1,
    seconds: { quick: 2, full: 10 },
    bar: { of: 'value', max: 0.01 },
  },
  {
    name: 'startup-ctl',
    group: 'Costs',
    metric: 'startup',
    kind: 'startup',
    command: ['bin/vale.js', 'ctl', '--plain'],
    limit: { name: 'node -e 0', command: ['-e', '0'] },
    windows: 21,
    bar: { of: 'ratio', max: 2.5 },
  },
  {
    name: 'counters',
    group: 'Costs',
    metric: 'instructions',
    kind: 'instructions',
    quick: false,
    tool: 'switch',
    args: { size: 60, batch: 256, 'one-core': true },
    limit: { name: 'compiled out' },
    bar: { of: 'ratio', max: 1.03 },
  },
];
