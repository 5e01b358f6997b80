// SPDX-License-Identifier: BSD-2-Clause
// The counters of a port or switch in the order in which every report has them.
import type { AgentRow, PortCounters } from '../native-types.js';
import { servedBy } from '../session/attached.js';

type Total = Exclude<keyof PortCounters, 'drops'>;

const NAMES: Readonly<Record<Total, string>> = {
  txFrames: 'tx_frames',
  txBytes: 'tx_bytes',
  txCopies: 'tx_copies',
  txDelivered: 'tx_delivered',
  rxFrames: 'rx_frames',
  rxBytes: 'rx_bytes',
  rxRead: 'rx_read',
  rxGone: 'rx_gone',
};

/** Everything but the drops. */
export function totalEntries(counters: PortCounters): [name: string, value: bigint][] {
  return (Object.keys(NAMES) as Total[]).map((key) => [NAMES[key], counters[key]]);
}

/** Everything; a drop as "drop_" and its reason. */
export function counterEntries(counters: PortCounters): [name: string, value: bigint][] {
  const drops = Object.entries(counters.drops).map(([why, n]): [string, bigint] => [
    `drop_${why}`,
    n,
  ]);
  return [...totalEntries(counters), ...drops];
}

/** What an attached interface counts itself, or its host side; undefined for other ports. */
export function interfaceCounters(
  agents: readonly AgentRow[],
  port: string,
): PortCounters | undefined {
  const agent = servedBy(agents, port);
  return agent && (agent.port === port ? agent.wire : agent.hostSide);
}
