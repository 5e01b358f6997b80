// SPDX-License-Identifier: BSD-2-Clause
/** An open port: receive in batches, send, wait. One registration, used by one thread. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import type { NativePort, PortCounters, PortInfo } from '../native-types.js';
import { aborted, failure } from './failure.js';
import { Region, Ring, SlotFlag } from './ring.js';
import type { Extent, RxBatch } from './rx-batch.js';
import { BATCH, RxRings } from './rx-rings.js';
import { TxQueue } from './tx-queue.js';

const POLLIN = 1;
const POLLOUT = 4;
/** ms: a sleeping port looks this often whether it still exists. */
const LOOK = 1000;
/** ms: a loop that always finds frames lets timers and signals run this often. */
const TURN = 5;
/** Bytes of the longest virtio-net header. */
const MAX_HEADER = 12;

export interface BatchOptions {
  /** Ends the loop with an AbortError (code ABORT_ERR). */
  signal?: AbortSignal;
  /** Most frames of a batch, 1 to 4096; default 256. */
  most?: number;
}

export interface SendOptions {
  /** Which tx ring; default the first one bound. */
  ring?: number;
  /** The switch shall not learn the source address of this frame. */
  noLearn?: boolean;
  /** Index (1 to 254) of the port of the switch that gets it, whatever the address; 0 = look it up. */
  to?: number;
}

/**
 * A port of a switch, or a wire. Get one from {@link openPort}.
 *
 *     await using port = await openPort('vale0:a');
 *     for await (const batch of port)
 *       for (let i = 0; i < batch.length; i++) console.log(formatMac(batch.source(i)));
 *
 * Every failing call throws an Error with `code` and `errno`: EBADF after close(), EBUSY while an
 * engine or another loop uses the port, ENXIO when the port was detached for good, EIO when the file
 * of its memory was cut short, ENODEV when the runtime directory or the interface went away.
 */
export class ValePort implements AsyncIterable<RxBatch>, AsyncDisposable, Disposable {
  /** What was opened: rings, slots, memory, MAC address. */
  readonly info: PortInfo;
  /** The port's whole memory, one view; offsets of batches count in it. Empty after close(). */
  readonly bytes: Uint8Array;
  /** The same as a DataView. */
  readonly view: DataView;
  /** @internal */
  readonly native: NativePort;
  readonly #region: Region;
  readonly #rx: RxRings;
  readonly #tx = new Map<number, TxQueue>();
  readonly #firstTx: TxQueue | undefined;
  readonly #memoryKey: bigint;
  #iterating = false;
  #closed = false;
  #lent = false;
  #dirty = false;

  /** @internal */
  constructor(native: NativePort) {
    this.native = native;
    this.info = native.info;
    this.#memoryKey = native.memoryKey;
    this.#region = new Region(native.memory);
    this.bytes = this.#region.bytes;
    this.view = this.#region.view;
    const sync = () => native.txsync();
    this.#rx = new RxRings(this, this.#region);
    for (let i = native.firstTx; i < native.lastTx; i += 1) {
      const ring = new Ring(this.#region, i, native.txRing(i));
      this.#tx.set(i, new TxQueue(ring, this.name, this.info.mtu + MAX_HEADER, sync));
    }
    this.#firstTx = this.#tx.get(native.firstTx);
  }

  /** Full name, as listed. */
  get name(): string {
    return this.info.name;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Totals of the port since it was made, of all who have it open; exact.
   * @throws EOPNOTSUPP on the kernel's netmap, which counts nothing
   */
  counters(): PortCounters {
    const counters = this.native.counters();
    if (counters === undefined)
      throw failure('EOPNOTSUPP', `${this.name}: the kernel's netmap counts nothing`);
    return counters;
  }

  /** Length of the virtio-net header before every frame: 0 (none), 10 or 12 bytes. */
  get headerLength(): number {
    return this.native.headerLength;
  }

  set headerLength(bytes: number) {
    this.native.headerLength = bytes;
  }

  /** {@link batches} with its defaults. */
  [Symbol.asyncIterator](): AsyncGenerator<RxBatch, void, undefined> {
    return this.batches();
  }

  /**
   * Frames as they arrive, one batch a turn, from all rx rings in turn. The frames of a batch are
   * given back to the switch when the loop asks for the next one, or ends. Frames sent on this port
   * during a turn go out at its end. Ends when the port is closed.
   * @throws EBUSY when another loop reads this port; EINVAL when it has no rx ring
   */
  async *batches(options: BatchOptions = {}): AsyncGenerator<RxBatch, void, undefined> {
    const { signal, most = BATCH } = options;
    this.#claim();
    const wake = () => {
      if (!this.#closed) this.native.wake();
    };
    signal?.addEventListener('abort', wake);
    try {
      let turned = performance.now();
      while (!this.#closed) {
        if (signal?.aborted) throw aborted(signal);
        if (performance.now() - turned >= TURN) {
          await nextTurn();
          turned = performance.now();
          continue;
        }
        const batch = this.#rx.take(most);
        if (batch !== undefined) {
          yield batch;
          continue;
        }
        if (this.#dirty) this.#push();
        await this.native.wait(POLLIN, LOOK);
        turned = performance.now();
      }
    } finally {
      signal?.removeEventListener('abort', wake);
      this.#iterating = false;
      this.#release();
    }
  }

  /**
   * What has arrived, without waiting: for a loop of your own. Gives back the batch before.
   * @param most frames, 1 to 4096
   * @returns undefined when there is nothing
   * @throws EBUSY while a loop over the port runs
   */
  receive(most = BATCH): RxBatch | undefined {
    this.#check();
    if (this.#iterating) throw this.#busy();
    return this.#rx.take(most);
  }

  /** Waits until receive() has something, at most `timeout` ms. @returns whether it has */
  async readable(timeout = Infinity): Promise<boolean> {
    this.#check();
    const until = performance.now() + timeout;
    for (;;) {
      const left = until - performance.now();
      const found = await this.native.wait(POLLIN, Math.max(0, Math.min(left, LOOK)));
      if ((found & POLLIN) !== 0) return true;
      this.#check();
      if (performance.now() >= until) return false;
      this.native.rxsync();
    }
  }

  /**
   * Copies a frame to a tx ring. It leaves at flush(), when the ring is full, or by itself at the
   * end of this turn of the event loop, whichever is first.
   * @param frame without FCS; with the virtio-net header where the port has one. Bytes, or the place
   *   of a frame in this port's own {@link bytes}
   * @returns false when there is no room: `await port.writable()` and send it again. A port of a
   *   switch always has room: what its receivers cannot take is dropped and counted
   * @throws EMSGSIZE when the frame is longer than the port carries, EINVAL when it is empty or not
   *   in the port's memory
   */
  send(frame: Uint8Array | Extent, options?: SendOptions): boolean {
    const queue = this.#queue(options);
    const flags = options === undefined ? 0 : slotFlags(options);
    if (!(frame instanceof Uint8Array)) this.#contains(frame);
    const sent =
      frame instanceof Uint8Array
        ? queue.put(frame, flags)
        : queue.copy(this.#region, frame.offset, frame.length, flags);
    if (sent) this.#touch();
    return sent;
  }

  /**
   * Sends frame `i` of a batch that this or another port received. Where both ports share memory its
   * buffer changes hands and nothing is copied.
   * @returns as send()
   */
  forward(batch: RxBatch, i: number, options?: SendOptions): boolean {
    const from = batch.port;
    const queue = this.#queue(options);
    const flags = options === undefined ? 0 : slotFlags(options);
    let sent: boolean;
    if (batch.fragments(i) === 1) {
      const { ring, slot } = batch.located(i, 0);
      const offset = batch.offset(i);
      // A frame whose buffer was given away already is still where it was; its slot holds another.
      const swap = this.#shares(from) && ring.buffer(slot) === offset;
      sent = swap
        ? queue.swap(ring, slot, flags)
        : queue.copy(from.#region, offset, batch.size(i), flags);
    } else {
      const parts = Array.from({ length: batch.fragments(i) }, (_, k) => batch.frame(i, k));
      sent = queue.gather(from.#region, parts, flags);
    }
    if (sent) this.#touch();
    return sent;
  }

  /**
   * Hands everything sent so far to the switch, or the wire. On a switch it has been delivered or
   * dropped when this resolves; on a wire the kernel has taken it, on a pipe the other end has
   * read it.
   */
  async flush(): Promise<void> {
    this.#check();
    this.#push();
    while (!this.#closed && [...this.#tx.values()].some((queue) => queue.pending > 0)) {
      await sleep(1);
      if (!this.#closed) this.#push();
    }
  }

  /** Resolves when a tx ring has room. @throws EBADF when the port is closed meanwhile */
  async writable(): Promise<void> {
    this.#check();
    while (![...this.#tx.values()].some((queue) => queue.free > 0)) {
      this.#push();
      await this.native.wait(POLLOUT, LOOK);
      this.#check();
    }
  }

  /** Sends what is pending and gives the port back; a loop over it ends. Twice does nothing. */
  close(): void {
    if (this.#closed) return;
    try {
      if (this.#dirty) this.#push();
    } catch {
      // The port is gone already: there is nobody to send to.
    }
    this.#release();
    this.#closed = true;
    this.native.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** What an engine is given, with nothing of ours left on the rings. @internal */
  lend(): NativePort {
    this.#check();
    if (this.#iterating) throw this.#busy();
    this.#release();
    if (this.#dirty) this.#push();
    return this.native;
  }

  /** @internal */
  lentUntil(done: Promise<void>): void {
    this.#lent = true;
    const back = () => {
      this.#lent = false;
    };
    done.then(back, back);
  }

  #release(): void {
    if (!this.#closed && !this.#lent) this.#rx.release();
  }

  #claim(): void {
    this.#check();
    if (this.#iterating) throw this.#busy();
    if (this.#rx.count === 0)
      throw failure('EINVAL', `${this.name}: opened without rx rings; open it without "/T"`);
    this.#iterating = true;
  }

  #busy(): Error {
    return failure('EBUSY', `${this.name}: a loop reads this port already; open it a second time`);
  }

  #check(): void {
    if (this.#closed) throw failure('EBADF', `${this.name}: the port is closed; open it again`);
    if (this.#lent)
      throw failure('EBUSY', `${this.name}: an engine uses the port; use it after that is done`);
  }

  #queue(options: SendOptions | undefined): TxQueue {
    this.#check();
    const queue = options?.ring === undefined ? this.#firstTx : this.#tx.get(options.ring);
    if (queue !== undefined) return queue;
    throw failure(
      'EINVAL',
      options?.ring === undefined
        ? `${this.name}: opened without tx rings; open it without "/R"`
        : `${this.name}: tx ring ${options.ring} is not open; open are ${[...this.#tx.keys()].join(', ')}`,
    );
  }

  #contains({ offset, length }: Extent): void {
    if (Number.isInteger(offset) && offset >= 0 && offset + length <= this.bytes.length) return;
    throw failure(
      'EINVAL',
      `${this.name}: no ${length} bytes at ${offset}; the port's memory has ${this.bytes.length}`,
    );
  }

  #shares(other: ValePort): boolean {
    return this.#memoryKey !== 0n && this.#memoryKey === other.#memoryKey;
  }

  /** Frames that nobody flushes leave at the end of the turn. */
  #touch(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    setImmediate(() => {
      if (!this.#dirty || this.#closed) return;
      try {
        this.#push();
      } catch {
        // The next call on the port says what is wrong with it.
      }
    });
  }

  #push(): void {
    this.#dirty = false;
    this.native.txsync();
  }
}

function slotFlags({ noLearn = false, to = 0 }: SendOptions): number {
  if (!Number.isInteger(to) || to < 0 || to > 254)
    throw failure('EINVAL', `to: expected the index of a port, 0 to 254, but received ${to}`);
  return (noLearn ? SlotFlag.NoLearn : 0) | (to << SlotFlag.PortShift);
}
