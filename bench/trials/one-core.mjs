// SPDX-License-Identifier: BSD-2-Clause
// What a frame costs on one processor: both ends in turns, the sync code alone, and how that grows.
import { limits } from './limits.mjs';

const batches = [1, 16, 64, 256, 1024];

const bothEnds = [60, 1514].flatMap((size) =>
  batches.map((batch) => ({
    name: `one-${size}-${batch}`,
    group: 'Switch, both ends in one process on one core',
    metric: 'rate',
    tool: 'switch',
    args: { size, batch, 'one-core': true },
    limit: size === 60 ? limits.spsc60OneCore : limits.memcpy1514,
    quick: false,
    windows: 3,
  })),
);

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
  floor: { name: 'floor', field: 'floor_ns' },
  seconds: { quick: 0.02, full: 0.06 },
  bar,
}));

/** The points of one curve: `axis` takes each of `values`. inQuick: the last one is in --quick. */
const curve = (axis, text, values, inQuick = false) =>
  values.map((at) => ({
    name: `${axis}-${at}`,
    group: `One core, txsync alone, ns a frame against ${text}`,
    metric: 'nanoseconds',
    field: 'perFrame',
    tool: 'curve',
    args: { [axis]: at },
    floor: { name: 'floor', field: 'floorPerFrame' },
    curve: { axis, at },
    windows: 3,
    seconds: { quick: 0.1, full: 0.2 },
    quick: inQuick && at === values.at(-1),
  }));

/**
 * All addresses known, none misdelivered, none flooded: the program ends with an error otherwise. Random
 * destinations; `between` random sources as well, half of the addresses on either side.
 */
const manyAddresses = [
  ['macs-100000-of-1', { macs: 100_000 }],
  ['macs-100000-between-of-1', { macs: 100_000, between: true }],
].map(([name, args]) => ({
  name,
  group: 'One core, txsync alone, ns a frame against addresses, random',
  metric: 'nanoseconds',
  field: 'perFrame',
  tool: 'curve',
  args,
  limit: { name: 'macs-1', tool: 'curve', args: { macs: 1 } },
  seconds: { quick: 0.1, full: 0.2 },
  bar: { of: 'ratio', max: 2 },
}));

const curves = [
  ...curve('ports', 'ports, a random one for each frame', [2, 4, 16, 64, 250], true),
  ...curve('macs', 'addresses, random', [1, 100, 1000, 10_000, 100_000]),
  ...manyAddresses,
  ...curve('size', 'frame size', [60, 128, 256, 512, 1514, 4096, 9000, 65_535]),
  ...curve('batch', 'batch', [1, 4, 16, 64, 256, 1024]),
  ...curve('rings', 'rings, 256 frames over all', [1, 2, 4, 8, 16]),
];

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
  quick: false,
}));

export const oneCoreTrials = [...bothEnds, ...syncs, ...curves, ...watching];
