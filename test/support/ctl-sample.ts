// SPDX-License-Identifier: BSD-2-Clause
// Made-up rows of a runtime, for what a real one cannot be brought to show at will.
import type {
  AgentRow,
  DropReason,
  NativeBinding,
  NativeRuntime,
  PortCounters,
  PortInfo,
  PortRow,
  SwitchRow,
} from '../../src/native-types.js';
import type { Snapshot } from '../../src/session/control.js';

export const DROP_REASONS: readonly DropReason[] = [
  'no_destination',
  'same_port',
  'not_open',
  'bad_slot',
  'runt',
  'too_long',
  'peer_stalled',
  'unmappable',
  'sender_died',
  'link_down',
  'ring_full',
  'too_big',
  'header_mismatch',
  'bad_header',
];

type CounterWishes = Partial<Omit<PortCounters, 'drops'>> & {
  drops?: Partial<Record<DropReason, bigint>>;
};

export function counters({ drops, ...totals }: CounterWishes = {}): PortCounters {
  const none = Object.fromEntries(DROP_REASONS.map((reason) => [reason, 0n]));
  return {
    txFrames: 0n,
    txBytes: 0n,
    txCopies: 0n,
    txDelivered: 0n,
    rxFrames: 0n,
    rxBytes: 0n,
    rxRead: 0n,
    rxGone: 0n,
    ...totals,
    drops: { ...(none as Record<DropReason, bigint>), ...drops },
  };
}

export function info(name: string, more: Partial<PortInfo> = {}): PortInfo {
  return {
    name,
    device: 'user',
    memsize: 42369024n,
    offset: 0n,
    txSlots: 1024,
    rxSlots: 1024,
    txRings: 1,
    rxRings: 1,
    hostTxRings: 0,
    hostRxRings: 0,
    memId: 2,
    extraBufs: 0,
    bufSize: 2112,
    mtu: 65536,
    mac: '00:00:00:00:00:00',
    ...more,
  };
}

export function port(name: string, more: Partial<PortRow> = {}): PortRow {
  return {
    name,
    kind: 'port',
    switchIndex: 0,
    portIndex: 0,
    attached: true,
    persistent: false,
    registrations: 1,
    headerLength: 0,
    info: info(name),
    counters: counters(),
    ...more,
  };
}

export function sw(name: string, more: Partial<SwitchRow> = {}): SwitchRow {
  return { name, index: 0, ports: 1, fdbEntries: 0, ageing: 300, totals: counters(), ...more };
}

export function agent(port: string, more: Partial<AgentRow> = {}): AgentRow {
  const name = port.slice(port.indexOf(':') + 1);
  return {
    port,
    interface: name,
    socket: '',
    name: '',
    netns: '',
    netnsInode: 0,
    alive: true,
    told: false,
    stalled: false,
    host: false,
    state: {
      interface: name,
      backend: 'packet',
      takeOver: 'tcx',
      warning: '',
      host: false,
      removed: false,
      up: true,
      link: true,
      linkDowns: 0n,
      speed: 10_000,
      mtu: 1500,
      mac: '02:00:00:00:00:01',
      promiscuous: true,
      unservedQueues: 0,
      unreachable: false,
      anotherWaits: false,
      kernelDrops: 0n,
      nicRxDropped: 0n,
      nicTxDropped: 0n,
    },
    pid: 4711,
    pollCores: 0,
    pollFirst: 0,
    started: 900,
    ended: 0,
    why: '',
    olderLog: '',
    log: '',
    wire: counters(),
    hostSide: counters(),
    ...more,
  };
}

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return {
    device: 'user',
    directory: '/run/user/1000/vale',
    time: 1000,
    switches: [],
    ports: [],
    agents: [],
    ...more,
  };
}

/** Two ports and the counters beyond what a number of JavaScript holds exactly. */
export const busy: Snapshot = snapshot({
  switches: [
    sw('vale0', {
      ports: 2,
      fdbEntries: 12,
      totals: counters({ txFrames: 5_000_000_000n, rxFrames: 4_999_999_999n, drops: { runt: 1n } }),
    }),
  ],
  ports: [
    port('vale0:a', {
      counters: counters({
        txFrames: 5_000_000_000n,
        txBytes: 2n ** 63n + 1n,
        txCopies: 5_000_000_000n,
        txDelivered: 4_999_999_999n,
        drops: { runt: 1n },
      }),
    }),
    port('vale0:receiver', {
      portIndex: 1,
      info: info('vale0:receiver', { memId: 3, rxRings: 4, rxSlots: 512 }),
      counters: counters({ rxFrames: 4_999_999_999n, rxBytes: 300_000_000_000n }),
    }),
    port('p0', { attached: false, persistent: true, registrations: 0 }),
  ],
});

const quiet = agent('vale0:em0').state;

/** Interfaces in every state, one with its host's stack, beside a port of a process. */
export const attached: Snapshot = snapshot({
  switches: [sw('vale0', { ports: 6 })],
  ports: ['em0', 'em0^', 'em1', 'em2', 'em3', 'a'].map((name, portIndex) =>
    port(`vale0:${name}`, { portIndex }),
  ),
  agents: [
    agent('vale0:em0', { host: true, wire: counters({ rxFrames: 7n, drops: { ring_full: 3n } }) }),
    agent('vale0:em1', {
      pollCores: 1,
      state: { ...quiet, backend: 'xdp-native', speed: 0, mtu: 9000 },
    }),
    agent('vale0:em2', { state: { ...quiet, takeOver: 'none', link: false } }),
    agent('vale0:em3', { state: { ...quiet, takeOver: 'nftables', up: false, link: false } }),
  ],
});

/** A runtime that holds `rows` and does what `more` says. */
export function runtime(rows: Snapshot, more: Partial<NativeRuntime> = {}): NativeRuntime {
  const refuse = (): never => {
    throw new Error('not asked for in this test');
  };
  return {
    device: 'user',
    directory: rows.directory,
    warning: '',
    list: () => rows.ports,
    switches: () => rows.switches,
    info: refuse,
    index: refuse,
    create: refuse,
    remove: refuse,
    attach: refuse,
    detach: refuse,
    poll: refuse,
    agents: () => rows.agents,
    forgetAgent: refuse,
    setHeaderLength: refuse,
    getHeaderLength: refuse,
    fdbShow: refuse,
    fdbFlush: refuse,
    fdbAdd: refuse,
    fdbRemove: refuse,
    setAgeing: refuse,
    open: refuse,
    close: () => undefined,
    ...more,
  };
}

export function binding(
  directories: Record<string, Snapshot> = {},
  interfaces: string[] = [],
): NativeBinding {
  return {
    interfaces: () => interfaces.map((name) => ({ name, mac: '02:00:00:00:00:01', mtu: 1500 })),
    openRuntime: (directory = '') => {
      const rows = directories[directory];
      if (rows === undefined) throw new Error(`no directory ${directory}`);
      return runtime(rows);
    },
  } as unknown as NativeBinding;
}

/** An error as the addon throws it. */
export function nativeError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, errno: 1 });
}
