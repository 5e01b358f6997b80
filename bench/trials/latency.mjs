// SPDX-License-Identifier: BSD-2-Clause
// How long one frame there and one back takes, by how both ends wait, through what, and beside what.

export const latencyTrials = [
  ['', 'alone', {}],
  ['-load', 'with a process beside it that sends and receives', { load: true }],
  ['-bridge', 'through two switches and a bridge', { bridge: true }],
  ['-bridge-load', 'the same with load', { bridge: true, load: true }],
].flatMap(([suffix, text, more]) =>
  // Beside a process that never pauses a trip takes a time slice: so long that there are some hundred.
  ['busy', 'spin', 'block'].map((receiver) => ({
    name: `latency-${receiver}${suffix}`,
    group: `Round trip of a frame, ${text}: median, p99, p99.9`,
    metric: 'time',
    field: 'p50',
    tool: 'latency',
    args: { receiver, ...more },
    ofLine: true,
    ...(suffix.endsWith('load') || (suffix === '-bridge' && receiver === 'busy')
      ? { seconds: { quick: 0.2, full: 1 } }
      : {}),
    bar: suffix === '' && receiver === 'busy' ? { of: 'ofLine', max: 8 } : undefined,
    windows: 5,
    quick: suffix === '',
    sleepsInTurns: true,
  })),
);
