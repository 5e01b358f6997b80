// SPDX-License-Identifier: BSD-2-Clause
/** The native loops for programs: a generator, a receiver, a bridge on ports that are open already. */
import { BadValue } from './errors.js';
import { native } from './native.js';
import type {
  AddressRange,
  BridgeConfig,
  EngineSample,
  NativeEngine,
  NativePort,
  PktGenConfig,
  PktGenFunction,
} from './native-types.js';
import { addressRange, familyOf } from './options/address.js';
import { macRange, type MacRange } from './options/mac.js';
import { failure } from './port/failure.js';
import type { ValePort } from './port/port.js';

/** What a generator is to do; absent = the default of `vale pkt-gen`. */
export interface GenerateOptions {
  /** Frames over all ports, 0 = until stopped; default 0. */
  count?: number;
  /** Bytes of a frame without FCS, 16 to 65536; default 60. */
  size?: number;
  /** With `size`: random sizes from this to size − 1. */
  sizeMin?: number;
  /** Most frames a sync; default 512, of ping and pong 1. */
  burst?: number;
  /** "10.0.0.1", "10.0.0.1:1000-10.0.0.9:2000", "[2001:db8::1]:53". */
  source?: string;
  destination?: string;
  /** "02:00:00:00:00:01", or two joined by "-". Default: the interface's, zeros on a switch. */
  sourceMac?: string;
  /** Default: broadcast. */
  destinationMac?: string;
  /** Frames per second and port, 0 = no limit; default 0. */
  rate?: number;
  /** A pcap or pcapng file to play instead of the built frame. */
  pcap?: string;
  randomSource?: boolean;
  randomDestination?: boolean;
  /** Slots a frame is spread over, 1 to 63; default 1. */
  fragments?: number;
  /** Of random addresses and sizes; default 1. */
  seed?: number;
  /** s, 0 = until stopped; default 0. */
  duration?: number;
  /** rx: end after 1 s of silence once traffic has started. */
  once?: boolean;
  /** Poll without ever sleeping: costs a core. */
  busy?: boolean;
  /** µs to poll before sleeping; default 50. */
  spin?: number;
}

export interface BridgeOptions {
  /** Most frames a turn and direction; default 1024. */
  burst?: number;
  /** Swap buffers where both ports share memory; default true. */
  zeroCopy?: boolean;
  busy?: boolean;
  /** µs to poll before sleeping; default 50. */
  spin?: number;
}

/**
 * A running engine. Its ports cannot be used otherwise (EBUSY) until `done`, except for counters().
 *
 *     await using run = generate('tx', port, { rate: 1e6, duration: 10 });
 *     await run.done;
 */
export class Run implements AsyncDisposable {
  /** Resolves when all loops have ended; rejects with the first error of one. */
  readonly done: Promise<void>;
  readonly #engine: NativeEngine;

  /** @internal */
  constructor(ports: ValePort[], start: (ports: NativePort[]) => NativeEngine) {
    this.#engine = start(ports.map((port) => port.lend()));
    this.done = this.#engine.done;
    for (const port of ports) port.lentUntil(this.done);
  }

  /** Totals so far, one for each port; of a bridge one for each direction. Also after the end. */
  sample(): EngineSample[] {
    return this.#engine.sample();
  }

  /** Asks the loops to end; frames already on a ring are sent. Resolves with `done`. */
  stop(): Promise<void> {
    this.#engine.stop();
    return this.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/**
 * Runs a generator ('tx', 'txseq', 'ping') or a receiver ('rx', 'rxseq', 'pong') in native threads,
 * one a port.
 * @throws EINVAL for options that contradict each other, EMSGSIZE for frames the ports cannot carry,
 *   EBUSY for a port in use, or what reading the capture fails with
 */
export function generate(
  what: PktGenFunction,
  ports: ValePort | ValePort[],
  options: GenerateOptions = {},
): Run {
  const list = Array.isArray(ports) ? ports : [ports];
  const first = list[0];
  if (first === undefined) throw failure('EINVAL', 'no port: a generator needs at least one');
  const address = options.source ?? options.destination;
  const family = address === undefined ? 4 : familyOf(address);
  const range = (name: 'source' | 'destination', fallback: string): AddressRange =>
    read(name, options[name] ?? fallback, (text) => addressRange(text, family));
  const macs = (name: 'sourceMac' | 'destinationMac', fallback: string): MacRange =>
    read(name, options[name] ?? fallback, macRange);
  const config: PktGenConfig = {
    function: what,
    count: options.count ?? 0,
    size: options.size ?? 60,
    sizeMin: options.sizeMin ?? 0,
    burst: options.burst ?? (what === 'ping' || what === 'pong' ? 1 : 512),
    family,
    source: range('source', family === 4 ? '10.0.0.1' : '2001:db8::1'),
    destination: range('destination', family === 4 ? '10.1.0.1' : '2001:db8:1::1'),
    sourceMac: macs('sourceMac', first.info.mac),
    destinationMac: macs('destinationMac', 'ff:ff:ff:ff:ff:ff'),
    affinity: -1,
    cpus: 0,
    rate: options.rate ?? 0,
    dump: false,
    headerLength: first.headerLength,
    pcapFile: options.pcap ?? '',
    randomSource: options.randomSource ?? false,
    randomDestination: options.randomDestination ?? false,
    fragments: options.fragments ?? 1,
    maxFragment: 0,
    indirect: false,
    waitOnce: options.once ?? false,
    verbose: 0,
    rubbish: false,
    options: 0,
    busy: options.busy ?? false,
    spin: options.spin ?? 50,
    seed: options.seed ?? 1,
    duration: options.duration ?? 0,
  };
  return new Run(list, (lent) => native().startPktGen(lent, config));
}

/**
 * Joins two ports in a native thread: what one receives the other sends, both ways; nothing that was
 * taken is dropped for want of room.
 * @throws EINVAL for one port given twice, EBUSY for a port in use
 */
export function bridge(a: ValePort, b: ValePort, options: BridgeOptions = {}): Run {
  const config: BridgeConfig = {
    burst: options.burst ?? 1024,
    zeroCopy: options.zeroCopy ?? true,
    loopback: false,
    busy: options.busy ?? false,
    spin: options.spin ?? 50,
    verbose: 0,
    affinity: -1,
  };
  return new Run([a, b], ([one, other]) => native().startBridge(one!, other!, config));
}

function read<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof BadValue)
      throw failure('EINVAL', `${name} ${text}: expected ${error.what}`);
    throw error;
  }
}
