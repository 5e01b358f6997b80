// SPDX-License-Identifier: BSD-2-Clause
// Who asks `vale doctor`, as far as that decides what works.
import { readFileSync } from 'node:fs';

const CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n, CAP_IPC_LOCK: 14n, CAP_BPF: 39n };
export type Capability = keyof typeof CAPABILITIES;

export interface Caller {
  uid: number;
  /** In a user namespace of its own, as unshare -U and rootless containers make them. */
  contained: boolean;
  /** Has it in effect, here. */
  has(capability: Capability): boolean;
  /** Has it, and what asks for it asks the whole machine, not the user namespace. */
  may(capability: Capability): boolean;
  /** @param name as /proc/self/limits has it; unlimited is Infinity */
  limit(name: string): { soft: number; hard: number };
}

/** Empty where there is no such file, as without /proc. */
export function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export function thisCaller(): Caller {
  const limits = read('/proc/self/limits');
  const bits = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`);
  const has = (capability: Capability) => ((bits >> CAPABILITIES[capability]) & 1n) === 1n;
  const map = read('/proc/self/uid_map').trim();
  const contained = map !== '' && !/^0\s+0\s+4294967295$/.test(map);
  const bound = (text = ''): number =>
    text === '' || text === 'unlimited' ? Infinity : Number(text);
  return {
    uid: process.geteuid?.() ?? 0,
    contained,
    has,
    may: (capability) => has(capability) && !contained,
    limit(name) {
      const [, soft, hard] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
      return { soft: bound(soft), hard: bound(hard) };
    },
  };
}
