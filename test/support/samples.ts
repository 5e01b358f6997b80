// SPDX-License-Identifier: BSD-2-Clause
/** Samples and counters for tests of reports: all zero but for what is given. */
import type { EngineSample, PortCounters } from '../../src/native-types.js';

export const noDrops = {
  no_destination: 0n,
  same_port: 0n,
  not_open: 0n,
  bad_slot: 0n,
  runt: 0n,
  too_long: 0n,
  peer_stalled: 0n,
  unmappable: 0n,
  sender_died: 0n,
  link_down: 0n,
  ring_full: 0n,
  too_big: 0n,
  header_mismatch: 0n,
  bad_header: 0n,
};

export function counters(some: Partial<PortCounters> = {}): PortCounters {
  const zero = { txFrames: 0n, txBytes: 0n, txCopies: 0n, txDelivered: 0n };
  return { ...zero, rxFrames: 0n, rxBytes: 0n, rxRead: 0n, rxGone: 0n, drops: noDrops, ...some };
}

export function sample(some: Partial<EngineSample> = {}): EngineSample {
  return {
    time: 0n,
    frames: 0n,
    bytes: 0n,
    events: 0n,
    accepted: 0n,
    minSpace: -1,
    first: 0n,
    last: 0n,
    rttCount: 0n,
    rttMin: 0n,
    rttSum: 0n,
    rttHistogram: new BigUint64Array(64),
    messages: [],
    done: false,
    ...some,
  };
}
