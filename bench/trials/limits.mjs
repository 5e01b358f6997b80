// SPDX-License-Identifier: BSD-2-Clause
// What a figure is compared with: the same frames without a switch.

/** Round trip of one cache line below which two processors count as near, s. */
export const NEAR = 100e-9;

export const limits = {
  spsc60: { name: 'spsc-60', tool: 'spsc', args: { size: 60 } },
  spsc60Headers: { name: 'spsc-60-headers', tool: 'spsc', args: { size: 60, headers: true } },
  spsc1514: { name: 'spsc-1514', tool: 'spsc', args: { size: 1514 } },
  memcpy1514: { name: 'memcpy-1514', tool: 'memcpy', args: { size: 1514 } },
  spsc60OneCore: { name: 'spsc-60-one', tool: 'spsc', args: { size: 60, 'one-core': true } },
};

export const limitTrials = [
  {
    name: 'round-trip',
    group: 'Limits',
    metric: 'line',
    field: 'roundTripBefore',
    tool: 'line',
    args: {},
  },
  ...Object.values(limits).map((limit) => ({
    ...limit,
    group: 'Limits',
    metric: 'rate',
    quick: limit === limits.spsc60 || limit === limits.memcpy1514,
  })),
];
