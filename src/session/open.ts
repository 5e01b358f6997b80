// SPDX-License-Identifier: BSD-2-Clause
// From a name as typed to open ports.
import { UsageError, ValeError } from '../errors.js';
import type {
  NativeBinding,
  NativePort,
  NativeRuntime,
  PortInfo,
  WireOptions,
} from '../native-types.js';
import type { RingConfig } from '../options/ring-config.js';
import { openDevice } from '../port/device.js';
import { Live, memoryOf } from '../port/live.js';
import { parse, quote, toOpenRequest, type Exists, type PortSpec } from '../port/name.js';
import { RegMode } from '../port/registration.js';
import { elsewhere } from './sudo.js';

/** Rings of a port, each direction. */
const MAX_RINGS = 16;

/** What is to be opened. */
export interface OpenSpec extends PortSpec {
  /** It is a network interface. */
  wire: boolean;
}

/** The user's runtime, or the kernel's netmap; `warn` takes one line about its directory. */
export function openRuntime(binding: NativeBinding, warn: (line: string) => void): NativeRuntime {
  const runtime = openDevice(binding);
  if (runtime.warning !== '') warn(`vale: ${runtime.warning}`);
  return runtime;
}

/**
 * What a port's name means here and now. Throws NameError or UsageError.
 * @param warn takes one line about a name that may not mean what its author thinks
 */
export function resolvePort(
  text: string,
  binding: NativeBinding,
  runtime: NativeRuntime,
  warn: (line: string) => void,
): OpenSpec {
  if (text.startsWith('pcap:'))
    throw new UsageError(
      `-i ${text}: pcap devices are not supported; open the interface by its name alone, as in -i eth0`,
    );
  if (text === 'null')
    throw new UsageError(
      '-i null: the dummy device is not supported; to send without a receiver open a port of its own, as in -i vale-null',
    );
  const { exists } = new Live(binding, runtime);
  const spec = { ...parse(text, { exists }), wire: false };
  spec.wire = runtime.device === 'user' && isWire(spec, exists);
  if (spec.wire) refuseWireRings(spec);
  const other = elsewhere(text, binding, runtime);
  // Where the kernel has a persistent port, that is an interface.
  const hidden = runtime.device === 'user' ? hiddenInterface(spec, exists) : undefined;
  for (const line of [spec.warning, hidden, other]) if (line !== undefined) warn(`vale: ${line}`);
  return spec;
}

/** A network interface as itself, and no port that has a name like one. */
export function isWire(spec: PortSpec, exists: Exists): boolean {
  return spec.kind === 'interface' && !exists('port', spec.fullName);
}

/**
 * What to say of a persistent port when an interface of its name has come since: the port goes first.
 * Undefined where there is nothing to say.
 */
export function hiddenInterface({ port }: PortSpec, exists: Exists): string | undefined {
  if (!exists('port', port) || !exists('interface', port)) return undefined;
  return `${port} is a persistent port, and hides the network interface of this name; for the interface, detach and remove the port first: vale ctl -r ${port}`;
}

/**
 * An interface has one ring each way, and one each way of its host side, whatever "@conf:" asks for.
 * @throws UsageError
 */
export function refuseWireRings({ text, port, options: { conf = {} } }: PortSpec): void {
  const { txRings = 1, rxRings = 1, hostTxRings = 1, hostRxRings = 1 } = conf;
  if ([txRings, rxRings, hostTxRings, hostRxRings].every((rings) => rings === 1)) return;
  throw new UsageError(
    `${quote(text)}: a network interface has one ring each way; ask for slots only, as in ${port}@conf:slots=512`,
  );
}

/** No link has to come up: a port of a switch, in shared memory or in the kernel. */
export function onSwitch({ device, name }: PortInfo): boolean {
  return device === 'user' || (device === 'kernel' && name.startsWith('vale'));
}

/**
 * What says how an interface is opened does nothing to a port of a switch, or of the kernel's netmap, which
 * has its own drivers. Throws UsageError.
 */
export function refuseWireOptions(
  ports: readonly string[],
  { device }: NativeRuntime,
  wire: WireOptions = {},
): void {
  const { backend, shared, force } = wire;
  const given = Object.entries({ backend: backend !== 'auto' && backend, shared, force });
  const [option] = given.find(([, value]) => value) ?? [];
  if (option !== undefined && device === 'kernel')
    throw new UsageError(
      `--${option} is for network interfaces that this program drives, and the kernel's netmap drives its own: leave it out, or set VALE_DEVICE=user`,
    );
  if (option !== undefined)
    throw new UsageError(
      `--${option} is for network interfaces, and ${ports.join(' and ')} ${ports.length > 1 ? 'are none' : 'is none'}: leave it out`,
    );
}

/**
 * Opens a port for `threads` threads: one registration of all its rings for one thread, else thread i
 * gets ring i alone. On failure whatever was opened is closed again.
 * @param warn takes one line about an interface that could not be taken over
 */
export function openForThreads(
  spec: OpenSpec,
  how: { rings?: RingConfig | undefined; wire?: WireOptions | undefined; threads: number },
  runtime: NativeRuntime,
  warn: (line: string) => void,
): NativePort[] {
  const { rings, wire, threads } = how;
  if (spec.wire && rings && Math.max(rings.txRings, rings.rxRings) > 1)
    throw new UsageError(
      `-C: ${spec.text} is a network interface, which has one ring each way: ask for slots only, as in -C 512,512`,
    );
  const memIdOf = (port: PortSpec) => memoryOf(runtime, port) || undefined;
  const request = { ...toOpenRequest(spec, memIdOf), ...rings };
  if (threads === 1) {
    const port = runtime.open(request, wire);
    for (const line of [port.wireState()?.warning, otherRings(spec, port.info, rings)])
      if (line) warn(`vale: ${line}`);
    return [port];
  }
  if (spec.mode !== RegMode.AllNic)
    throw new UsageError(
      `-p ${threads}: ${spec.text} names certain rings, and each thread takes a ring of its own; leave out one of the two`,
    );
  const ports: NativePort[] = [];
  try {
    for (let ringId = 0; ringId < threads; ringId += 1) {
      const [first] = ports;
      if (first !== undefined && ringId >= Math.max(first.info.txRings, first.info.rxRings))
        throw tooFewRings(spec, first, threads);
      ports.push(runtime.open({ ...request, mode: RegMode.OneNic, ringId }, wire));
    }
  } catch (error) {
    for (const port of ports) port.close();
    throw error;
  }
  return ports;
}

/** What to say when a port has other rings than those asked for: it was there already, or a limit was met. */
export function otherRings(spec: PortSpec, has: RingConfig, config?: RingConfig) {
  const asked: Partial<RingConfig> | undefined = config ?? spec.options.conf;
  if (asked === undefined) return undefined;
  const names = ['txSlots', 'rxSlots', 'txRings', 'rxRings'] as const;
  if (names.every((name) => [0, has[name]].includes(asked[name] ?? 0))) return undefined;
  const made = names.map((name) => has[name]).join(',');
  const by = config === undefined ? `@conf: ${spec.fullName}` : `-C: ${spec.text}`;
  return `${by} has ${made} (tx slots, rx slots, tx rings, rx rings)`;
}

/** A port has the rings it was made with; whoever makes it says how many. */
function tooFewRings(spec: PortSpec, { info }: NativePort, threads: number): ValeError {
  const has = Math.max(info.txRings, info.rxRings);
  const wish = `-C ${info.txSlots},${info.rxSlots},${threads},${threads}`;
  const hint =
    spec.kind === 'interface'
      ? `use -p ${has}`
      : threads > MAX_RINGS
        ? `use at most -p ${MAX_RINGS}`
        : `make it with ${threads}: add ${wish} where it is opened first, or use -p ${has}`;
  return new ValeError(
    `-p ${threads}: ${spec.text} has ${has} ${has === 1 ? 'ring' : 'rings'}, and each thread takes a ring of its own; ${hint}`,
  );
}
