// SPDX-License-Identifier: BSD-2-Clause
/** Frames that can be told apart, and what a port of the test's own process has received of them. */
import { parseMac, type ValePort } from '../../src/index.js';

export const ALL = 'ff:ff:ff:ff:ff:ff';

/** Station n's address. */
export const mac = (n: number): string => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`;

/** An Ethernet frame with a number after its header; `size` bytes without FCS. */
export function frame(to: string, from: string, number = 0, size = 60): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, address] of [parseMac(to), parseMac(from)].entries()) {
    view.setUint16(at * 6, Math.floor(address / 2 ** 32));
    view.setUint32(at * 6 + 2, address % 2 ** 32);
  }
  view.setUint16(12, 0x88b5);
  view.setUint32(14, number);
  for (let i = 18; i < size; i += 1) bytes[i] = (number + i * 7) & 0xff;
  return bytes;
}

/** Sends, and returns when the switch has them: they are with the receivers then, or dropped. */
export async function send(port: ValePort, ...frames: Uint8Array[]): Promise<void> {
  for (const bytes of frames) port.send(bytes);
  await port.flush();
}

/** What has arrived so far. */
export function received(port: ValePort): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let batch; (batch = port.receive()) !== undefined;)
    for (let i = 0; i < batch.length; i += 1) frames.push(batch.copy(i));
  return frames;
}

/** Frames as text, which many of them compare faster as. */
export const texts = (frames: Uint8Array[]): string[] =>
  frames.map((bytes) => Buffer.from(bytes).toString('hex'));
