// SPDX-License-Identifier: BSD-2-Clause
// What programs get: unmodified ones with the preload library, ends of pipes, and `pkt-gen -f tx`.

const pair = (receiver) => ({ tool: 'switch', args: { size: 60, batch: 256, receiver } });

/** Two programs that differ little: many short windows in turns. */
const many = { windows: 15, seconds: { quick: 0.1, full: 0.1 } };

const preloaded = [
  {
    name: 'preload-busy-60-256',
    args: { what: 'netmap', size: 60, batch: 256 },
    limit: { name: 'busy', ...pair('busy') },
    ...many,
    bar: { of: 'ratio', min: 0.9 },
  },
  {
    name: 'preload-poll-60-256',
    args: { what: 'netmap', size: 60, batch: 256, receiver: 'poll' },
    limit: { name: 'spin', ...pair('spin') },
    ...many,
    bar: { of: 'ratio', min: 0.9 },
  },
  {
    name: 'preload-filter-60',
    args: { what: 'filter', size: 60, batch: 256 },
    limit: { name: 'busy', ...pair('busy') },
    bar: { of: 'value', min: 10e6 },
  },
].map((trial) => ({
  ...trial,
  group: 'Unmodified programs with the preload library, two processes; libpcap with udp port 53',
  metric: 'rate',
  tool: 'preload',
  quick: false,
}));

const foreign = {
  name: 'preload-foreign',
  group: 'A write(2) to /dev/null in a program with the preload library, ns, against one past it',
  metric: 'nanoseconds',
  field: 'perCall',
  tool: 'preload',
  args: { what: 'foreign' },
  floor: { name: 'past', field: 'floorPerCall' },
  bar: { of: 'ratio', max: 1.05 },
  quick: false,
};

const piped = [
  {
    name: 'pipe-60-512',
    group: 'A pipe, two processes; the limit passes descriptors alone',
    metric: 'rate',
    tool: 'pipe',
    args: { size: 60, batch: 512 },
    limit: { name: 'slots', tool: 'pipe', args: { size: 60, batch: 512, limit: true } },
    bar: { of: 'ratio', min: 0.5 },
    quick: false,
  },
  {
    name: 'pipe-one-60-512',
    group: 'A pipe, one core, txsync and rxsync alone, ns a frame',
    metric: 'nanoseconds',
    field: 'secondsPerFrame',
    tool: 'pipe',
    args: { size: 60, batch: 512, 'one-core': true },
    bar: { of: 'value', max: 3.5e-9 },
    quick: false,
  },
];

const generated = ['bare', 'fixed', 'range', 'random-fields', 'random-sizes', 'pcap'].map(
  (kind) => ({
    name: `generate-${kind}`,
    group:
      'Generation: pkt-gen -f tx on one core, ns a frame (bare: the ring as it is, sent again)',
    metric: 'nanoseconds',
    field: 'perFrame',
    tool: 'generate',
    args: { kind },
    limit: kind === 'bare' ? undefined : { name: 'bare', tool: 'generate', args: { kind: 'bare' } },
    windows: 3,
    quick: kind === 'fixed' || kind === 'range',
  }),
);

export const programTrials = [...preloaded, foreign, ...piped, ...generated];
