// SPDX-License-Identifier: BSD-2-Clause
/**
 * The addon's whole surface, as TypeScript sees it. native/addon implements it; nothing else talks
 * to the data plane. Every call that fails throws an Error whose message is the one line for the
 * user, with `code` ("ENXIO") and `errno` (positive number) set.
 */

import type { BridgeConfig, CaptureConfig, NativeEngine, PktGenConfig } from './engine-types.js';

export type * from './engine-types.js';

/** Wishes (slots, rings) count only for whoever creates the port; 0 or absent = default. */
export interface OpenRequest {
  /** Full name without suffixes: "vale0:a", or an interface's name for a wire. */
  name: string;
  /** NR_REG_*: 1 all rings (default), 2 host, 3 all and host, 4 one ring, 8 one host ring. */
  mode?: number;
  ringId?: number;
  /** NR_EXCLUSIVE 0x800, NR_RX_RINGS_ONLY 0x2000, NR_TX_RINGS_ONLY 0x4000, … */
  flags?: number;
  txSlots?: number;
  rxSlots?: number;
  txRings?: number;
  rxRings?: number;
  hostTxRings?: number;
  hostRxRings?: number;
  memId?: number;
  extraBufs?: number;
  bufSize?: number;
}

export interface PortInfo {
  name: string;
  /** "user", "kernel", or a wire's backend: "packet", "tap", … */
  device: string;
  memsize: bigint;
  offset: bigint;
  txSlots: number;
  rxSlots: number;
  txRings: number;
  rxRings: number;
  hostTxRings: number;
  hostRxRings: number;
  memId: number;
  extraBufs: number;
  bufSize: number;
  mtu: number;
  /** "02:00:00:00:00:01"; all zero when the port has none. */
  mac: string;
}

/** How a network interface is opened; absent = the default. */
export interface WireOptions {
  /** What moves the frames; default "auto", the best there is. */
  backend?: WireBackend;
  /** Leave the interface to the host's stack too: frames reach both. */
  shared?: boolean;
  /** Take even an interface that carries the default route or the user's login. */
  force?: boolean;
  /** The port will be polled without ever sleeping. */
  busy?: boolean;
}

export const WIRE_BACKENDS = [
  'auto',
  'xdp',
  'xdp-zerocopy',
  'xdp-native',
  'xdp-generic',
  'packet',
  'tap',
] as const;
export type WireBackend = (typeof WIRE_BACKENDS)[number];

/** What a wire knows of its interface, now. */
export interface WireState {
  /** Its name, which may change. */
  interface: string;
  /** "xdp-zerocopy", "xdp-native", "xdp-generic", "packet" or "tap". */
  backend: string;
  /** What keeps the host's stack away: "tcx", "nftables", or "none", the wire is shared. */
  takeOver: string;
  /** One line when something asked for could not be had, else "". */
  warning: string;
  /** This is the side of the host's stack. */
  host: boolean;
  /** For good. */
  removed: boolean;
  /** Administratively. */
  up: boolean;
  /** Up and with carrier. */
  link: boolean;
  /** How often the link went down since it was opened. */
  linkDowns: bigint;
  /** Mbit/s; 0 when the driver does not say. */
  speed: number;
  /** Bytes, without the Ethernet header. */
  mtu: number;
  /** "02:00:00:00:00:01"; zeros when it has none. */
  mac: string;
  promiscuous: boolean;
  /** Receive queues that the driver has got since it was opened by AF_XDP: their frames are lost, uncounted. */
  unservedQueues: number;
  /** A virtual machine's socket was removed and cannot be made again. */
  unreachable: boolean;
  /** Another virtual machine waits there until the one that is connected has gone. */
  anotherWaits: boolean;
  /** Frames the kernel received for this port and had no room for. */
  kernelDrops: bigint;
  /** The interface's own counts, since it exists. */
  nicRxDropped: bigint;
  nicTxDropped: bigint;
}

/** Reasons, in the order of native/device/device.h's enum Drop. */
export type DropReason =
  | 'no_destination'
  | 'same_port'
  | 'not_open'
  | 'bad_slot'
  | 'runt'
  | 'too_long'
  | 'peer_stalled'
  | 'unmappable'
  | 'sender_died'
  | 'link_down'
  | 'ring_full'
  | 'too_big'
  | 'header_mismatch'
  | 'bad_header';

export interface PortCounters {
  txFrames: bigint;
  txBytes: bigint;
  txCopies: bigint;
  txDelivered: bigint;
  rxFrames: bigint;
  rxBytes: bigint;
  rxRead: bigint;
  rxGone: bigint;
  drops: Record<DropReason, bigint>;
}

export interface PortRow {
  name: string;
  /** A pipe's ends and monitors follow the port they belong to, and are attached to no switch. */
  kind: 'port' | 'pipe' | 'monitor' | 'null';
  switchIndex: number;
  portIndex: number;
  attached: boolean;
  headerLength: number;
  info: PortInfo;
  /** The kernel's netmap tells neither this nor the next two. */
  persistent?: boolean;
  registrations?: number;
  counters?: PortCounters;
}

export interface SwitchRow {
  name: string;
  index: number;
  ports: number;
  /** The kernel's netmap tells neither this nor the next two. */
  fdbEntries?: number;
  ageing?: number;
  totals?: PortCounters;
}

export interface FdbRow {
  mac: string;
  portIndex: number;
  port: string;
  isStatic: boolean;
  /** Seconds since last seen; 0 for static entries. */
  age: number;
}

/** How to attach a network interface; none of it matters to a persistent port. */
export interface AttachHow {
  /** Its host stack as port "vale0:em1^" too. */
  host?: boolean;
  /** How to drive it; absent: the best there is. */
  backend?: string;
  /** What it receives also reaches the host's stack. */
  shared?: boolean;
  /** Even if this machine is reached through it. */
  force?: boolean;
  /** Its network namespace: a name of `ip netns`, or a process id. */
  netns?: string;
  /** Path of the agent's executable. */
  agent?: string;
  /** Of the process that serves this virtual machine, with others that name it; absent: one of its own. */
  agentName?: string;
  /** No interface but a virtual machine, met at the vhost-user socket of this absolute path. */
  vhostUser?: string;
  /** The same by QEMU's netdev "stream", for hypervisors without shared memory. */
  stream?: string;
  /** Or by its netdev "dgram". */
  dgram?: string;
  /** The path of the machine's own socket, for `dgram`; absent: whoever sends. */
  remote?: string;
  /** Its process listens there; else the agent does. */
  client?: boolean;
}

/** An attached network interface, or what is left of one whose agent died. */
export interface AgentRow {
  /** Full name of its port; the host side's is the same with "^". */
  port: string;
  /** Its present name. */
  interface: string;
  /** Path of a virtual machine's socket; "" it is an interface. */
  socket: string;
  /** Of its process, which may serve others of this name; "" it has none. */
  name: string;
  /** As it was asked for; "" the namespace of whoever attached it. */
  netns: string;
  /** Of /proc/PID/ns/net: says which namespace, whatever it is called. */
  netnsInode: number;
  alive: boolean;
  /** Its death was reported. */
  told: boolean;
  /** It lives but does not run: stopped, or its container is frozen. */
  stalled: boolean;
  host: boolean;
  /** As it was when it last answered. */
  state: WireState;
  pid: number;
  /** CPUs that poll it; 0 = it sleeps when there is nothing to do. */
  pollCores: number;
  pollFirst: number;
  /** Seconds since 1970. */
  started: number;
  /** When its end was noticed; 0 = it lives. */
  ended: number;
  /** It ended; "" something killed it. */
  why: string;
  /** Paths; the older half may not be there. */
  olderLog: string;
  log: string;
  /** On the interface's side: rx is what came from it; ring_full counts the kernel's own drops. */
  wire: PortCounters;
  hostSide: PortCounters;
}

/** The runtime directory, or the kernel's netmap, and everything that can be asked of it. */
export interface NativeRuntime {
  readonly device: 'user' | 'kernel';
  /** Absolute path of the runtime directory in use, or of the kernel's device. */
  readonly directory: string;
  /** One line about it for stderr (such as: not on tmpfs); "" when there is nothing to say. */
  readonly warning: string;
  list(): PortRow[];
  switches(): SwitchRow[];
  info(request: OpenRequest): PortInfo;
  index(port: string): { switchIndex: number; portIndex: number };
  create(request: OpenRequest): PortInfo;
  remove(name: string): void;
  /** warning: one line when something could not be had, else "". */
  attach(request: OpenRequest, how: AttachHow): { portIndex: number; warning: string };
  detach(port: string): { portIndex: number };
  /** Busy polling of an attached interface on CPU `first`; `cores` 1 begins, 0 ends it. */
  poll(port: string, cores: number, first: number): void;
  agents(): AgentRow[];
  /** A death was reported or, with `logShown`, its log read: then it is forgotten. */
  forgetAgent(port: string, logShown: boolean): void;
  setHeaderLength(port: string, length: number): void;
  getHeaderLength(port: string): number;
  fdbShow(sw: string): FdbRow[];
  fdbFlush(sw: string): number;
  fdbAdd(port: string, mac: string): void;
  fdbRemove(sw: string, mac: string): void;
  setAgeing(sw: string, seconds: number): void;
  /** Opens a switch port, or a wire when the name is an interface's. */
  open(request: OpenRequest, wire?: WireOptions): NativePort;
  close(): void;
}

/** A ring in its port's memory, whatever that memory itself says of it. */
export interface RingPlace {
  /** Of the netmap_ring, bytes. */
  offset: number;
  slots: number;
  /** Of buffer 0, bytes. */
  buffers: number;
  /** Bytes of a buffer. */
  bufferSize: number;
}

/** One registration. */
export interface NativePort {
  readonly info: PortInfo;
  /** The whole region, one view, no copies. Detached (length 0) after close(). */
  readonly memory: ArrayBuffer;
  /** Equal for two ports whose buffers are in one region; 0n = never. */
  readonly memoryKey: bigint;
  readonly firstTx: number;
  readonly lastTx: number;
  readonly firstRx: number;
  readonly lastRx: number;
  /** Where tx ring i / rx ring i is in `memory`. */
  txRing(i: number): RingPlace;
  rxRing(i: number): RingPlace;
  txsync(): void;
  rxsync(): void;
  /** poll(2)'s meaning; resolves with the events that hold (POLLIN 1, POLLOUT 4), 0 on timeout. */
  wait(events: number, timeoutMs: number): Promise<number>;
  /** Ends all pending waits of this port now; they resolve with 0. */
  wake(): void;
  /** Undefined for a port of the kernel's netmap, which counts nothing. */
  counters(): PortCounters | undefined;
  /** Undefined for a port of a switch. */
  wireState(): WireState | undefined;
  headerLength: number;
  close(): void;
}

/** What the kernel answers when wires ask for what they need: an errno, 0 = it works. */
export interface WireProbe {
  packetSocket: number;
  xdpSocket: number;
  bpfProgram: number;
  tcxLink: number;
  netfilterTable: number;
  tapDevice: number;
}

/** A runtime directory seen from outside. */
export interface DirectoryFacts {
  /** Absolute path. */
  directory: string;
  /** What opening it would fail with; 0 = it can be used, or made. */
  errno: number;
  /** And would say, as one line; else "". */
  refusal: string;
  /** Layout of its control file; 0 = there is none, or it is none of ours. */
  layout: number;
  /** The layout this program makes and takes. */
  expectedLayout: number;
  /** Processes that use it. */
  living: number;
  /** Processes that ended without leaving, and have not been looked after yet. */
  dead: number;
}

export interface NativeBinding {
  /** package version the addon was built from */
  readonly version: string;
  /** directory undefined: the default of this user (design.md, "runtime directory"). */
  openRuntime(directory?: string): NativeRuntime;
  /** /dev/netmap. Fails where there is none. */
  openKernel(): NativeRuntime;
  /** ports[i] belongs to thread i; they must not be used from JavaScript until done. */
  startPktGen(ports: NativePort[], config: PktGenConfig): NativeEngine;
  startBridge(a: NativePort, b: NativePort, config: BridgeConfig): NativeEngine;
  /** Lanes: received (accepted: passed the filter), kept in memory, written (bytes and events: files). */
  startCapture(port: NativePort, config: CaptureConfig): NativeEngine;
  /** What is wrong with a capture's filter, in one line; "" nothing. */
  checkFilter(text: string): string;
  /** Changes nothing: no interface is touched, no device made. */
  probe(): WireProbe;
  /** Makes nothing. directory undefined: the one openRuntime() would use. */
  inspect(directory?: string): DirectoryFacts;
  /** Local interfaces: name, mac, mtu. */
  interfaces(): { name: string; mac: string; mtu: number }[];
  /** This process becomes that program; returns only by throwing. */
  execute(path: string, argv: readonly string[], environment: readonly string[]): never;
  /** Whether nobody reads any more what is written to this pipe or socket. */
  readerGone(fd: number): boolean;
  /** Whether the file gives capabilities to whoever runs it. */
  hasFileCapabilities(path: string): boolean;
}
