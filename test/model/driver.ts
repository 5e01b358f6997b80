// SPDX-License-Identifier: BSD-2-Clause
// Ports driven by hand, slot by slot, in this process or in another one that can be killed.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import type {
  NativeBinding,
  NativePort,
  NativeRuntime,
  OpenRequest,
} from '../../src/native-types.js';
import { Region, Ring, SlotFlag } from '../../src/port/ring.js';
import type { Arrival, Frame } from './model.js';

const SLOTS = 256;
const SLOT_BYTES = 16;
const NO_BUFFER = 0xffff_fff0;

/** One process and its registrations, by number. */
export interface Driver {
  open(id: number, request: OpenRequest): Promise<void>;
  close(id: number): Promise<void>;
  /** Puts frames on a tx ring, all of which fit, and syncs once. */
  send(id: number, ring: number, frames: Frame[]): Promise<void>;
  /** At most `most` frames of an rx ring, which get them back at once. */
  receive(id: number, ring: number, most: number): Promise<Arrival[]>;
}

export class LocalDriver implements Driver {
  private readonly runtime: NativeRuntime;
  private readonly ports = new Map<number, { native: NativePort; region: Region }>();

  constructor(binding: NativeBinding, directory: string) {
    this.runtime = binding.openRuntime(directory);
  }

  async open(id: number, request: OpenRequest): Promise<void> {
    const native = this.runtime.open(request);
    this.ports.set(id, { native, region: new Region(native.memory) });
  }

  async close(id: number): Promise<void> {
    this.ports.get(id)!.native.close();
    this.ports.delete(id);
  }

  async send(id: number, number: number, frames: Frame[]): Promise<void> {
    const { native, region } = this.ports.get(id)!;
    const place = native.txRing(number);
    const ring = new Ring(region, number, place);
    const mended: (() => void)[] = [];
    let slot = ring.head;
    for (const { bytes, parts, noLearn, hint, badSlot } of frames) {
      let done = 0;
      for (const [i, part] of parts.entries()) {
        region.bytes.set(bytes.subarray(done, done + part), ring.buffer(slot));
        done += part;
        const more = i + 1 < parts.length ? SlotFlag.MoreFragments : 0;
        ring.set(
          slot,
          part,
          (noLearn ? SlotFlag.NoLearn : 0) | (hint << SlotFlag.PortShift) | more,
        );
        if (badSlot) {
          const index = (place.offset + SLOTS + slot * SLOT_BYTES) / 4;
          const buffer = region.words[index]!;
          region.words[index] = NO_BUFFER;
          mended.push(() => (region.words[index] = buffer));
        }
        slot = ring.next(slot);
      }
    }
    ring.advance(slot);
    native.txsync();
    for (const mend of mended) mend();
  }

  async receive(id: number, number: number, most: number): Promise<Arrival[]> {
    const { native, region } = this.ports.get(id)!;
    const ring = new Ring(region, number, native.rxRing(number));
    const frames: Arrival[] = [];
    native.rxsync();
    let slot = ring.head;
    while (frames.length < most && slot !== ring.tail) {
      const pieces: Uint8Array[] = [];
      for (let more = true; more; slot = ring.next(slot)) {
        const start = ring.buffer(slot);
        pieces.push(region.bytes.slice(start, start + ring.length(slot)));
        more = (ring.flags(slot) & SlotFlag.MoreFragments) !== 0;
      }
      frames.push({
        bytes: new Uint8Array(Buffer.concat(pieces)),
        parts: pieces.map(({ length }) => length),
      });
    }
    ring.advance(slot);
    native.rxsync();
    return frames;
  }

  end(): void {
    for (const { native } of this.ports.values()) native.close();
    this.runtime.close();
  }
}

/** The same in a child process, a bundle of child.ts. */
export class ChildDriver implements Driver {
  private readonly child: ChildProcess;

  constructor(program: string, addon: string, directory: string) {
    this.child = fork(program, [addon, directory], { serialization: 'advanced' });
  }

  private async call<T>(...command: [keyof Driver, ...unknown[]]): Promise<T> {
    this.child.send(command);
    const [{ result, error }] = (await once(this.child, 'message')) as [
      { result: T; error?: string },
    ];
    if (error !== undefined) throw new Error(error);
    return result;
  }

  open(id: number, request: OpenRequest): Promise<void> {
    return this.call('open', id, request);
  }

  close(id: number): Promise<void> {
    return this.call('close', id);
  }

  send(id: number, ring: number, frames: Frame[]): Promise<void> {
    return this.call('send', id, ring, frames);
  }

  receive(id: number, ring: number, most: number): Promise<Arrival[]> {
    return this.call('receive', id, ring, most);
  }

  /** Returns when it is dead. */
  async kill(): Promise<void> {
    const dead = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await dead;
  }
}
