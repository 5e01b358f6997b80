// SPDX-License-Identifier: BSD-2-Clause
// From pkt-gen's flags to the configuration its engine runs with.
import { BadValue, expected, UsageError } from '../errors.js';
import type { AddressRange, PktGenConfig, PktGenFunction } from '../native-types.js';
import { addressRange, DEFAULT_PORT, familyOf, formatAddress } from './address.js';
import { defaultSpin } from './flags.js';
import type { MacRange } from './mac.js';

export const FUNCTIONS: readonly PktGenFunction[] = ['rx', 'tx', 'ping', 'pong', 'txseq', 'rxseq'];

/** The reference's -o bits. */
const BIT = { indirect: 32, dump: 64, rubbish: 256, source: 512, destination: 1024, stats: 2048 };

const NO_MAC = '00:00:00:00:00:00';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const DEFAULTS = {
  4: { source: '10.0.0.1', destination: '10.1.0.1', size: 60 },
  // The least that holds the headers.
  6: { source: '2001:db8::1', destination: '2001:db8:1::1', size: 62 },
};

/** Bytes of an Ethernet header, and of one with IP and UDP. */
const ETHERNET = 14;
const HEADERS = { 4: 42, 6: 62 };
/** What these functions write behind the headers, bytes. */
const FIELDS: Partial<Record<PktGenFunction, number>> = { txseq: 4, ping: 12 };

/** What the flags of pkt-gen hold after each was checked alone. Absent = not typed. */
export interface PktGenFlags {
  function: PktGenFunction;
  count: number;
  size: number[];
  burst?: number | undefined;
  family?: 4 | 6 | undefined;
  source?: string | undefined;
  destination?: string | undefined;
  sourceMac?: MacRange | undefined;
  destinationMac?: MacRange | undefined;
  affinity?: number | undefined;
  cpus?: number | undefined;
  threads: number;
  rate: number;
  dump: boolean;
  header?: number | undefined;
  pcap?: string | undefined;
  randomSource: boolean;
  randomDestination: boolean;
  fragments: number;
  maxFragment: number;
  indirect: boolean;
  once: boolean;
  verbose: number;
  rubbish: boolean;
  options: number;
  statistics: boolean;
  duration: number;
  seed?: number | undefined;
  busy: boolean;
  spin?: number | undefined;
}

export interface Machine {
  onlineCpus: number;
  /** CPUs this process may run on. */
  usableCpus: number;
  /** For a run without --seed. */
  randomSeed: number;
}

/** What only the opened port can tell. */
export interface PortFacts {
  name: string;
  /** Of the interface; zeros when it has none. */
  mac: string;
  /** Most bytes of a frame. */
  mtu: number;
  /** virtio-net header, bytes. */
  headerLength: number;
}

/** -o's bits and the options that set the same bits, as one number. */
export function optionBits(flags: PktGenFlags): number {
  return (
    flags.options |
    (flags.indirect ? BIT.indirect : 0) |
    (flags.dump ? BIT.dump : 0) |
    (flags.rubbish ? BIT.rubbish : 0) |
    (flags.randomSource ? BIT.source : 0) |
    (flags.randomDestination ? BIT.destination : 0) |
    (flags.statistics ? BIT.stats : 0)
  );
}

export function wantsStatistics(flags: PktGenFlags): boolean {
  return (optionBits(flags) & BIT.stats) !== 0;
}

/**
 * Checks the flags against each other and fills in the defaults; those of the port come with
 * forPort(). Throws UsageError.
 */
export function pktGenConfig(flags: PktGenFlags, machine: Machine): PktGenConfig {
  const family = flags.family ?? inferFamily(flags);
  const fields = FIELDS[flags.function];
  const least = HEADERS[family] + (fields ?? 0);
  const [size, sizeMin] = sizes(flags.size, Math.max(DEFAULTS[family].size, least));
  if (fields !== undefined && (sizeMin || size) < least)
    throw expected(
      `at least the ${least} bytes that ${flags.function} needs`,
      '-l',
      sizeMin || size,
    );
  const bits = optionBits(flags);
  const cpus = flags.cpus ?? 0;
  if (cpus > machine.onlineCpus)
    throw expected(`at most the ${machine.onlineCpus} CPUs online`, '-c', cpus);
  if (flags.affinity !== undefined && flags.affinity >= machine.onlineCpus && !cpus)
    throw expected(`a CPU from 0 to ${machine.onlineCpus - 1}`, '-a', flags.affinity);
  if (flags.function === 'ping' && flags.threads > 1)
    throw new UsageError(`ping runs in one thread: leave out -p ${flags.threads}`);
  if (flags.pcap === '') throw expected('the name of a capture file', '-P', '');
  if (flags.pcap !== undefined && flags.function !== 'tx')
    throw new UsageError(`-P plays frames and needs -f tx, not -f ${flags.function}`);
  return {
    function: flags.function,
    count: flags.count,
    size,
    sizeMin,
    burst: flags.burst || (flags.function === 'ping' || flags.function === 'pong' ? 1 : 512),
    family,
    source: range('-s', flags.source ?? DEFAULTS[family].source, family),
    destination: range('-d', flags.destination ?? DEFAULTS[family].destination, family),
    sourceMac: flags.sourceMac ?? { start: NO_MAC, end: NO_MAC },
    destinationMac: flags.destinationMac ?? { start: BROADCAST, end: BROADCAST },
    affinity: flags.affinity ?? -1,
    cpus: cpus === 0 ? machine.onlineCpus : cpus,
    rate: flags.rate,
    dump: (bits & BIT.dump) !== 0,
    headerLength: flags.header ?? 0,
    pcapFile: flags.pcap ?? '',
    randomSource: (bits & BIT.source) !== 0,
    randomDestination: (bits & BIT.destination) !== 0,
    fragments: flags.fragments,
    maxFragment: flags.maxFragment,
    indirect: (bits & BIT.indirect) !== 0,
    waitOnce: flags.once,
    verbose: flags.verbose,
    rubbish: (bits & BIT.rubbish) !== 0,
    options: bits,
    busy: flags.busy,
    spin: flags.spin ?? defaultSpin(machine.usableCpus),
    seed: flags.seed ?? machine.randomSeed,
    duration: flags.duration,
  };
}

/** The configuration on a certain port. Throws UsageError when that cannot carry the frames. */
export function forPort(config: PktGenConfig, flags: PktGenFlags, port: PortFacts): PktGenConfig {
  const builds = config.pcapFile === '' && !/^(rx|rxseq|pong)$/.test(config.function);
  if (builds && config.size > port.mtu)
    throw expected(`at most the ${port.mtu} bytes that ${port.name} carries`, '-l', config.size);
  const headerLength = flags.header ?? port.headerLength;
  const headers = headerLength + ETHERNET;
  if (config.maxFragment > 0 && config.maxFragment < headers)
    throw expected(`at least the ${headers} bytes of headers`, '-M', config.maxFragment);
  return {
    ...config,
    sourceMac: flags.sourceMac ?? { start: port.mac, end: port.mac },
    headerLength,
  };
}

/** "10.0.0.1 -> 10.1.0.1 (00:… -> ff:…)", ranges as "first-last"; of a capture, its name. */
export function routeOf(config: PktGenConfig): string {
  if (config.pcapFile !== '') return `Frames of ${config.pcapFile}, as they are`;
  const side = (range: AddressRange) => {
    const show = (address: Uint8Array, port: number) => {
      const text = formatAddress(address);
      if (range.portStart === range.portEnd && port === DEFAULT_PORT) return text;
      return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
    };
    const first = show(range.start, range.portStart);
    const last = show(range.end, range.portEnd);
    return first === last ? first : `${first}-${last}`;
  };
  const mac = ({ start, end }: MacRange) => (start === end ? start : `${start}-${end}`);
  return (
    `${side(config.source)} -> ${side(config.destination)} ` +
    `(${mac(config.sourceMac)} -> ${mac(config.destinationMac)})`
  );
}

function sizes(typed: number[], preset: number): [size: number, sizeMin: number] {
  const size = typed[0] ?? preset;
  const sizeMin = typed.length > 1 ? (typed.at(-1) ?? 0) : 0;
  if (sizeMin > size)
    throw expected(`at most the first -l, ${size}, as the least random size`, '-l', sizeMin);
  return [size, sizeMin === size ? 0 : sizeMin];
}

function inferFamily(flags: PktGenFlags): 4 | 6 {
  const typed = flags.source ?? flags.destination;
  return typed === undefined ? 4 : familyOf(typed);
}

/** The family is known only when all flags are, so the error needs its option's name here. */
function range(option: string, text: string, family: 4 | 6): AddressRange {
  try {
    return addressRange(text, family);
  } catch (error) {
    throw error instanceof BadValue ? expected(error.what, option, text) : error;
  }
}
