// SPDX-License-Identifier: BSD-2-Clause
// What the names of one request of `vale ctl` mean, and what is asked for by them.
import { UsageError } from '../errors.js';
import type { AttachHow, NativeBinding, NativeRuntime, OpenRequest } from '../native-types.js';
import type { RingConfig } from '../options/ring-config.js';
import { failure } from '../port/failure.js';
import { Live, memoryOf } from '../port/live.js';
import { machineOption } from '../port/machines.js';
import { NameError, parse, toOpenRequest, type Exists, type PortSpec } from '../port/name.js';
import { MAX_MEM_ID, RegMode } from '../port/registration.js';

/** What a new port is made of; absent = default. */
export interface Wishes {
  config?: RingConfig | undefined;
  /** A memory id, or the name of a port whose memory it is. */
  memid?: string | undefined;
}

/** For one request only: what is there is looked up once, and only as far as its names need it. */
export class Names {
  readonly live: Live;
  readonly exists: Exists;

  /** @param warn takes one line for stderr */
  constructor(
    binding: NativeBinding,
    private readonly runtime: NativeRuntime,
    private readonly warn: (line: string) => void,
  ) {
    this.live = new Live(binding, runtime);
    this.exists = this.live.exists;
  }

  port(name: string): PortSpec {
    return this.tell(parse(name, this));
  }

  switchPort(name: string, exists = this.exists): PortSpec {
    const spec = this.tell(parse(name, { exists }));
    if (spec.kind !== 'port')
      throw new NameError(
        name,
        name,
        'this is no port of a switch',
        `name both, as in vale0:${spec.port}`,
      );
    return spec;
  }

  /** The name of a port as a whole, for what is done to all of it. */
  wholePort(name: string, done: string, exists = this.exists): PortSpec {
    const spec = this.switchPort(name, exists);
    const { mode, flags, pipe } = spec;
    if (mode === RegMode.AllNic && flags === 0 && pipe === undefined) return spec;
    const host = mode === RegMode.Host || mode === RegMode.NicAndHost;
    const whole = `${spec.switch}:${spec.port}`;
    throw new NameError(
      name,
      name.slice(name.indexOf(spec.port) + spec.port.length),
      `a port is ${done} with all its rings and without flags`,
      `use ${host && done === 'attached' ? `vale ctl -h ${whole} for an interface with its host stack` : whole}`,
    );
  }

  /** What only a network interface, or a port that is made, could make use of. */
  refuseForPersistent(
    spec: PortSpec,
    how: Omit<AttachHow, 'agent'>,
    { config, memid }: Wishes,
  ): void {
    const { text, port, options } = spec;
    const { backend, shared, force, netns } = how;
    const wire = Object.entries({ backend, shared, force, netns }).find(([, given]) => given);
    const machine = machineOption(how);
    if (machine !== undefined)
      throw new UsageError(
        `--${machine} is for virtual machines, and ${port} is a persistent port: give the machine's port another name`,
      );
    if (wire)
      throw new UsageError(
        `--${wire[0]} is for network interfaces, and ${port} is a persistent port: leave it out`,
      );
    if (config !== undefined || options.conf !== undefined)
      throw new UsageError(
        `${config === undefined ? text : '-C'}: ${port} has had its rings and slots since it was made: leave them out, or remove it and make it again with them`,
      );
    const own = this.live.ports.find(({ name }) => name === port)?.info.memId;
    const wanted = this.request(spec, { memid }).memId;
    if (wanted !== undefined && own !== undefined && wanted !== own)
      throw new UsageError(
        `${memid === undefined ? text : `-m ${memid}`}: ${port} has had its memory, ${own}, since it was made: leave that out, or remove it and make it again with memory ${wanted}`,
      );
  }

  tell(spec: PortSpec): PortSpec {
    if (spec.warning !== undefined) this.warn(spec.warning);
    return spec;
  }

  request(spec: PortSpec, { config, memid }: Wishes): OpenRequest {
    const request = toOpenRequest(spec, (port) => this.memoryOf(port));
    const id = memid === undefined ? undefined : this.memoryId(memid);
    if (id !== undefined && (request.memId ?? id) !== id)
      throw new NameError(
        spec.text,
        `@${request.memId}`,
        `-m says memory ${id}`,
        'keep one of the two',
      );
    return { ...request, ...config, ...(id === undefined ? {} : { memId: id }) };
  }

  private memoryId(text: string): number {
    if (!/^\d+$/.test(text)) return this.memoryOf(parse(text, this));
    const id = Number(text);
    if (id < 1 || id > MAX_MEM_ID)
      throw new NameError(text, text, 'no memory has this id', `use 1 to ${MAX_MEM_ID}`);
    return id;
  }

  private memoryOf(port: PortSpec): number {
    const id = memoryOf(this.runtime, port, this.live.ports);
    if (id === undefined) throw failure('ENXIO', `${port.fullName}: no such port; see: vale ctl`);
    if (id === 0)
      throw failure('EINVAL', `${port.fullName} has no memory to share while nobody has it open`);
    return id;
  }
}
