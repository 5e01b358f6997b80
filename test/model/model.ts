// SPDX-License-Identifier: BSD-2-Clause
/**
 * The switch as it is meant to be, without memory, processes or speed: the oracle of
 * switch.model.test.ts. One call of it is one call of the real one; both must agree after each.
 */
import type { DropReason, PortCounters } from '../../src/native-types.js';
import { counters as zero } from '../support/ctl-sample.js';

/** What a sender puts on a ring. */
export interface Frame {
  to: string;
  from: string;
  /** With the sender's virtio-net header. */
  bytes: Uint8Array;
  /** Bytes in each of its slots. */
  parts: number[];
  /** NS_NO_LEARN */
  noLearn: boolean;
  /** NS_PORT: goes to the port of this index, whatever the address; 0 = look it up. */
  hint: number;
  /** Its slot names no buffer. */
  badSlot: boolean;
}

/** What a receiver finds. */
export type Arrival = Pick<Frame, 'bytes' | 'parts'>;
export type Rings = { first: number; last: number };
type Total = Exclude<keyof PortCounters, 'drops'>;

const ETHERNET_HEADER = 14;
const MOST_FRAGMENTS = 64;
const isGroup = (mac: string): boolean => (parseInt(mac.slice(0, 2), 16) & 1) === 1;

/** One's-complement sum of 16-bit words, as RFC 1071 adds them. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 1) total += bytes[i]! << (i % 2 === 0 ? 8 : 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}

/**
 * A frame for a port whose virtio-net header has another length. Super-frames are not in here: the model
 * makes no frame that is one, so that a header which says so is wrong.
 */
function convert(bytes: Uint8Array, from: number, to: number): Uint8Array | DropReason {
  const header = Buffer.from(bytes.subarray(0, Math.min(from, 10)));
  const body = Buffer.from(bytes.subarray(from));
  if (to > 0)
    return new Uint8Array(Buffer.concat([header, Buffer.alloc(to - header.length), body]));
  const [flags = 0, type = 0] = header;
  if (flags > 7) return 'bad_header';
  if (type !== 0) return [1, 3, 4, 5].includes(type & 0x7f) ? 'bad_header' : 'header_mismatch';
  if (flags % 2 === 1) {
    const start = header.readUInt16LE(6);
    const at = start + header.readUInt16LE(8);
    if (at + 2 > body.length) return 'bad_header';
    body.writeUInt16BE(0xffff - sum(body.subarray(start)) || 0xffff, at);
  }
  return new Uint8Array(body);
}

export class Switch {
  readonly totals = zero();
  /** By index. */
  readonly ports = new Map<number, Port>();
  readonly addresses = new Map<string, { port: Port; fixed: boolean }>();
  /** Indices: those in use, then the free ones, the next to be given out first. */
  readonly order = Array.from({ length: 254 }, (_, i) => i);

  constructor(readonly name: string) {}

  attach(port: Port): void {
    port.index = this.order[this.ports.size]!;
    port.switch = this;
    this.ports.set(port.index, port);
  }

  /** The last index in use takes the place of the one that leaves, which is then first among the free. */
  detach(port: Port): void {
    const last = this.ports.size - 1;
    const at = this.order.indexOf(port.index);
    [this.order[at], this.order[last]] = [this.order[last]!, this.order[at]!];
    this.ports.delete(port.index);
    for (const [mac, entry] of this.addresses) if (entry.port === port) this.addresses.delete(mac);
    port.switch = undefined;
  }

  learn(mac: string, port: Port): void {
    if (!isGroup(mac) && !this.addresses.get(mac)?.fixed)
      this.addresses.set(mac, { port, fixed: false });
  }
}

class RxRing {
  used = 0;
  readonly queue: Arrival[] = [];
  constructor(readonly slots: number) {}
}

export class Port {
  readonly counters = zero();
  readonly rx: RxRing[];
  readonly registrations = new Set<Registration>();
  switch: Switch | undefined;
  index = 0;
  header = 0;

  constructor(
    readonly name: string,
    readonly persistent: boolean,
    readonly txRings: number,
    rxRings: number,
    readonly slots: number,
    readonly bufSize: number,
  ) {
    this.rx = Array.from({ length: rxRings }, () => new RxRing(slots));
  }

  get fullName(): string {
    return this.switch ? `${this.switch.name}:${this.name}` : this.name;
  }

  count(what: Total, by = 1): void {
    this.counters[what] += BigInt(by);
    if (this.switch) this.switch.totals[what] += BigInt(by);
  }

  drop(reason: DropReason): void {
    this.counters.drops[reason] += 1n;
    if (this.switch) this.switch.totals.drops[reason] += 1n;
  }

  isOpen(ring: number): boolean {
    return [...this.registrations].some(({ rx }) => rx.first <= ring && ring < rx.last);
  }

  /** One copy of a frame reaches rx ring `number`, or not. */
  deliver(from: Port, frame: Frame, number: number): void {
    const ring = this.rx[number]!;
    if (!this.isOpen(number)) return from.drop('not_open');
    const differ = this.header !== from.header;
    const converted = differ ? convert(frame.bytes, from.header, this.header) : frame.bytes;
    if (typeof converted === 'string') return this.drop(converted);
    const bytes = converted;
    // Fragments keep their borders where they fit into the receiver's buffers and nothing is converted.
    const refilled = Array.from({ length: Math.ceil(bytes.length / this.bufSize) }, (_, i) =>
      Math.min(this.bufSize, bytes.length - i * this.bufSize),
    );
    const keep = !differ && frame.parts.every((part) => part <= this.bufSize);
    const parts = keep ? frame.parts : refilled;
    if (parts.length > Math.min(MOST_FRAGMENTS, ring.slots - 1)) return this.drop('too_big');
    if (ring.used + parts.length > ring.slots - 1) return this.drop('ring_full');
    ring.used += parts.length;
    ring.queue.push({ bytes, parts });
    from.count('txDelivered');
    this.count('rxFrames');
    this.count('rxBytes', bytes.length);
  }
}

export interface Registration {
  port: Port;
  tx: Rings;
  rx: Rings;
  /** Who holds it; 0 is the test itself. */
  process: number;
}

export class Model {
  readonly switches = new Map<string, Switch>();
  readonly ports = new Set<Port>();
  /** The first free record is taken first; the records of the dead are freed in this order. */
  readonly registrations: (Registration | undefined)[] = [];

  open(port: Port, tx: Rings, rx: Rings, process: number): number {
    const free = this.registrations.indexOf(undefined);
    const id = free < 0 ? this.registrations.length : free;
    const registration = { port, tx, rx, process };
    this.registrations[id] = registration;
    port.registrations.add(registration);
    return id;
  }

  close(id: number): void {
    const registration = this.registrations[id]!;
    const { port } = registration;
    this.registrations[id] = undefined;
    port.registrations.delete(registration);
    if (port.registrations.size > 0) return;
    for (const ring of port.rx) {
      port.count('rxGone', ring.queue.splice(0).length);
      ring.used = 0;
    }
    if (port.persistent) return;
    this.detach(port);
    this.ports.delete(port);
  }

  kill(process: number): void {
    for (const [id, registration] of this.registrations.entries())
      if (registration?.process === process) this.close(id);
  }

  attach(port: Port, name: string): void {
    if (!this.switches.has(name)) this.switches.set(name, new Switch(name));
    this.switches.get(name)!.attach(port);
    this.ports.add(port);
  }

  detach(port: Port): void {
    const { switch: sw } = port;
    sw?.detach(port);
    if (sw?.ports.size === 0) this.switches.delete(sw.name);
  }

  /** One sync of tx ring `ring`. */
  send(port: Port, ring: number, frames: Frame[]): void {
    for (const frame of frames) this.#forward(port, ring, frame);
  }

  #forward(port: Port, ring: number, frame: Frame): void {
    const { switch: sw, header } = port;
    const runt = frame.parts[0]! < header + ETHERNET_HEADER;
    const alone = sw === undefined || sw.ports.size === 1;
    port.count('txFrames');
    port.count('txBytes', frame.bytes.length);
    const copies = (number: number) => port.count('txCopies', number);
    const drop = (reason: DropReason) => {
      copies(1);
      port.drop(reason);
    };

    if (!frame.badSlot && !runt && !frame.noLearn) sw?.learn(frame.from, port);
    if (alone) return drop('no_destination');
    if (frame.badSlot) return drop('bad_slot');
    if (runt) return drop('runt');

    const known = isGroup(frame.to) ? undefined : sw.addresses.get(frame.to)?.port;
    if (known || frame.hint !== 0) {
      const to = frame.hint === 0 ? known : sw.ports.get(frame.hint);
      if (to === undefined) return drop('no_destination');
      if (to === port) return drop('same_port');
      copies(1);
      return to.deliver(port, frame, ring % to.rx.length);
    }
    const others = [...sw.ports.values()].filter((other) => other !== port && other.isOpen(0));
    if (others.length === 0) return drop('no_destination');
    copies(others.length);
    for (const other of others) other.deliver(port, frame, 0);
  }

  /** At most `most` frames of rx ring `number`, given back at once. */
  receive(port: Port, number: number, most: number): Arrival[] {
    const ring = port.rx[number]!;
    const frames = ring.queue.splice(0, most);
    for (const { parts } of frames) ring.used -= parts.length;
    port.count('rxRead', frames.length);
    return frames;
  }
}
