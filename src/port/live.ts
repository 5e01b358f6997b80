// SPDX-License-Identifier: BSD-2-Clause
// What the names in a name stand for here and now.
import type { NativeBinding, NativeRuntime, PortRow, SwitchRow } from '../native-types.js';
import type { Exists, PortSpec } from './name.js';

/** What there is, asked for only once, and only if needed. */
export class Live {
  private readonly names = new Map<string, Set<string>>();
  private switchRows: SwitchRow[] | undefined;
  private portRows: PortRow[] | undefined;

  constructor(
    private readonly binding: NativeBinding,
    private readonly runtime: NativeRuntime,
  ) {}

  get switches(): SwitchRow[] {
    return (this.switchRows ??= this.runtime.switches());
  }

  get ports(): PortRow[] {
    return (this.portRows ??= this.runtime.list());
  }

  /** Answers the name grammar. */
  readonly exists: Exists = (kind, name) => {
    let known = this.names.get(kind);
    if (known === undefined)
      this.names.set(kind, (known = new Set(this.rows(kind).map((row) => row.name))));
    return known.has(name);
  };

  private rows(kind: Parameters<Exists>[0]): { name: string }[] {
    if (kind === 'interface') return this.binding.interfaces();
    return kind === 'switch' ? this.switches : this.ports;
  }
}

/** The memory of a port: 0 while it has none; undefined where there is no such port. */
export function memoryOf(
  runtime: NativeRuntime,
  { kind, fullName }: PortSpec,
  ports = runtime.list(),
): number | undefined {
  const row = ports.find(({ name }) => name === fullName);
  // The kernel lists no port that is on no switch. One of a switch must not be asked about, which would
  // make it for a moment.
  if (row === undefined && runtime.device === 'kernel' && kind === 'interface')
    return runtime.info({ name: fullName }).memId;
  return row?.info.memId;
}
