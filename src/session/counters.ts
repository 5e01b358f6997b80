// SPDX-License-Identifier: BSD-2-Clause
// Counters of several registrations as one.
import type { DropReason, NativePort, PortCounters } from '../native-types.js';
import { SOURCE_DROPS } from './meter.js';

/**
 * Counters of a port that is open once for each thread. A switch port has one set of counters, whoever
 * asks; registrations of a wire count for themselves.
 */
export function countersOf(ports: readonly [NativePort, ...NativePort[]]): PortCounters {
  const [first, ...others] = ports;
  if (first.info.device === 'user') return first.counters();
  return others.map((port) => port.counters()).reduce(add, first.counters());
}

function add(a: PortCounters, b: PortCounters): PortCounters {
  const reasons = Object.keys(a.drops) as DropReason[];
  return {
    txFrames: a.txFrames + b.txFrames,
    txBytes: a.txBytes + b.txBytes,
    txCopies: a.txCopies + b.txCopies,
    txDelivered: a.txDelivered + b.txDelivered,
    rxFrames: a.rxFrames + b.rxFrames,
    rxBytes: a.rxBytes + b.rxBytes,
    rxRead: a.rxRead + b.rxRead,
    rxGone: a.rxGone + b.rxGone,
    drops: Object.fromEntries(
      reasons.map((reason) => [reason, a.drops[reason] + b.drops[reason]]),
    ) as Record<DropReason, bigint>,
  };
}

/**
 * Counters of one direction of a bridge: what the port it receives on missed, and what became of the
 * frames on the port it sends on.
 */
export function forwardedCounters(from: NativePort, to: NativePort): PortCounters {
  const received = from.counters();
  const sent = to.counters();
  const drops = { ...received.drops };
  for (const reason of SOURCE_DROPS) drops[reason] = sent.drops[reason];
  return {
    ...sent,
    rxFrames: received.rxFrames,
    rxBytes: received.rxBytes,
    rxRead: received.rxRead,
    rxGone: received.rxGone,
    drops,
  };
}
