// SPDX-License-Identifier: BSD-2-Clause
/**
 * A netmap ring as JavaScript reads and writes it: fields of native/abi/netmap.h at their offsets in
 * the one view over the region. Fields are in the machine's byte order, which is little-endian
 * wherever this runs. Nothing here syncs; a ring's indices move only between syncs of one thread.
 *
 * Sizes and places are the addon's, not what the region says of itself, and what is read from it is
 * kept within them: memory that somebody has overwritten gives wrong frames, but no others than these.
 */
import type { RingPlace } from '../native-types.js';

/** Slot flags. */
export const SlotFlag = {
  BufferChanged: 0x01,
  NoLearn: 0x08,
  MoreFragments: 0x20,
  PortShift: 8,
} as const;

/** Most slots of a frame. */
export const MAX_FRAGMENTS = 64;

// Offsets in 32-bit words.
const HEAD = 5;
const CUR = 6;
const TAIL = 7;
const SLOTS = 64;
const SLOT_WORDS = 4;

/** Views over one port's region. */
export class Region {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;

  constructor(memory: ArrayBuffer) {
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.words = new Uint32Array(memory);
  }
}

export class Ring {
  /** Slots; the ring holds at most one less. */
  readonly slots: number;
  /** Bytes of a buffer, and the most a slot carries. */
  readonly bufferSize: number;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #firstSlot: number;
  readonly #buffers: number;
  readonly #count: number;

  /**
   * @param index the ring's number on its port
   * @param place of the ring in the region
   */
  constructor(
    readonly region: Region,
    readonly index: number,
    place: RingPlace,
  ) {
    this.#words = region.words;
    this.#base = place.offset / 4;
    this.#firstSlot = this.#base + SLOTS;
    this.slots = place.slots;
    this.bufferSize = place.bufferSize;
    this.#buffers = place.buffers;
    this.#count = Math.floor((region.bytes.length - place.buffers) / place.bufferSize);
  }

  get head(): number {
    return this.#position(HEAD);
  }

  get tail(): number {
    return this.#position(TAIL);
  }

  /** Slots from head to tail: rx: to be read; tx: free. */
  get available(): number {
    const count = this.tail - this.head;
    return count < 0 ? count + this.slots : count;
  }

  /** Gives every slot before `slot` to the switch. */
  advance(slot: number): void {
    this.#words[this.#base + HEAD] = slot;
    this.#words[this.#base + CUR] = slot;
  }

  next(slot: number): number {
    return slot + 1 === this.slots ? 0 : slot + 1;
  }

  /** Offset in the region of the slot's buffer, bytes; of buffer 0, nobody's, when it names none. */
  buffer(slot: number): number {
    const index = this.#slotWord(slot, 0);
    return this.#buffers + (index < this.#count ? index : 0) * this.bufferSize;
  }

  /** Bytes in the slot. */
  length(slot: number): number {
    const length = this.#slotWord(slot, 1) & 0xffff;
    return length < this.bufferSize ? length : this.bufferSize;
  }

  flags(slot: number): number {
    return this.#slotWord(slot, 1) >>> 16;
  }

  set(slot: number, length: number, flags: number): void {
    this.#words[this.#firstSlot + slot * SLOT_WORDS + 1] = length | (flags << 16);
  }

  /** Exchanges the buffers of two slots whose rings are in one region. */
  swap(slot: number, other: Ring, otherSlot: number): void {
    const mine = this.#firstSlot + slot * SLOT_WORDS;
    const theirs = other.#firstSlot + otherSlot * SLOT_WORDS;
    const index = this.#words[mine]!;
    this.#words[mine] = other.#words[theirs]!;
    other.#words[theirs] = index;
    this.#words[mine + 1]! |= SlotFlag.BufferChanged << 16;
    other.#words[theirs + 1]! |= SlotFlag.BufferChanged << 16;
  }

  #position(index: number): number {
    const slot = this.#words[this.#base + index]!;
    return slot < this.slots ? slot : 0;
  }

  #slotWord(slot: number, index: number): number {
    return this.#words[this.#firstSlot + slot * SLOT_WORDS + index]!;
  }
}
