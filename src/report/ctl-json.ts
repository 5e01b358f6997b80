// SPDX-License-Identifier: BSD-2-Clause
// What `vale ctl` finds, as JSON. The schema is docs/schema/ctl.json; keys are added, never changed.
import type { AgentRow, FdbRow, PortCounters, PortInfo } from '../native-types.js';
import { servedBy } from '../session/attached.js';
import type { Snapshot } from '../session/control.js';
import type { Rate, Rates } from '../session/rates.js';
import { totalEntries } from './ctl-counters.js';

/** null where the device does not count. */
export function countersJson(counters: PortCounters | undefined) {
  if (counters === undefined) return null;
  return { ...Object.fromEntries(totalEntries(counters)), drops: counters.drops };
}

/** null in a first look, and without --watch. */
function rateJson(rate: Rate | undefined) {
  if (rate === undefined) return null;
  return {
    rx_frames_per_second: rate.rxFrames,
    rx_bits_per_second: rate.rxBits,
    tx_frames_per_second: rate.txFrames,
    tx_bits_per_second: rate.txBits,
    drops_per_second: rate.drops,
  };
}

export function infoJson(info: PortInfo) {
  return {
    name: info.name,
    device: info.device,
    memory_id: info.memId,
    memory_bytes: info.memsize,
    buffer_bytes: info.bufSize,
    extra_buffers: info.extraBufs,
    tx_rings: info.txRings,
    rx_rings: info.rxRings,
    host_tx_rings: info.hostTxRings,
    host_rx_rings: info.hostRxRings,
    tx_slots: info.txSlots,
    rx_slots: info.rxSlots,
    mtu_bytes: info.mtu,
    mac: info.mac,
  };
}

/** null for a port that is no attached interface's. */
function interfaceJson(port: string, agent: AgentRow | undefined) {
  if (agent === undefined) return null;
  const host = port !== agent.port;
  return {
    name: agent.interface,
    socket: agent.socket === '' ? null : agent.socket,
    side: host ? 'host' : 'wire',
    network_namespace: agent.netns === '' ? null : agent.netns,
    backend: agent.state.backend,
    take_over: agent.state.takeOver,
    up: agent.state.up,
    link: agent.state.link,
    link_downs: agent.state.linkDowns,
    speed_bits_per_second: agent.state.speed === 0 ? null : agent.state.speed * 1e6,
    mtu_bytes: agent.state.mtu,
    unserved_queues: agent.state.unservedQueues,
    unreachable: agent.state.unreachable,
    another_waits: agent.state.anotherWaits,
    kernel_drops: agent.state.kernelDrops,
    nic_rx_dropped: agent.state.nicRxDropped,
    nic_tx_dropped: agent.state.nicTxDropped,
    polling: agent.pollCores === 0 ? null : { first_core: agent.pollFirst, cores: agent.pollCores },
    process_id: agent.pid,
    agent: agent.name === '' ? null : agent.name,
    stalled: agent.stalled,
    started: agent.started,
    counters: countersJson(host ? agent.hostSide : agent.wire),
  };
}

/** `ctl list` and `ctl stats` */
export function snapshotJson(
  { device, directory, time, switches, ports, agents }: Snapshot,
  rates?: Rates,
) {
  return {
    device,
    directory,
    time,
    switches: switches.map((row) => ({
      name: row.name,
      index: row.index,
      ports: row.ports,
      fdb_entries: row.fdbEntries ?? null,
      ageing_seconds: row.ageing ?? null,
      counters: countersJson(row.totals),
      rates: rateJson(rates?.get(`${row.name}:`)),
    })),
    ports: ports.map((row) => ({
      ...infoJson(row.info),
      name: row.name,
      kind: row.kind,
      attached: row.attached,
      switch_index: row.attached ? row.switchIndex : null,
      port_index: row.attached ? row.portIndex : null,
      persistent: row.persistent ?? null,
      registrations: row.registrations ?? null,
      header_bytes: row.headerLength,
      interface: interfaceJson(row.name, servedBy(agents, row.name)),
      counters: countersJson(row.counters),
      rates: rateJson(rates?.get(row.name)),
    })),
  };
}

export function indexJson(name: string, index: { switchIndex: number; portIndex: number }) {
  return { name, switch_index: index.switchIndex, port_index: index.portIndex };
}

/** `ctl fdb` */
export function fdbJson(tables: readonly { switch: string; rows: FdbRow[] }[]) {
  return tables.map((table) => ({
    switch: table.switch,
    entries: table.rows.map((row) => ({
      mac: row.mac,
      port: row.port,
      port_index: row.portIndex,
      static: row.isStatic,
      age_seconds: row.isStatic ? null : row.age,
    })),
  }));
}
