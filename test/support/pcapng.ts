// SPDX-License-Identifier: BSD-2-Clause
/** A capture file taken apart, block by block, for comparing it with what was sent. */
import { readFileSync } from 'node:fs';

export interface CapturedFrame {
  /** ns since 1970 */
  time: bigint;
  bytes: Uint8Array;
  /** On the wire. */
  length: number;
  /** 1 inbound, 2 outbound */
  direction: number;
}

export interface CaptureFile {
  frames: CapturedFrame[];
  interfaceName: string;
  filter: string;
  /** isb_ options by code: 4 ifrecv, 5 ifdrop, 6 filteraccept, 7 osdrop, 8 usrdeliv. */
  statistics: Map<number, bigint> | undefined;
}

const [INTERFACE, STATISTICS, PACKET] = [1, 5, 6];

function* options(bytes: Buffer, from: number, to: number): Generator<[code: number, Buffer]> {
  for (let at = from; at + 4 <= to;) {
    const code = bytes.readUInt16LE(at);
    const length = bytes.readUInt16LE(at + 2);
    if (code === 0) return;
    yield [code, bytes.subarray(at + 4, at + 4 + length)];
    at += 4 + Math.ceil(length / 4) * 4;
  }
}

/** Throws where the file is not made of whole blocks. */
export function readPcapng(file: string): CaptureFile {
  const bytes = readFileSync(file);
  const out: CaptureFile = { frames: [], interfaceName: '', filter: '', statistics: undefined };
  for (let at = 0, length; at < bytes.length; at += length) {
    length = bytes.readUInt32LE(at + 4);
    const end = at + length - 4;
    if (length % 4 !== 0 || bytes.readUInt32LE(end) !== length) throw new Error(`cut at ${at}`);
    const type = bytes.readUInt32LE(at);
    if (type === INTERFACE) {
      const found = new Map(options(bytes, at + 16, end));
      out.interfaceName = found.get(2)?.toString() ?? '';
      out.filter = found.get(11)?.subarray(1).toString() ?? '';
    } else if (type === STATISTICS) {
      out.statistics = new Map(
        [...options(bytes, at + 20, end)]
          .filter(([code]) => code >= 4)
          .map(([code, value]) => [code, value.readBigUInt64LE()]),
      );
    } else if (type === PACKET) {
      const captured = bytes.readUInt32LE(at + 20);
      const flags = new Map(options(bytes, at + 28 + Math.ceil(captured / 4) * 4, end));
      out.frames.push({
        time: (BigInt(bytes.readUInt32LE(at + 12)) << 32n) | BigInt(bytes.readUInt32LE(at + 16)),
        bytes: new Uint8Array(bytes.subarray(at + 28, at + 28 + captured)),
        length: bytes.readUInt32LE(at + 24),
        direction: (flags.get(2)?.readUInt32LE() ?? 0) & 3,
      });
    }
  }
  return out;
}
