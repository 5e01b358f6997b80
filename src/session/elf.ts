// SPDX-License-Identifier: BSD-2-Clause
// What a program file is, as far as it decides whether a library can be loaded into it.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { endianness } from 'node:os';

export type Program =
  | { kind: 'script'; interpreter: string }
  | { kind: 'elf'; machine: number; bits: 32 | 64; loader: string | undefined; go: boolean }
  | { kind: 'unknown' };

const PT_INTERP = 3;
/** Enough for every header that counts here. */
const MOST = 16 * 1024 * 1024;

function firstLine(text: string): Program {
  const interpreter = /^#!\s*(\S+)/.exec(text)?.[1];
  return interpreter === undefined ? { kind: 'unknown' } : { kind: 'script', interpreter };
}

/** What this Node is: the programs that fit the library. */
export const ownMachine: number | undefined = { x64: 62, arm64: 183 }[process.arch as string];

/** Reads the headers. Throws what openSync() throws. */
export function inspect(path: string): Program {
  const file = openSync(path, 'r');
  try {
    const { size } = statSync(path);
    const head = Buffer.alloc(Math.min(size, 4096));
    readSync(file, head, 0, head.length, 0);
    if (head.length < 52 || head.readUInt32BE(0) !== 0x7f454c46)
      return firstLine(head.toString('latin1').split('\n')[0] ?? '');
    const bits = head[4] === 2 ? 64 : 32;
    const machine = head.readUInt16LE(18);
    // Of another kind: the headers need not be understood.
    if (bits === 32 || head[5] !== (endianness() === 'LE' ? 1 : 2) || head.length < 64)
      return { kind: 'elf', machine, bits, loader: undefined, go: false };

    const read = (from: number, length: number): Buffer => {
      const out = Buffer.alloc(Math.max(0, Math.min(length, MOST, size - from)));
      readSync(file, out, 0, out.length, from);
      return out;
    };
    let loader: string | undefined;
    const segments = read(Number(head.readBigUInt64LE(32)), 56 * head.readUInt16LE(56));
    for (let at = 0; at + 56 <= segments.length; at += 56) {
      if (segments.readUInt32LE(at) !== PT_INTERP) continue;
      const from = Number(segments.readBigUInt64LE(at + 8));
      const text = read(from, Number(segments.readBigUInt64LE(at + 32))).toString('latin1');
      loader = text.replace(/\0.*$/s, '');
    }
    const sections = read(Number(head.readBigUInt64LE(40)), 64 * head.readUInt16LE(60));
    const names = 64 * head.readUInt16LE(62);
    const go =
      names + 64 <= sections.length &&
      read(
        Number(sections.readBigUInt64LE(names + 24)),
        Number(sections.readBigUInt64LE(names + 32)),
      ).includes('.go.buildinfo\0');
    return { kind: 'elf', machine, bits, loader, go };
  } finally {
    closeSync(file);
  }
}
