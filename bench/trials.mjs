// SPDX-License-Identifier: BSD-2-Clause
// Every trial, as data. A row of the table is one of:
//   figure alone          {tool, args}: windows of one measuring program
//   figure against limit  ... and `limit`: windows of both in alternation, compared pair by pair
//   figure with a floor   ... and `floor`: {name, field}: the program measured both in turns itself
//   kind: 'startup'       two commands in alternation, wall time
//   kind: 'instructions'  one measuring program, two builds, under callgrind
//   kind: 'agents'        processes of attached interfaces; made in agents.mjs
//   kind: 'peer'          another program does what ours does; made from bench/peers/ (peers.mjs)
// `field` is the figure's name in the program's JSON, default framesPerSecond; times `scale`, where the
// program's unit is not SI's. `curve` says of which
// curve of the chart it is a point. `bar` is what --check holds the row to: {of: 'ratio'|'value',
// min|max}, in SI base units. `quick: false` keeps a row out of --quick.

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
  'two-60-256': { of: 'ratio', min: 0.55 },
  'two-1514-256': { of: 'ratio', min: 0.9 },
};

const limitRows = [
  {
    name: 'round-trip',
    group: 'Limits',
    metric: 'line',
    field: 'roundTripBefore',
    tool: 'line',
    args: {},
  },
  ...Object.values(limits).map((limit) => ({ ...limit, group: 'Limits', metric: 'rate' })),
];

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
    quick: size === 60 || batch === 256,
  })),
);

const floods = [3, 16].flatMap((to) =>
  ['busy', 'block'].map((receiver) => ({
    name: `flood-${to}-${receiver}`,
    group: 'Switch, flooding, two processes on two cores: copies received',
    metric: 'rate',
    tool: 'switch',
    args: { size: 60, batch: 256, to, receiver },
    limit: limits.spsc60,
    quick: to === 3,
  })),
);

const busy256 = { name: 'busy', tool: 'switch', args: { size: 60, batch: 256 } };
const sleepers = ['spin', 'block'].map((receiver) => ({
  name: `${receiver}-60-256`,
  group: 'Receivers that sleep, against a busy one',
  metric: 'rate',
  tool: 'switch',
  args: { size: 60, batch: 256, receiver },
  limit: busy256,
  bar: { of: 'ratio', min: 0.8 },
}));

const copyFloor = { name: 'floor', field: 'floorPerFrame' };

/** The points of one curve: `arg` takes each of `values`. */
const curve = (axis, group, values, more, rest = {}) =>
  values.map((at) => ({
    name: `${axis}-${at}`,
    group,
    metric: 'nanoseconds',
    field: 'perFrame',
    tool: 'curve',
    args: { ...more, [axis]: at },
    floor: copyFloor,
    curve: { axis, at },
    windows: 3,
    seconds: { quick: 0.1, full: 0.25 },
    // The ends of a curve say whether it bends.
    quick: at === values[0] || at === values.at(-1),
    ...rest,
  }));

const ofSync = (text) => `One core, txsync alone, ns a frame against ${text}`;
const curves = [
  ...curve('ports', ofSync('ports, a random one for each frame'), [2, 4, 16, 64, 250], {}),
  ...curve('macs', ofSync('addresses, random'), [1, 100, 1000, 10_000, 100_000], {}),
  ...curve('size', ofSync('frame size'), [60, 128, 256, 512, 1514, 4096, 9000, 65_535], {}),
  ...curve('batch', ofSync('batch'), [1, 4, 16, 64, 256, 1024], {}),
  ...curve('rings', ofSync('rings, 256 frames over all'), [1, 2, 4, 8, 16], {}),
  ...['one', 'each'].flatMap((receivers) =>
    [1, 2, 4, 8].map((senders) => ({
      name: `senders-${senders}-${receivers}`,
      group: `Two cores, senders to ${receivers === 'one' ? 'one receiver' : 'a receiver each'}, ns between frames received`,
      metric: 'nanoseconds',
      field: 'perFrame',
      tool: 'senders',
      args: { senders, receivers },
      curve: { axis: `senders, ${receivers}`, at: senders },
      receiverSleeps: true,
      windows: 3,
      quick: false,
    })),
  ),
];

/** What unmodified programs get, against the CLI's own loops. */
const preloaded = [
  {
    name: 'preload-busy-60-256',
    args: { what: 'netmap', size: 60, batch: 256 },
    limit: busy256,
    bar: { of: 'ratio', min: 0.9 },
  },
  {
    name: 'preload-poll-60-256',
    args: { what: 'netmap', size: 60, batch: 256, receiver: 'poll' },
    limit: { name: 'spin', tool: 'switch', args: { size: 60, batch: 256, receiver: 'spin' } },
    bar: { of: 'ratio', min: 0.9 },
  },
  {
    name: 'preload-filter-60',
    args: { what: 'filter', size: 60, batch: 256 },
    bar: { of: 'value', min: 10e6 },
  },
].map((trial) => ({
  ...trial,
  group: 'Unmodified programs with the preload library, two processes; libpcap with udp port 53',
  metric: 'rate',
  tool: 'preload',
}));
/** What a copy monitor, as `vale capture` opens one, costs whoever sends. */
const watching = [
  [60, 'busy'],
  [60, 'none'],
  [1514, 'busy'],
].map(([size, reader]) => ({
  name: `watch-${size}-256-${reader}`,
  group: 'One core, txsync of a watched port, ns a frame against the same unwatched',
  metric: 'nanoseconds',
  field: 'perFrame',
  tool: 'watch',
  args: { size, batch: 256, reader },
  floor: { name: 'unwatched', field: 'floorPerFrame' },
  windows: 3,
}));
const foreign = {
  name: 'preload-foreign',
  group: 'A write(2) to /dev/null in a program with the preload library, ns, against one past it',
  metric: 'nanoseconds',
  field: 'perCall',
  tool: 'preload',
  args: { what: 'foreign' },
  floor: { name: 'past', field: 'floorPerCall' },
  windows: 3,
  bar: { of: 'ratio', max: 1.05 },
};

/** The sync code alone, by its own program: which bar holds for which of its trials. */
const syncs = Object.entries({
  'unicast-60-1023': { of: 'value', max: 9e-9 },
  'unicast-60-64': { of: 'value', max: 12e-9 },
  'unicast-60-1': { of: 'value', max: 45e-9 },
  'unicast-1514-1023': { of: 'ratio', max: 1.35 },
  'flood-3-60-512': { of: 'value', max: 22e-9 },
  'nobody-60-512': { of: 'value', max: 4e-9 },
  'full-60-512': { of: 'value', max: 6e-9 },
  'random-250-60-256': { of: 'ratio', max: 3.5 },
}).map(([trial, bar]) => ({
  name: `sync-${trial}`,
  group: 'One core, txsync and rxsync alone, ns a frame',
  metric: 'nanoseconds',
  field: 'ns',
  scale: 1e-9,
  tool: 'sync',
  args: { trial, windows: 1 },
  floor: /^(unicast|random)/.test(trial) ? { name: 'floor', field: 'floor_ns' } : undefined,
  seconds: { quick: 0.02, full: 0.06 },
  bar,
}));

const latencies = [
  ['', 'alone', {}],
  ['-load', 'with a process beside it that sends and receives', { load: true }],
  ['-bridge', 'through two switches and a bridge', { bridge: true }],
  ['-bridge-load', 'the same with load', { bridge: true, load: true }],
].flatMap(([suffix, text, more]) =>
  ['busy', 'spin', 'block'].map((receiver) => ({
    name: `latency-${receiver}${suffix}`,
    group: `Round trip of a frame, ${text}: median, p99, p99.9`,
    metric: 'time',
    field: 'p50',
    tool: 'latency',
    args: { receiver, ...more },
    ofLine: suffix === '' && receiver === 'busy',
    bar: suffix === '' && receiver === 'busy' ? { of: 'ofLine', max: 8 } : undefined,
    windows: 5,
    quick: suffix === '' || suffix === '-bridge',
    sleepsInTurns: true,
  })),
);

const generated = ['bare', 'fixed', 'range', 'random-fields', 'random-sizes', 'pcap'].map(
  (kind) => ({
    name: `generate-${kind}`,
    group:
      'Generation: pkt-gen -f tx on one core, ns a frame (bare: the ring as it is, sent again)',
    metric: 'nanoseconds',
    field: 'perFrame',
    tool: 'generate',
    args: { kind },
    quick: kind === 'fixed' || kind === 'range',
  }),
);

const costs = [
  {
    name: 'idle-block',
    group: 'Costs',
    metric: 'share',
    field: 'cpuShare',
    tool: 'idle',
    args: {},
    windows: 1,
    seconds: { quick: 2, full: 10 },
    receiverSleeps: true,
    bar: { of: 'value', max: 0.01 },
  },
  {
    name: 'startup-ctl',
    group: 'Costs',
    metric: 'startup',
    kind: 'startup',
    command: ['bin/vale.js', 'ctl', '--plain'],
    limit: { name: 'node -e 0', command: ['-e', '0'] },
    windows: 15,
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

export const trials = [
  ...limitRows,
  ...twoCores,
  ...oneCore,
  ...floods,
  ...sleepers,
  ...preloaded,
  foreign,
  ...watching,
  ...syncs,
  ...curves,
  ...latencies,
  ...generated,
  ...costs,
];
