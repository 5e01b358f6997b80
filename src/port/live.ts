// SPDX-License-Identifier: BSD-2-Clause
// What the names in a name stand for here and now.
import type { NativeBinding, NativeRuntime } from '../native-types.js';
import type { Exists, PortSpec } from './name.js';

/** Answers the name grammar from live state; asks each kind only once, and only if needed. */
export function existing(binding: NativeBinding, runtime: NativeRuntime): Exists {
  const known = new Map<string, Set<string>>();
  const ask: Record<Parameters<Exists>[0], () => { name: string }[]> = {
    switch: () => runtime.switches(),
    port: () => runtime.list(),
    interface: () => binding.interfaces(),
  };
  return (kind, name) => {
    let names = known.get(kind);
    if (names === undefined) known.set(kind, (names = new Set(ask[kind]().map((r) => r.name))));
    return names.has(name);
  };
}

/** The memory of a port: 0 while it has none; undefined where there is no such port. */
export function memoryOf(runtime: NativeRuntime, { kind, fullName }: PortSpec): number | undefined {
  const row = runtime.list().find(({ name }) => name === fullName);
  // The kernel lists no port that is on no switch. One of a switch must not be asked about, which would
  // make it for a moment.
  if (row === undefined && runtime.device === 'kernel' && kind === 'interface')
    return runtime.info({ name: fullName }).memId;
  return row?.info.memId;
}
