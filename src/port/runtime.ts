// SPDX-License-Identifier: BSD-2-Clause
/** The runtime directory and everything that can be asked of it: what `vale ctl` does, for programs. */
import { resolve } from 'node:path';

import { agentPath, native } from '../native.js';
import { openDevice } from './device.js';
import type {
  AgentRow,
  AttachHow,
  FdbRow,
  NativeBinding,
  NativeRuntime,
  OpenRequest,
  PortInfo,
  PortRow,
  SwitchRow,
  WireOptions,
} from '../native-types.js';
import { Live, memoryOf } from './live.js';
import {
  attachable,
  parse,
  parsePersistent,
  parseSwitch,
  parseSwitchOrPort,
  noSuchShare,
  toOpenRequest,
  type PortSpec,
} from './name.js';
import { ValePort } from './port.js';
import { RegFlag } from './registration.js';

/** What a port is made of. Counts only for whoever makes the port; absent = default. */
export interface PortWishes {
  /** Slots of each tx ring, 1 to 4096, of a wire 2 to 16384; default 1024. */
  txSlots?: number;
  /** Slots of each rx ring, 1 to 4096, of a wire 2 to 16384; default 1024. */
  rxSlots?: number;
  /** 1 to 16; default 1. */
  txRings?: number;
  /** 1 to 16; default 1. */
  rxRings?: number;
  /** Bytes of a buffer, 64 to 65472; longer frames take several slots. */
  bufSize?: number;
  /** Buffers beyond those of the rings. */
  extraBufs?: number;
  /** Use the memory of this port, by name, instead of memory of its own. */
  share?: string;
}

/** How to attach a network interface. */
export type AttachWishes = Omit<AttachHow, 'agent'>;

export interface OpenOptions extends PortWishes {
  /** Nobody else may have the port open. */
  exclusive?: boolean;
  /** How to open a network interface. */
  wire?: WireOptions;
}

/**
 * A runtime directory. Names are those of the command line: "vale0:a", "vale-foo", "eth0", with
 * suffixes ("vale0:a-1" for one ring). Errors carry `code`: EINVAL for a name, ENXIO for a port or
 * interface that is not there, ENOENT for a switch, EBUSY, EEXIST, EPERM, ENOMEM, EBADF after close().
 */
export class Runtime implements Disposable {
  readonly #binding: NativeBinding;
  readonly #runtime: NativeRuntime;

  /**
   * @param directory absolute path; default: $VALE_DIR, else the user's own
   * @throws EACCES, EPERM, ENOMEM, … when it cannot be used
   */
  constructor(directory?: string) {
    this.#binding = native();
    this.#runtime =
      directory === undefined ? openDevice(this.#binding) : this.#binding.openRuntime(directory);
    if (this.#runtime.warning !== '') process.emitWarning(this.#runtime.warning, 'ValeWarning');
  }

  /** "user": switches in shared memory; "kernel": the kernel's netmap. */
  get device(): 'user' | 'kernel' {
    return this.#runtime.device;
  }

  /** Absolute path; of the device where it is the kernel's. */
  get directory(): string {
    return this.#runtime.directory;
  }

  /** All ports, by switch and index; persistent ones that are detached too. */
  list(): PortRow[] {
    return this.#runtime.list();
  }

  /** All switches with their totals. */
  switches(): SwitchRow[] {
    return this.#runtime.switches();
  }

  /** Network interfaces that can be opened as a wire. */
  interfaces(): { name: string; mac: string; mtu: number }[] {
    return this.#binding.interfaces();
  }

  /** Rings, slots and memory of a port. */
  info(port: string): PortInfo {
    return this.#runtime.info({ name: this.#parse(port).fullName });
  }

  /** Indices of a port; of a switch, with 255 for the port's. */
  index(name: string): { switchIndex: number; portIndex: number } {
    const target = parseSwitchOrPort(name, this.#names);
    return this.#runtime.index(target.kind === 'switch' ? `${target.switch}:` : target.fullName);
  }

  /** Makes a persistent port, which stays when nobody has it open, until remove(). */
  create(name: string, wishes: PortWishes = {}): PortInfo {
    const spec = parsePersistent(name, this.#names);
    return this.#runtime.create(this.#request(spec, wishes));
  }

  /** Removes a persistent port. */
  remove(name: string): void {
    this.#runtime.remove(parsePersistent(name, this.#names).fullName);
  }

  /**
   * Puts a persistent port on a switch, as in "vale0:p0"; or a network interface, as in "vale0:eth0",
   * which a process of its own serves from then on; or, with `vhostUser`, `stream` or `dgram`, a virtual machine.
   * @returns its index there
   * @throws EINVAL no such port or interface, EBUSY it is attached or in use, EPERM no right to it
   */
  attach(port: string, wishes: PortWishes & AttachWishes = {}): number {
    const {
      host,
      backend,
      shared,
      force,
      netns,
      vhostUser,
      stream,
      dgram,
      remote,
      client,
      ...made
    } = wishes;
    const how: AttachHow = { agent: agentPath() };
    const path = (name?: string) => (name === undefined ? undefined : resolve(name));
    const sockets = Object.entries({ vhostUser, stream, dgram, remote }).map(
      ([key, name]) => [key, path(name)] as const,
    );
    const given = { host, backend, shared, force, netns, ...Object.fromEntries(sockets), client };
    for (const [key, value] of Object.entries(given))
      if (value !== undefined) Object.assign(how, { [key]: value });
    const spec = parse(port, { exists: attachable(this.#names.exists, how) });
    const { portIndex, warning } = this.#runtime.attach(this.#request(spec, made), how);
    if (warning !== '') process.emitWarning(warning, 'ValeWarning');
    return portIndex;
  }

  /** Attached network interfaces and virtual machines, and those whose process died and has not been forgotten. */
  agents(): AgentRow[] {
    return this.#runtime.agents();
  }

  /** Takes a persistent port or an interface off its switch. @returns the index it had */
  detach(port: string): number {
    return this.#runtime.detach(this.#parse(port).fullName).portIndex;
  }

  /** Length of a port's virtio-net header, bytes: 0, 10 or 12. */
  headerLength(port: string): number {
    return this.#runtime.getHeaderLength(this.#parse(port).fullName);
  }

  setHeaderLength(port: string, bytes: number): void {
    this.#runtime.setHeaderLength(this.#parse(port).fullName, bytes);
  }

  /** Which addresses a switch knows, and where. */
  fdb(sw: string): FdbRow[] {
    return this.#runtime.fdbShow(parseSwitch(sw).switch);
  }

  /** Forgets what a switch has learned; static entries stay. @returns how many went */
  fdbFlush(sw: string): number {
    return this.#runtime.fdbFlush(parseSwitch(sw).switch);
  }

  /** Adds a static entry: frames to `mac` ("02:00:00:00:00:01") go to `port`. */
  fdbAdd(port: string, mac: string): void {
    this.#runtime.fdbAdd(this.#parse(port).fullName, mac);
  }

  fdbRemove(sw: string, mac: string): void {
    this.#runtime.fdbRemove(parseSwitch(sw).switch, mac);
  }

  /** Seconds until an address that is not seen is forgotten; 0 = never. Default 300. */
  setAgeing(sw: string, seconds: number): void {
    this.#runtime.setAgeing(parseSwitch(sw).switch, seconds);
  }

  /**
   * Opens a port of a switch, making it if it is not there, or an interface as a wire.
   * An interface is taken over from the host's network stack until close(), unless `wire.shared`.
   * @throws EINVAL a bad name, EBUSY exclusively open elsewhere or an interface that the machine
   *   itself needs, ENXIO no such interface, EPERM no
   *   right to it, ENOMEM /dev/shm is full, ENOSPC the switch has 254 ports
   */
  openPort(name: string, options: OpenOptions = {}): Promise<ValePort> {
    return Promise.resolve().then(() => {
      const spec = this.#parse(name);
      if (spec.warning !== undefined) process.emitWarning(spec.warning, 'ValeWarning');
      const request = this.#request(spec, options);
      if (options.exclusive) request.flags = (request.flags ?? 0) | RegFlag.Exclusive;
      const port = this.#runtime.open(request, options.wire);
      const warning = port.wireState()?.warning;
      if (warning) process.emitWarning(warning, 'ValeWarning');
      return new ValePort(port);
    });
  }

  /** Ports that were opened stay open. */
  close(): void {
    this.#runtime.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** What is there now, for the names of one request. */
  get #names(): Live {
    return new Live(this.#binding, this.#runtime);
  }

  #parse(name: string): PortSpec {
    return parse(name, this.#names);
  }

  #request(spec: PortSpec, wishes: PortWishes): OpenRequest {
    const { txSlots, rxSlots, txRings, rxRings, bufSize, extraBufs, share } = wishes;
    const memIdOf = (port: PortSpec) => memoryOf(this.#runtime, port) || undefined;
    const request = toOpenRequest(spec, memIdOf);
    if (share !== undefined)
      request.memId = memIdOf(this.#parse(share)) ?? noSuchShare(share, share);
    const given = { txSlots, rxSlots, txRings, rxRings, bufSize, extraBufs };
    for (const [key, value] of Object.entries(given) as [keyof typeof given, number | undefined][])
      if (value !== undefined) request[key] = value;
    return request;
  }
}
