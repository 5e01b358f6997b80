// SPDX-License-Identifier: BSD-2-Clause
/** The frames one turn of a receive loop sees. */
import type { ValePort } from './port.js';
import { MAX_FRAGMENTS, SlotFlag, type Region, type Ring } from './ring.js';

/** Where a frame, or one fragment of it, is: `bytes.subarray(offset, offset + length)`. */
export interface Extent {
  /** In the bytes of the port, {@link ValePort.bytes}. */
  offset: number;
  /** Bytes. */
  length: number;
}

/**
 * Frames received, in order, from one ring. The same object is used for every batch of a port: what
 * it shows is valid until the next one is asked for, or the port is closed. Reads go straight to the
 * shared memory; nothing is copied and nothing allocated, except where a method says so.
 *
 * Frames are numbered from 0 to {@link length} − 1. Positions are bytes from the frame's start, which
 * is its destination address, or its virtio-net header when the port has one. A read outside the
 * frame throws a RangeError with code ERR_OUT_OF_RANGE.
 */
export class RxBatch {
  /** Frames in the batch. */
  length = 0;
  /** The rx ring they came from. */
  ring = 0;
  #from: Ring | undefined;
  #end = 0;
  #header = 0;
  readonly #region: Region;
  readonly #slot: Uint32Array;
  readonly #offset: Float64Array;
  readonly #first: Uint32Array;
  readonly #size: Uint32Array;
  readonly #fragments: Uint8Array;

  /** @internal */
  constructor(
    /** The port that received them. */
    readonly port: ValePort,
    region: Region,
    capacity: number,
  ) {
    this.#region = region;
    this.#slot = new Uint32Array(capacity);
    this.#offset = new Float64Array(capacity);
    this.#first = new Uint32Array(capacity);
    this.#size = new Uint32Array(capacity);
    this.#fragments = new Uint8Array(capacity);
  }

  /**
   * Takes at most `most` frames from the ring's head on.
   * @returns whether there were any
   * @internal
   */
  fill(ring: Ring, most: number, header: number): boolean {
    const { tail } = ring;
    const limit = Math.min(most, this.#slot.length);
    let slot = ring.head;
    let count = 0;
    while (slot !== tail && count < limit) {
      const first = ring.length(slot);
      let size = first;
      let fragments = 1;
      this.#slot[count] = slot;
      this.#offset[count] = ring.buffer(slot);
      this.#first[count] = first;
      let more = ring.flags(slot) & SlotFlag.MoreFragments;
      slot = ring.next(slot);
      while (more !== 0 && slot !== tail && fragments < MAX_FRAGMENTS) {
        size += ring.length(slot);
        fragments += 1;
        more = ring.flags(slot) & SlotFlag.MoreFragments;
        slot = ring.next(slot);
      }
      this.#size[count] = size;
      this.#fragments[count] = fragments;
      count += 1;
    }
    this.#from = ring;
    this.#end = slot;
    this.#header = header;
    this.ring = ring.index;
    this.length = count;
    return count > 0;
  }

  /** @returns how many slots were given back @internal */
  release(): number {
    const ring = this.#from;
    if (this.length === 0 || ring === undefined) return 0;
    const slots = (this.#end - this.#slot[0]! + ring.slots) % ring.slots;
    ring.advance(this.#end);
    this.length = 0;
    return slots;
  }

  /** Bytes of frame `i`, without FCS, over all its fragments. */
  size(i: number): number {
    return this.#size[this.#frame(i)]!;
  }

  /** Where the first fragment of frame `i` begins in {@link ValePort.bytes}. */
  offset(i: number): number {
    return this.#offset[this.#frame(i)]!;
  }

  /** Slots frame `i` takes, 1 to 64. */
  fragments(i: number): number {
    return this.#fragments[this.#frame(i)]!;
  }

  /** Fragment `k` of frame `i`; the whole frame when it has only one. Allocates. */
  frame(i: number, k = 0): Extent {
    const slot = this.#fragment(i, k);
    const ring = this.#from!;
    return { offset: k === 0 ? this.offset(i) : ring.buffer(slot), length: ring.length(slot) };
  }

  readUint8(i: number, at: number): number {
    return this.#region.bytes[this.#locate(i, at, 1)]!;
  }

  readUint16BE(i: number, at: number): number {
    const offset = this.#locate(i, at, 2);
    if (offset >= 0) return this.#region.view.getUint16(offset);
    return this.readUint8(i, at) * 2 ** 8 + this.readUint8(i, at + 1);
  }

  readUint32BE(i: number, at: number): number {
    const offset = this.#locate(i, at, 4);
    if (offset >= 0) return this.#region.view.getUint32(offset);
    return this.readUint16BE(i, at) * 2 ** 16 + this.readUint16BE(i, at + 2);
  }

  /** Six bytes as one number, as for MAC addresses. */
  readUint48BE(i: number, at: number): number {
    return this.readUint16BE(i, at) * 2 ** 32 + this.readUint32BE(i, at + 2);
  }

  /** Destination address as a number; formatMac() writes it out. */
  destination(i: number): number {
    return this.readUint48BE(i, this.#header);
  }

  /** Source address as a number. */
  source(i: number): number {
    return this.readUint48BE(i, this.#header + 6);
  }

  /** EtherType (or, up to 1500, the 802.3 length) of frame `i`. */
  etherType(i: number): number {
    return this.readUint16BE(i, this.#header + 12);
  }

  /**
   * Copies all of frame `i`, so that it outlives the batch.
   * @param target takes it from its first byte on; a new array when absent
   * @returns the part of `target` that was written
   * @throws RangeError when `target` is too small
   */
  copy(i: number, target?: Uint8Array): Uint8Array {
    const size = this.size(i);
    const to = target ?? new Uint8Array(size);
    let written = 0;
    for (let k = 0; k < this.fragments(i); k += 1) {
      const { offset, length } = this.frame(i, k);
      to.set(this.#region.bytes.subarray(offset, offset + length), written);
      written += length;
    }
    return to.length === size ? to : to.subarray(0, size);
  }

  /** The ring and slot of fragment `k`, for a port that takes the frame. @internal */
  located(i: number, k: number): { ring: Ring; slot: number } {
    return { ring: this.#from!, slot: this.#fragment(i, k) };
  }

  #frame(i: number): number {
    if (i >= 0 && i < this.length) return i;
    throw outOfRange(`frame ${i}: the batch has ${this.length} frames, counted from 0`);
  }

  #fragment(i: number, k: number): number {
    if (!(k >= 0 && k < this.fragments(i)))
      throw outOfRange(`fragment ${k}: frame ${i} has ${this.fragments(i)} of them`);
    const slot = this.#slot[i]! + k;
    return slot < this.#from!.slots ? slot : slot - this.#from!.slots;
  }

  /** Offset of `count` bytes in the region; −1 when they lie in two fragments. */
  #locate(i: number, at: number, count: number): number {
    const end = at + count;
    if (end <= this.#first[this.#frame(i)]! && at >= 0) return this.#offset[i]! + at;
    if (!(at >= 0 && end <= this.#size[i]!))
      throw outOfRange(`bytes ${at} to ${end - 1}: frame ${i} has ${this.#size[i]} bytes`);
    let start = 0;
    for (let k = 0; ; k += 1) {
      const { offset, length } = this.frame(i, k);
      if (at < start + length) return end <= start + length ? offset + at - start : -1;
      start += length;
    }
  }
}

function outOfRange(message: string): RangeError {
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}
