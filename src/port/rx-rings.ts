// SPDX-License-Identifier: BSD-2-Clause
/** What has arrived on the rx rings of a port: batches, each ring in its turn, whose slots are given back. */
import { failure } from './failure.js';
import type { ValePort } from './port.js';
import { Ring, type Region } from './ring.js';
import { RxBatch } from './rx-batch.js';

/** Frames of a batch, unless others are asked for. */
export const BATCH = 256;
/** Part of a ring that may be read before its slots are given back to the senders. */
const SHARE = 4;

export class RxRings {
  readonly #port: ValePort;
  readonly #region: Region;
  readonly #rings: Ring[] = [];
  #batch: RxBatch | undefined;
  #capacity = 0;
  /** Slots read since the last sync. */
  #owed = 0;
  #turn = 0;

  constructor(port: ValePort, region: Region) {
    this.#port = port;
    this.#region = region;
    const { native } = port;
    for (let i = native.firstRx; i < native.lastRx; i += 1)
      this.#rings.push(new Ring(region, i, native.rxRing(i)));
  }

  get count(): number {
    return this.#rings.length;
  }

  /** A batch of at most `most` frames, 1 to 4096; gives back the one before. */
  take(most: number): RxBatch | undefined {
    this.release();
    if (this.#batch === undefined || most > this.#capacity) this.#grow(most);
    const batch = this.#batch!;
    const { native, info } = this.#port;
    // Anyone may change it, from another process too.
    const header = native.headerLength;
    // Small batches must not keep a ring full of frames that were read long ago.
    const full = this.#owed * SHARE >= info.rxSlots;
    if (!full && this.#next(batch, most, header)) return batch;
    native.rxsync();
    this.#owed = 0;
    return this.#next(batch, most, header) ? batch : undefined;
  }

  /** The last batch's frames are done with. */
  release(): void {
    this.#owed += this.#batch?.release() ?? 0;
  }

  #grow(most: number): void {
    if (!Number.isInteger(most) || most < 1 || most > 4096)
      throw failure('EINVAL', `most: expected 1 to 4096 frames a batch but received ${most}`);
    this.#capacity = Math.max(BATCH, most);
    this.#batch = new RxBatch(this.#port, this.#region, this.#capacity);
  }

  /** Each ring has its turn, so that none starves. */
  #next(batch: RxBatch, most: number, header: number): boolean {
    for (let tried = 0; tried < this.#rings.length; tried += 1) {
      const ring = this.#rings[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#rings.length;
      if (batch.fill(ring, most, header)) return true;
    }
    return false;
  }
}
