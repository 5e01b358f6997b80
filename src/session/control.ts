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
import { failure } from '../port/failure.js';
import {
  attachable,
  NameError,
  parse,
  parsePersistent,
  parseSwitch,
  parseSwitchOrPort,
  quote,
  type PortSpec,
} from '../port/name.js';
import { reason } from './control-failure.js';
import { Names, type Wishes } from './control-names.js';
import { unequalOnSwitch } from './mtu.js';
import { hiddenInterface, isWire, openRuntime, otherRings, refuseWireRings } from './open.js';
import { elsewhere } from './sudo.js';

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
  /** What tellDeaths() has seen, for the first look after it: agents are asked, and waited for. */
  private seen: AgentRow[] | undefined;

  /** @param warn takes one line for stderr */
  constructor(
    private readonly binding: NativeBinding,
    private readonly runtime: NativeRuntime,
    private readonly warn: (line: string) => void,
  ) {}

  create(name: string, wishes: Wishes): PortInfo {
    return this.attempt('create', name, (names) => {
      const spec = parsePersistent(name, names);
      const info = this.runtime.create(names.request(spec, wishes));
      const rings = otherRings(spec, info, wishes.config);
      if (rings !== undefined) this.warn(rings);
      return info;
    });
  }

  remove(name: string): void {
    this.attempt('remove', name, (names) => {
      const { kind, port } = parse(name, names);
      if (kind === 'port')
        throw failure(
          'ENXIO',
          `only a persistent port is removed, by its own name as in ${port === '' ? 'p0' : port}; others go when they are closed`,
        );
      this.runtime.remove(parsePersistent(name, names).fullName);
    });
  }

  /** @returns the port's index on its switch */
  attach(name: string, how: Omit<AttachHow, 'agent'>, wishes: Wishes): number {
    return this.attempt('attach', name, (names) => {
      const spec = names.wholePort(name, 'attached', attachable(names.exists, how));
      if (names.exists('port', spec.port)) {
        names.refuseForPersistent(spec, how, wishes);
        const hidden = hiddenInterface(spec, names.exists);
        if (hidden !== undefined) this.warn(hidden);
      }
      const { hostTxRings, hostRxRings } = spec.options.conf ?? {};
      if (!names.exists('port', spec.port) && (hostTxRings ?? hostRxRings) !== undefined)
        this.warn(
          `${spec.text}: host-rings does nothing here: a host stack has one ring each way, and is attached with -h`,
        );
      const { portIndex, warning } = this.runtime.attach(names.request(spec, wishes), {
        ...how,
        agent: agentPath(),
      });
      if (warning !== '') this.warn(warning);
      const { config } = wishes;
      if ((config ?? spec.options.conf) !== undefined) {
        const made = this.runtime.list().find((row) => row.name === spec.fullName);
        const rings = made && otherRings(spec, made.info, config);
        if (rings !== undefined) this.warn(rings);
      }
      const agents = this.runtime.agents();
      const attached = agents.find((row) => row.alive && row.port === spec.fullName);
      const mtus = attached && unequalOnSwitch(attached, agents);
      if (mtus !== undefined) this.warn(mtus);
      return portIndex;
    });
  }

  /** @returns the index the port had on its switch */
  detach(name: string): number {
    return this.attempt('detach', name, (names) => {
      const spec = names.wholePort(name, 'detached');
      if (!names.exists('port', spec.fullName)) this.explainAbsence(spec, names);
      return this.runtime.detach(spec.fullName).portIndex;
    });
  }

  /** Of a port that is not on its switch, where it is instead. */
  private explainAbsence({ port, switch: sw }: PortSpec, { live, exists }: Names): void {
    const other = live.ports.find(({ name, attached }) => attached && name.endsWith(`:${port}`));
    if (other !== undefined)
      throw failure(
        'ENXIO',
        `${port} is not on ${sw}, but attached as ${other.name}; run: vale ctl -d ${other.name}`,
      );
    const renamed = this.runtime.agents().find((row) => row.alive && row.interface === port);
    if (renamed !== undefined)
      throw failure(
        'ENXIO',
        `${port} is not on ${sw} by that name, but attached as ${renamed.port}; run: vale ctl -d ${renamed.port}`,
      );
    const persistent = exists('port', port);
    if (persistent || exists('interface', port))
      throw failure(
        'ENXIO',
        `${port}, a ${persistent ? 'persistent port' : 'network interface'}, is attached to no switch`,
      );
  }

  info(name: string, memid?: string): PortInfo {
    return this.attempt('obtain info for', name, (names) => {
      const spec = names.port(name);
      const request = names.request(spec, { memid });
      const wire =
        this.runtime.device === 'user' &&
        isWire(spec, names.exists) &&
        names.exists('interface', spec.port);
      if (wire) refuseWireRings(spec);
      return wire ? this.wireInfo(request) : this.runtime.info(request);
    });
  }

  /**
   * What a wire has is known only when it is open; the reference opens it for a moment too. The host goes
   * on using it meanwhile.
   */
  private wireInfo(request: OpenRequest): PortInfo {
    const port = this.runtime.open(request, { shared: true });
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
    return this.attempt(action, name, (names) => {
      const target = parseSwitchOrPort(name, names);
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
    this.attempt(polling ? 'enable polling on' : 'disable polling on', name, (names) =>
      this.runtime.poll(
        names.wholePort(name, 'polled').fullName,
        polling?.cores ?? 0,
        polling?.first ?? 0,
      ),
    );
  }

  /** The agent that serves a port, or the one that died last of those that did. */
  agent(name: string): AgentRow {
    return this.attempt('show the log of', name, (names) => {
      const { fullName } = names.switchPort(name);
      const rows = this.agents().filter((row) => row.port === fullName.replace(/\^$/, ''));
      const row = rows.find(({ alive }) => alive) ?? rows.sort((a, b) => b.ended - a.ended)[0];
      if (row === undefined)
        throw failure(
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
    this.seen = this.runtime.agents();
    for (const row of this.seen) {
      if (row.alive || row.told) continue;
      const when = new Date(row.ended * 1000).toTimeString().slice(0, 8);
      const what = row.why === '' ? 'its agent was killed' : `its agent ended: ${row.why}`;
      this.warn(
        `${row.port}: ${what} (noticed at ${when}), so it left its switch; its log: vale ctl log ${row.port}`,
      );
      this.runtime.forgetAgent(row.port, false);
    }
  }

  private agents(): AgentRow[] {
    const rows = this.seen ?? this.runtime.agents();
    this.seen = undefined;
    return rows;
  }

  /**
   * All there is, or of `name`: that switch with its ports, or that port.
   * @param action what a failure says could not be done
   */
  look(name?: string, action = 'list'): Snapshot {
    return this.attempt(action, name, (names) => {
      const agents = this.agents().filter(({ alive }) => alive); // they say what is new
      const { switches, ports } = names.live;
      const { device, directory } = this.runtime;
      const all = { device, directory, time: Date.now() / 1000, switches, ports, agents };
      if (name === undefined) return all;
      const target = parseSwitchOrPort(name, names);
      if (target.kind === 'switch') {
        const { index } = this.findSwitch(target.switch, switches);
        return {
          ...all,
          switches: switches.filter((row) => row.name === target.switch),
          ports: ports.filter((row) => row.attached && row.switchIndex === index),
        };
      }
      names.tell(target);
      const port = ports.find((row) => row.name === target.fullName);
      if (port === undefined) {
        const what = /^vale\w*$/.test(name)
          ? `no such switch, nor a port ${target.fullName}`
          : 'no such port';
        throw failure('ENXIO', `${name}: ${what}; see: vale ctl`);
      }
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
      const switches =
        name === undefined
          ? this.runtime.switches().map((row) => row.name)
          : [parseSwitch(name).switch];
      return switches.map((sw) => ({ switch: sw, rows: this.runtime.fdbShow(sw) }));
    });
  }

  /** @returns how many entries went */
  fdbFlush(name: string): number {
    return this.attempt('flush addresses of', name, () =>
      this.runtime.fdbFlush(parseSwitch(name).switch),
    );
  }

  fdbAdd(name: string, mac: string): void {
    this.attempt('add an address to', name, (names) =>
      this.runtime.fdbAdd(names.switchPort(name).fullName, mac),
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
      throw failure('EOPNOTSUPP', `the kernel's netmap ${lack}; with VALE_DEVICE=user this works`);
  }

  private findSwitch(name: string, switches = this.runtime.switches()): SwitchRow {
    const row = switches.find((sw) => sw.name === name);
    if (row === undefined) throw failure('ENOENT', `${name}: no such switch; see: vale ctl`);
    return row;
  }

  private attempt<T>(action: string, name: string | undefined, act: (names: Names) => T): T {
    try {
      return act(new Names(this.binding, this.runtime, this.warn));
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
