// SPDX-License-Identifier: BSD-2-Clause
// The lines of the reference's vale-ctl, byte for byte, and for what it does not have lines of the
// same kind: one fact each, words apart by one space.
import type { FdbRow, PortInfo } from '../native-types.js';
import type { Snapshot } from '../session/control.js';
import { countersByName } from '../session/rates.js';
import { counterEntries, interfaceCounters } from './ctl-counters.js';

/** Ports on switches; the reference does not list a detached persistent port either. */
export function listLines({ ports }: Snapshot): string[] {
  return ports
    .filter((row) => row.attached)
    .map((row) => `${row.name} bridge_idx ${row.switchIndex} port_idx ${row.portIndex}`);
}

/** -g. The missing colon is the reference's. */
export function infoLines(info: PortInfo): string[] {
  return [
    `memsize:    ${info.memsize}`,
    `tx_slots:   ${info.txSlots}`,
    `rx_slots:   ${info.rxSlots}`,
    `tx_rings:   ${info.txRings}`,
    `rx_rings    ${info.rxRings}`,
    `mem_id:     ${info.memId}`,
  ];
}

/** -n with -v. The missing "s" is the reference's. */
export function createdLines(info: PortInfo): string[] {
  return [
    `tx_slots:   ${info.txSlots}`,
    `rx_slots:   ${info.rxSlots}`,
    `tx_rings:   ${info.txRings}`,
    `rx_ring:    ${info.rxRings}`,
    `mem_id:     ${info.memId}`,
  ];
}

/** -l */
export function indexLines(index: { switchIndex: number; portIndex: number }): string[] {
  return [`bridge_idx: ${index.switchIndex}`, `port_idx:   ${index.portIndex}`];
}

/** -a, -h and -d with -v */
export function portIndexLine(index: number): string {
  return `port_index: ${index}`;
}

/**
 * "NAME COUNTER VALUE"; a switch's totals carry its name with a colon. What an attached interface
 * counts on its own side is an "interface_COUNTER" of its port.
 */
export function statsLines(snapshot: Snapshot): string[] {
  return countersByName(snapshot).flatMap(([name, counters]) => {
    const own = interfaceCounters(snapshot.agents, name);
    const entries = own ? counterEntries(own) : [];
    return [
      ...counterEntries(counters),
      ...entries.map(([key, value]): [string, bigint] => [`interface_${key}`, value]),
    ].map(([key, value]) => `${name} ${key} ${value}`);
  });
}

/** "SWITCH MAC PORT static", or the age in whole seconds for "static" */
export function fdbLines(tables: readonly { switch: string; rows: FdbRow[] }[]): string[] {
  return tables.flatMap(({ switch: sw, rows }) =>
    rows.map((row) => `${sw} ${row.mac} ${row.port} ${row.isStatic ? 'static' : row.age}`),
  );
}
