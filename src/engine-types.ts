// SPDX-License-Identifier: BSD-2-Clause
/** The part of the addon's surface that is about loops over ports: what each is asked, and what it tells of itself. */

export type PktGenFunction = 'tx' | 'rx' | 'ping' | 'pong' | 'txseq' | 'rxseq';

/** A range of addresses and ports; end = start for a single one. IPv4 as 4, IPv6 as 16 bytes. */
export interface AddressRange {
  start: Uint8Array;
  end: Uint8Array;
  portStart: number;
  portEnd: number;
}

/** What native/engine/pktgen.h's PktGenConfig holds; every field is explicit. */
export interface PktGenConfig {
  function: PktGenFunction;
  /** Total over all threads; 0 = for ever. */
  count: number;
  /** Frame bytes without FCS; sizeMin > 0 = random sizes in [sizeMin, size). */
  size: number;
  sizeMin: number;
  burst: number;
  family: 4 | 6;
  source: AddressRange;
  destination: AddressRange;
  sourceMac: { start: string; end: string };
  destinationMac: { start: string; end: string };
  /** First core, -1 = none; thread i goes to (affinity + i) mod cpus. */
  affinity: number;
  cpus: number;
  /** Frames per second and thread, 0 = no limit. */
  rate: number;
  dump: boolean;
  headerLength: number;
  /** Frames to play in order instead of the built one; empty = none. */
  pcapFile: string;
  randomSource: boolean;
  randomDestination: boolean;
  fragments: number;
  maxFragment: number;
  indirect: boolean;
  /** rx: stop after 1 s of silence once traffic started. */
  waitOnce: boolean;
  verbose: number;
  rubbish: boolean;
  /** The reference's -o bits. */
  options: number;
  /** Busy-wait instead of sleeping. */
  busy: boolean;
  /** µs to spin before sleeping. */
  spin: number;
  seed: number;
  /** s, 0 = none. */
  duration: number;
}

export interface BridgeConfig {
  burst: number;
  /** false with -c */
  zeroCopy: boolean;
  loopback: boolean;
  busy: boolean;
  spin: number;
  verbose: number;
  affinity: number;
}

/** What native/engine/capture.h's CaptureConfig holds; 0 and "" mean none. */
export interface CaptureConfig {
  /** A path, or "-" for standard output. */
  output: string;
  /** What is said in the file of the interface, and of who wrote it. */
  name: string;
  description: string;
  application: string;
  os: string;
  hardware: string;
  /** In libpcap's language. */
  filter: string;
  snaplen: number;
  count: number;
  /** s */
  duration: number;
  /** MiB */
  buffer: number;
  /** The next file, with a number and the time in its name, begins after so much. */
  nextAfterBytes: number;
  nextAfterFrames: number;
  nextAfterSeconds: number;
  nextEverySeconds: number;
  keepFiles: number;
  stopAfterBytes: number;
  stopAfterFiles: number;
  busy: boolean;
  /** µs to spin before sleeping. */
  spin: number;
}

/** One engine thread's totals so far. Exact. */
export interface EngineSample {
  /** CLOCK_MONOTONIC, ns. */
  time: bigint;
  /** tx: put on the ring (offered). rx: received. bridge: moved, A→B then B→A as two threads. */
  frames: bigint;
  bytes: bigint;
  /** Syncs that moved something. */
  events: bigint;
  /** tx: what txsync took (accepted); rx: same as frames. */
  accepted: bigint;
  /** Smallest free space seen since the last sample; -1 = none seen. */
  minSpace: number;
  /** CLOCK_MONOTONIC ns of the first and last frame; 0 = none yet. */
  first: bigint;
  last: bigint;
  /** ping: round trips since the last sample, ns, and a log2 histogram. */
  rttCount: bigint;
  rttMin: bigint;
  rttSum: bigint;
  rttHistogram: BigUint64Array;
  /** Lines the engine wants shown (sequence gaps, dumps): {stream:'out'|'err', text}. */
  messages: { stream: 'out' | 'err'; text: string }[];
  done: boolean;
}

/** A running engine: native threads over ports that it keeps open until it is done. */
export interface NativeEngine {
  sample(): EngineSample[];
  /** Ask to stop; tx first drains what is on its rings. */
  stop(): void;
  /** Resolves when all threads have ended; rejects with the first thread's error. */
  readonly done: Promise<void>;
}
