// SPDX-License-Identifier: BSD-2-Clause
// Frames from one process to another, or to many: each end on a processor of its own unless said otherwise.
import { limits } from './limits.mjs';

const batches = [1, 16, 64, 256, 1024];

const bars = {
  'two-60-1': { of: 'value', min: 8e6, whenNear: true },
  'two-60-256': { of: 'ratio', min: 0.55 },
  'two-1514-256': { of: 'ratio', min: 0.9 },
};
const inQuick = ['two-60-1', 'two-60-256', 'two-1514-256'];

const busy = (size, batch, more = {}) => ({ tool: 'switch', args: { size, batch, ...more } });
const busy256 = { name: 'busy', ...busy(60, 256) };
const group = 'Switch, two processes on two cores, receiver busy';

const batched = [60, 1514].flatMap((size) =>
  batches.map((batch) => ({
    name: `two-${size}-${batch}`,
    group,
    metric: 'rate',
    ...busy(size, batch),
    limit: size === 60 ? limits.spsc60 : limits.memcpy1514,
    bar: bars[`two-${size}-${batch}`],
    quick: inQuick.includes(`two-${size}-${batch}`),
  })),
);

const compared = [
  {
    name: 'two-60-16-of-256',
    group,
    metric: 'rate',
    ...busy(60, 16),
    limit: { name: 'two-60-256', ...busy(60, 256) },
    bar: { of: 'ratio', min: 0.5 },
  },
  {
    name: 'two-60-256-headers',
    group,
    metric: 'rate',
    ...busy(60, 256, { headers: true }),
    limit: limits.spsc60Headers,
    bar: { of: 'ratio', min: 0.6 },
  },
  {
    name: 'two-1514-256-payload',
    group,
    metric: 'rate',
    ...busy(1514, 256, { payload: true }),
    limit: { name: 'two-1514-256', ...busy(1514, 256) },
  },
];

const floods = [3, 16].flatMap((to) =>
  ['busy', 'block'].map((receiver) => ({
    name: `flood-${to}-${receiver}`,
    group: 'Switch, flooding, two processes on two cores: copies received',
    metric: 'rate',
    ...busy(60, 256, { to, receiver }),
    limit: limits.spsc60,
    quick: to === 3 && receiver === 'busy',
  })),
);

const sleepers = ['spin', 'block'].map((receiver) => ({
  name: `${receiver}-60-256`,
  group: 'Receivers that sleep, against a busy one',
  metric: 'rate',
  ...busy(60, 256, { receiver }),
  limit: busy256,
  bar: { of: 'ratio', min: 0.8 },
  quick: receiver === 'block',
}));

const sharing = ['spin', 'block'].map((receiver) => ({
  name: `same-core-${receiver}`,
  group:
    'Sender and receiver on one core: the sender never pauses, so this is what one turn gets through',
  metric: 'rate',
  ...busy(60, 256, { receiver, 'same-core': true }),
  limit: limits.spsc60OneCore,
  receiverSleeps: true,
  windows: 3,
  quick: false,
}));

/** Time between two frames received, over all. Nothing may collapse when there are more than two. */
const senders = ['one', 'each'].flatMap((receivers) =>
  [1, 2, 4, 8].map((count) => ({
    name: `senders-${count}-${receivers}`,
    group: `Two cores, senders to ${receivers === 'one' ? 'one receiver' : 'a receiver each'}, ns between frames received`,
    metric: 'nanoseconds',
    field: 'perFrame',
    tool: 'senders',
    args: { senders: count, receivers },
    curve: { axis: `senders, ${receivers}`, at: count },
    receiverSleeps: true,
    windows: 3,
    quick: false,
    ...(count > 1 && {
      limit: { name: `senders-1-${receivers}`, tool: 'senders', args: { senders: 1, receivers } },
    }),
    ...(count === 4 && receivers === 'each' && { bar: { of: 'ratio', max: 2 }, windows: 5 }),
  })),
);

export const twoCoreTrials = [
  ...batched,
  ...compared,
  ...floods,
  ...sleepers,
  ...sharing,
  ...senders,
];
