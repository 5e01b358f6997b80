// SPDX-License-Identifier: BSD-2-Clause
// Counters of several registrations as one.
import type { DropReason, NativePort, PortCounters } from '../native-types.js';
import { SOURCE_DROPS } from './meter.js';

/**
 * Counters of a port that is open once for each thread. A switch port has one set of counters, whoever
 * asks; registrations of a wire count for themselves; the kernel's netmap counts nothing.
 */
export function countersOf(
  ports: readonly [NativePort, ...NativePort[]],
): PortCounters | undefined {
  const [first, ...others] = ports;
  if (first.info.device === 'user') return first.counters();
  return others.reduce((sum, port) => add(sum, port.counters()), first.counters());
}

function add(a: PortCounters | undefined, b: PortCounters | undefined): PortCounters | undefined {
  if (a === undefined || b === undefined) return undefined;
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
export function forwardedCounters(from: NativePort, to: NativePort): PortCounters | undefined {
  const received = from.counters();
  const sent = to.counters();
  if (received === undefined || sent === undefined) return undefined;
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
