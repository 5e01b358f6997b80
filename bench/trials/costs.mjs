// SPDX-License-Identifier: BSD-2-Clause
// What the switch costs where no frame is sent, and on the way to wires.

const wires = ['packet', 'xdp'].flatMap((socket) =>
  ['out', 'in'].map((way) => ({
    name: `wire-${socket}-${way}`,
    group:
      'Wires: 60 bytes between a port and a veth, one core, against a bare socket of the same kind',
    metric: 'rate',
    tool: 'wire',
    args: { socket, way },
    floor: { name: 'bare socket', field: 'bare' },
    privileged: true,
    bar: { of: 'ratio', min: 0.9 },
    roundTrips: true,
    quick: false,
  })),
);

const idle = { tool: 'idle', receiverSleeps: true, group: 'Costs' };
const port = { ...idle, args: { ports: 100 }, seconds: { quick: 0.05, full: 0.05 }, windows: 5 };

export const costTrials = [
  ...wires,
  {
    ...idle,
    name: 'idle-block',
    metric: 'share',
    field: 'cpuShare',
    args: {},
    seconds: { quick: 2, full: 2 },
    quick: false,
    bar: { of: 'value', max: 0.01 },
  },
  {
    ...idle,
    name: 'idle-250-processes',
    metric: 'share',
    field: 'cpuShare',
    args: { ports: 250, apart: true },
    seconds: { quick: 1, full: 2 },
    bar: { of: 'value', max: 0.01 },
  },
  {
    ...port,
    name: 'port-open',
    metric: 'milliseconds',
    field: 'open',
    bar: { of: 'value', max: 4e-3 },
  },
  {
    ...port,
    name: 'port-memory',
    metric: 'kibibytes',
    field: 'memory',
    bar: { of: 'value', max: 200 * 1024 },
  },
  { ...port, name: 'port-shared-memory', metric: 'kibibytes', field: 'sharedMemory', quick: false },
  {
    name: 'startup-ctl',
    group: 'Costs',
    metric: 'startup',
    kind: 'startup',
    command: ['bin/vale.js', 'ctl', '--plain'],
    limit: { name: 'node -e 0', command: ['-e', '0'] },
    windows: { quick: 7, full: 15 },
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
