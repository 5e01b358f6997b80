// SPDX-License-Identifier: BSD-2-Clause
// What `vale ctl` does, without how it looks: names as typed in, rows of the runtime out. A failure
// is one line in the reference's form, "failed to ACTION NAME: REASON".
import { ExitCode, UsageError, ValeError } from '../errors.js';
import { agentPath } from '../native.js';
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
} from '../native-types.js';
import type { RingConfig } from '../options/ring-config.js';
import {
  attachable,
  NameError,
  parse,
  parsePersistent,
  parseSwitch,
  parseSwitchOrPort,
  quote,
  toOpenRequest,
  type Exists,
  type PortSpec,
} from '../port/name.js';
import { MAX_MEM_ID, RegMode } from '../port/registration.js';
import { errorText } from './errno.js';
import { unequalOnSwitch } from './mtu.js';
import { existing, hiddenInterface, isWire, openRuntime, refuseWireRings } from './open.js';
import { elsewhere } from './sudo.js';

/** What a new port is made of; absent = default. */
export interface Wishes {
  config?: RingConfig | undefined;
  /** A memory id, or the name of a port whose memory it is. */
  memid?: string | undefined;
}

/** Everything there is, at one instant. */
export interface Snapshot {
  device: 'user' | 'kernel';
  /** Of the kernel's netmap: the path of its device. */
  directory: string;
  /** Seconds since 1970. */
  time: number;
  switches: SwitchRow[];
  ports: PortRow[];
  /** Attached network interfaces. */
  agents: AgentRow[];
}

/** CPUs that poll an attached interface. */
export interface Polling {
  first: number;
  cores: number;
}

export class Control {
  /** @param warn takes one line for stderr */
  constructor(
    private readonly binding: NativeBinding,
    private readonly runtime: NativeRuntime,
    private readonly warn: (line: string) => void,
  ) {}

  /** What is there now, as far as one look needs it. */
  private get exists(): Exists {
    return existing(this.binding, this.runtime);
  }

  private get names(): { exists: Exists } {
    return { exists: this.exists };
  }

  create(name: string, wishes: Wishes): PortInfo {
    return this.attempt('create', name, () =>
      this.runtime.create(this.request(parsePersistent(name, this.names), wishes)),
    );
  }

  remove(name: string): void {
    this.attempt('remove', name, () => {
      const { kind, port } = parse(name, this.names);
      if (kind === 'port')
        throw new Failure(
          'ENXIO',
          `only a persistent port is removed, by its own name as in ${port === '' ? 'p0' : port}; others go when they are closed`,
        );
      this.runtime.remove(parsePersistent(name, this.names).fullName);
    });
  }

  /** @returns the port's index on its switch */
  attach(name: string, how: Omit<AttachHow, 'agent'>, wishes: Wishes): number {
    return this.attempt('attach', name, () => {
      const exists = attachable(this.exists, how);
      const spec = this.wholePort(name, 'attached', { exists });
      if (this.exists('port', spec.port)) {
        this.refuseForPersistent(spec, how, wishes);
        const hidden = hiddenInterface(spec, this.exists);
        if (hidden !== undefined) this.warn(hidden);
      }
      const { portIndex, warning } = this.runtime.attach(this.request(spec, wishes), {
        ...how,
        agent: agentPath(),
      });
      if (warning !== '') this.warn(warning);
      const agents = this.runtime.agents();
      const attached = agents.find((row) => row.alive && row.port === spec.fullName);
      const mtus = attached && unequalOnSwitch(attached, agents);
      if (mtus !== undefined) this.warn(mtus);
      return portIndex;
    });
  }

  /** @returns the index the port had on its switch */
  detach(name: string): number {
    return this.attempt('detach', name, () => {
      const spec = this.wholePort(name, 'detached');
      if (!this.exists('port', spec.fullName)) this.explainAbsence(spec);
      return this.runtime.detach(spec.fullName).portIndex;
    });
  }

  /** Of a port that is not on its switch, where it is instead. */
  private explainAbsence({ port, switch: sw }: PortSpec): void {
    const elsewhere = this.runtime
      .list()
      .find(({ name, attached }) => attached && name.endsWith(`:${port}`));
    if (elsewhere !== undefined)
      throw new Failure(
        'ENXIO',
        `${port} is not on ${sw}, but attached as ${elsewhere.name}; run: vale ctl -d ${elsewhere.name}`,
      );
    const what = this.exists('port', port) ? 'persistent port' : 'network interface';
    if (this.exists('port', port) || this.exists('interface', port))
      throw new Failure('ENXIO', `${port}, a ${what}, is attached to no switch`);
  }

  info(name: string, memid?: string): PortInfo {
    return this.attempt('obtain info for', name, () => {
      const spec = this.port(name);
      const request = this.request(spec, { memid });
      const wire =
        this.runtime.device === 'user' &&
        isWire(spec, this.exists) &&
        this.exists('interface', spec.port);
      if (wire) refuseWireRings(spec);
      return wire ? this.wireInfo(request) : this.runtime.info(request);
    });
  }

  /** What a wire has is known only when it is open; the reference opens it for a moment too. */
  private wireInfo(request: OpenRequest): PortInfo {
    const port = this.runtime.open(request);
    try {
      return port.info;
    } finally {
      port.close();
    }
  }

  /**
   * Indices of a port; for a switch, or a port that is not on it, 255 as the port's.
   * @param action what a failure says could not be done
   */
  index(name: string, action = 'list'): { switchIndex: number; portIndex: number } {
    return this.attempt(action, name, () => {
      const target = parseSwitchOrPort(name, this.names);
      if (target.kind === 'interface')
        throw new NameError(
          name,
          name,
          'this is no port of a switch',
          `name both, as in vale0:${target.port}`,
        );
      return this.runtime.index(target.kind === 'switch' ? target.switch : target.fullName);
    });
  }

  /** @param polling undefined ends it */
  poll(name: string, polling?: Polling): void {
    this.attempt(polling ? 'enable polling on' : 'disable polling on', name, () =>
      this.runtime.poll(
        this.wholePort(name, 'polled').fullName,
        polling?.cores ?? 0,
        polling?.first ?? 0,
      ),
    );
  }

  /** The agent that serves a port, or the one that died last of those that did. */
  agent(name: string): AgentRow {
    return this.attempt('show the log of', name, () => {
      const { fullName } = this.switchPort(name);
      const rows = this.runtime.agents().filter((row) => row.port === fullName.replace(/\^$/, ''));
      const row = rows.find(({ alive }) => alive) ?? rows.sort((a, b) => b.ended - a.ended)[0];
      if (row === undefined)
        throw new Failure(
          'ENXIO',
          `${fullName}: only an attached network interface or virtual machine has a log, and this is none; see: vale ctl`,
        );
      return row;
    });
  }

  /** Whether that very agent still serves it. */
  alive(port: string, pid: number, started: number): boolean {
    return this.runtime
      .agents()
      .some((row) => row.port === port && row.pid === pid && row.started === started && row.alive);
  }

  /** The log of one that died was read: nothing of it is kept. */
  forget(port: string): void {
    this.attempt('forget', port, () => this.runtime.forgetAgent(port, true));
  }

  /** Tells, once, of agents that died or gave up. */
  tellDeaths(): void {
    for (const row of this.runtime.agents()) {
      if (row.alive || row.told) continue;
      const when = new Date(row.ended * 1000).toTimeString().slice(0, 8);
      const what = row.why === '' ? 'its agent was killed' : `its agent ended: ${row.why}`;
      this.warn(
        `${row.port}: ${what} (noticed at ${when}), so it left its switch; its log: vale ctl log ${row.port}`,
      );
      this.runtime.forgetAgent(row.port, false);
    }
  }

  /**
   * All there is, or of `name`: that switch with its ports, or that port.
   * @param action what a failure says could not be done
   */
  look(name?: string, action = 'list'): Snapshot {
    return this.attempt(action, name, () => {
      const agents = this.runtime.agents().filter(({ alive }) => alive); // they say what is new
      const switches = this.runtime.switches();
      const ports = this.runtime.list();
      const { device, directory } = this.runtime;
      const all = { device, directory, time: Date.now() / 1000, switches, ports, agents };
      if (name === undefined) return all;
      const target = parseSwitchOrPort(name, this.names);
      if (target.kind === 'switch') {
        const { index } = this.findSwitch(target.switch);
        return {
          ...all,
          switches: switches.filter((row) => row.name === target.switch),
          ports: ports.filter((row) => row.attached && row.switchIndex === index),
        };
      }
      this.tell(target);
      const port = ports.find((row) => row.name === target.fullName);
      if (port === undefined)
        throw new Failure('ENXIO', `${target.fullName}: no such port; see: vale ctl`);
      return { ...all, switches: [], ports: [port] };
    });
  }

  /** As look(), where there are counters. */
  statistics(name?: string): Snapshot {
    const action = name === undefined ? 'obtain counters' : 'obtain counters of';
    this.attempt(action, name, () => this.onlyUser('counts nothing'));
    return this.look(name, action);
  }

  fdbShow(name?: string): { switch: string; rows: FdbRow[] }[] {
    return this.attempt(name === undefined ? 'list addresses' : 'list addresses of', name, () => {
      this.onlyUser('shows no addresses');
      const names =
        name === undefined
          ? this.runtime.switches().map((row) => row.name)
          : [parseSwitch(name).switch];
      return names.map((sw) => ({ switch: sw, rows: this.runtime.fdbShow(sw) }));
    });
  }

  /** @returns how many entries went */
  fdbFlush(name: string): number {
    return this.attempt('flush addresses of', name, () =>
      this.runtime.fdbFlush(parseSwitch(name).switch),
    );
  }

  fdbAdd(name: string, mac: string): void {
    this.attempt('add an address to', name, () =>
      this.runtime.fdbAdd(this.switchPort(name).fullName, mac),
    );
  }

  fdbRemove(name: string, mac: string): void {
    this.attempt('remove an address from', name, () =>
      this.runtime.fdbRemove(parseSwitch(name).switch, mac),
    );
  }

  /** Seconds until an address not seen is forgotten; 0 = never. */
  ageing(name: string): number {
    return this.attempt('obtain ageing of', name, () => {
      this.onlyUser('never forgets an address');
      return this.findSwitch(parseSwitch(name).switch).ageing ?? 0;
    });
  }

  setAgeing(name: string, seconds: number): void {
    this.attempt('set ageing of', name, () =>
      this.runtime.setAgeing(parseSwitch(name).switch, seconds),
    );
  }

  /** Refuses what the kernel's netmap has no request for. */
  private onlyUser(lack: string): void {
    if (this.runtime.device === 'kernel')
      throw new Failure(
        'EOPNOTSUPP',
        `the kernel's netmap ${lack}; switches in shared memory do: set VALE_DEVICE=user`,
      );
  }

  private findSwitch(name: string): SwitchRow {
    const row = this.runtime.switches().find((sw) => sw.name === name);
    if (row === undefined) throw new Failure('ENOENT', `${name}: no such switch; see: vale ctl`);
    return row;
  }

  private port(name: string): PortSpec {
    return this.tell(parse(name, this.names));
  }

  private switchPort(name: string, names = this.names): PortSpec {
    const spec = this.tell(parse(name, names));
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
  private wholePort(name: string, done: string, names = this.names): PortSpec {
    const spec = this.switchPort(name, names);
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
  private refuseForPersistent(
    spec: PortSpec,
    how: Omit<AttachHow, 'agent'>,
    { config, memid }: Wishes,
  ): void {
    const { text, port, options } = spec;
    const { backend, shared, force, netns } = how;
    const wire = Object.entries({ backend, shared, force, netns }).find(([, given]) => given);
    if (how.vhostUser ?? how.stream ?? how.dgram)
      throw new UsageError(
        `--${how.vhostUser ? 'vhost-user' : how.stream ? 'stream' : 'dgram'} is for virtual machines, and ${port} is a persistent port: give the machine's port another name`,
      );
    if (wire)
      throw new UsageError(
        `--${wire[0]} is for network interfaces, and ${port} is a persistent port: leave it out`,
      );
    if (config !== undefined || options.conf !== undefined)
      throw new UsageError(
        `${config === undefined ? text : '-C'}: ${port} has had its rings and slots since it was made: leave them out, or remove it and make it again with them`,
      );
    const own = this.runtime.list().find(({ name }) => name === port)?.info.memId;
    const wanted = this.request(spec, { memid }).memId;
    if (wanted !== undefined && own !== undefined && wanted !== own)
      throw new UsageError(
        `${memid === undefined ? text : `-m ${memid}`}: ${port} has had its memory, ${own}, since it was made: leave that out, or remove it and make it again with memory ${wanted}`,
      );
  }

  private tell(spec: PortSpec): PortSpec {
    if (spec.warning !== undefined) this.warn(spec.warning);
    return spec;
  }

  private request(spec: PortSpec, { config, memid }: Wishes): OpenRequest {
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
    if (!/^\d+$/.test(text)) return this.memoryOf(parse(text, this.names));
    const id = Number(text);
    if (id < 1 || id > MAX_MEM_ID)
      throw new NameError(text, text, 'no memory has this id', `use 1 to ${MAX_MEM_ID}`);
    return id;
  }

  private memoryOf(port: PortSpec): number {
    const row = this.runtime.list().find(({ name }) => name === port.fullName);
    // The kernel lists no port that is on no switch.
    if (this.runtime.device === 'kernel')
      return (row?.info ?? this.runtime.info({ name: port.fullName })).memId;
    if (row === undefined)
      throw new Failure('ENXIO', `${port.fullName}: no such port; see: vale ctl`);
    if (row.info.memId === 0)
      throw new Failure(
        'EINVAL',
        `${port.fullName} has no memory to share while nobody has it open`,
      );
    return row.info.memId;
  }

  private attempt<T>(action: string, name: string | undefined, act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const other = name === undefined ? undefined : elsewhere(name, this.binding, this.runtime);
      const typed = name === undefined ? '' : ` ${quote(name).slice(1, -1)}`;
      throw new ValeError(
        `failed to ${action}${typed}: ${other ?? reason(error, name)}`,
        other === undefined && error instanceof NameError ? error.exitCode : ExitCode.Failed,
      );
    }
  }
}

/** A refusal of ours, in the form the addon's have. */
class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** strerror's text, as scripts know it, and in brackets what explains it. */
function reason(error: unknown, name = ''): string {
  if (!(error instanceof Error)) return String(error);
  const text = errorText((error as { code?: unknown }).code);
  const why = error instanceof NameError ? nameReason(error, name) : error.message;
  if (text === undefined || why === text) return why;
  const subject = `${name.replace(/:$/, '')}: `;
  const detail = why.startsWith(subject) ? why.slice(subject.length) : why;
  return detail === text ? text : `${text} (${detail})`;
}

/** The line has named `name` already; another name, as in -m, must be told. */
function nameReason(error: NameError, name: string): string {
  return error.input === name ? `${error.problem}; ${error.hint}` : error.message;
}

/** Runs `act` with the runtime directory open. */
export async function withControl<T>(act: (control: Control) => T | Promise<T>): Promise<T> {
  const { native } = await import('../native.js');
  const binding = native();
  const err = (line: string): unknown => process.stderr.write(`${line}\n`);
  const runtime = openRuntime(binding, err);
  try {
    const control = new Control(binding, runtime, (line) => err(`vale: ${line}`));
    control.tellDeaths();
    return await act(control);
  } finally {
    runtime.close();
  }
}
