// SPDX-License-Identifier: BSD-2-Clause
/** Puts frames on one tx ring: copies, fragments, swaps buffers where memory is shared. */
import { failure } from './failure.js';
import { MAX_FRAGMENTS, SlotFlag, type Region, type Ring } from './ring.js';

/** Up to this many bytes a loop over words beats making a view for set(). */
const SMALL = 128;

export class TxQueue {
  readonly #most: number;

  /**
   * @param mtu most bytes of a frame
   * @param sync pushes the ring
   */
  constructor(
    private readonly ring: Ring,
    private readonly name: string,
    mtu: number,
    private readonly sync: () => void,
  ) {
    const slots = Math.min(MAX_FRAGMENTS, ring.slots - 1);
    this.#most = Math.min(mtu, slots * ring.bufferSize);
  }

  /** Free slots. */
  get free(): number {
    return this.ring.available;
  }

  /** Slots that the device has not finished with. */
  get pending(): number {
    return this.ring.slots - 1 - this.ring.available;
  }

  /** Copies a frame. @returns false when there is no room */
  put(frame: Uint8Array, flags: number): boolean {
    const { length } = frame;
    return this.#fill(length, flags, (to, done, part) => {
      const whole = part === length;
      this.ring.region.bytes.set(whole ? frame : frame.subarray(done, done + part), to);
    });
  }

  /** Copies a frame that lies in one piece in a region. @returns false when there is no room */
  copy(from: Region, offset: number, length: number, flags: number): boolean {
    return this.#fill(length, flags, (to, done, part) => this.#copy(from, offset + done, to, part));
  }

  /** Takes the buffer of a frame in the same region, gives one back. @returns false: no room */
  swap(from: Ring, slot: number, flags: number): boolean {
    if (!this.#room(1)) return false;
    const { head } = this.ring;
    this.ring.set(head, from.length(slot), flags);
    this.ring.swap(head, from, slot);
    this.ring.advance(this.ring.next(head));
    return true;
  }

  /** Copies a frame of several slots of another port, slot by slot. @returns false: no room */
  gather(from: Region, parts: { offset: number; length: number }[], flags: number): boolean {
    const fits = parts.every(({ length }) => length <= this.ring.bufferSize);
    const total = parts.reduce((sum, { length }) => sum + length, 0);
    this.#slotsFor(total);
    if (!fits) {
      const whole = new Uint8Array(total);
      let at = 0;
      for (const { offset, length } of parts) {
        whole.set(from.bytes.subarray(offset, offset + length), at);
        at += length;
      }
      return this.put(whole, flags);
    }
    if (!this.#room(parts.length)) return false;
    let slot = this.ring.head;
    for (const [k, { offset, length }] of parts.entries()) {
      this.#copy(from, offset, this.ring.buffer(slot), length);
      this.ring.set(slot, length, k + 1 < parts.length ? flags | SlotFlag.MoreFragments : flags);
      slot = this.ring.next(slot);
    }
    this.ring.advance(slot);
    return true;
  }

  #fill(
    length: number,
    flags: number,
    write: (to: number, done: number, part: number) => void,
  ): boolean {
    const { ring } = this;
    if (!this.#room(this.#slotsFor(length))) return false;
    let slot = ring.head;
    for (let done = 0; done < length;) {
      const part = Math.min(ring.bufferSize, length - done);
      write(ring.buffer(slot), done, part);
      done += part;
      ring.set(slot, part, done < length ? flags | SlotFlag.MoreFragments : flags);
      slot = ring.next(slot);
    }
    ring.advance(slot);
    return true;
  }

  #slotsFor(length: number): number {
    if (length > this.#most)
      throw failure(
        'EMSGSIZE',
        `${this.name}: a frame of ${length} bytes is too long; the port carries at most ${this.#most}`,
      );
    if (length < 1) throw failure('EINVAL', `${this.name}: a frame of ${length} bytes; give some`);
    return Math.ceil(length / this.ring.bufferSize);
  }

  #room(slots: number): boolean {
    if (this.ring.available >= slots) return true;
    this.sync();
    return this.ring.available >= slots;
  }

  #copy(from: Region, offset: number, to: number, length: number): void {
    const { bytes, words } = this.ring.region;
    if (length > SMALL || offset % 4 !== 0) {
      bytes.set(from.bytes.subarray(offset, offset + length), to);
      return;
    }
    // Buffers are a multiple of 64 bytes, so the last word is still theirs.
    const count = (length + 3) >>> 2;
    for (let i = 0; i < count; i += 1) words[to / 4 + i] = from.words[offset / 4 + i]!;
  }
}
