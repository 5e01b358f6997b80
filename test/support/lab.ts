// SPDX-License-Identifier: BSD-2-Clause
/**
 * A laboratory: a network namespace of the test's own, and hosts with namespaces of theirs, each on a
 * wire into it. Needs no privilege where user namespaces are allowed; gone with its processes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const TOOLS = ['ip', 'nsenter', 'unshare'];

/** Tools for needs(). */
export const labTools = (...more: string[]): string[] => [...TOOLS, ...more];

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a shell script in a network namespace with every capability there, but not as its root: tcpdump
 * would try to become another user, whom a namespace without privilege does not have. $1 and on are
 * `args`; the script ends when any command of it fails.
 */
export function withCapabilities(script: string, ...args: string[]): Promise<Finished> {
  const child = spawn(
    'unshare',
    [
      ...['-Un', '--map-user=1000', '--map-group=1000', '--keep-caps', '--'],
      ...['sh', '-euc', script, 'sh', ...args],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return finished(child);
}

/** A namespace and what runs in it. */
class Namespace {
  /** @param asRoot it has no user namespace of its own: root's privileges over the kernel hold there */
  protected constructor(
    private readonly holder: ChildProcess,
    readonly asRoot: boolean,
  ) {}

  protected static async hold(command: string[]): Promise<ChildProcess> {
    const [program = '', ...args] = command;
    const child = spawn(
      program,
      [...args, 'sh', '-c', 'ip link set lo up; echo ready; exec sleep 600'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout!, 'data');
    return child;
  }

  get pid(): string {
    return String(this.holder.pid);
  }

  /** The command that runs another one here. */
  get inside(): string[] {
    const user = this.asRoot ? [] : ['-U', '--preserve-credentials'];
    return ['nsenter', '-t', this.pid, ...user, '-n', '--'];
  }

  start(...command: string[]): ChildProcess {
    const [program = '', ...args] = [...this.inside, ...command];
    return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  async run(...command: string[]): Promise<Finished> {
    return finished(this.start(...command));
  }

  /** Configuration that must work; words separated by spaces. */
  async must(line: string): Promise<void> {
    const { code, stderr } = await this.run(...line.split(' '));
    if (code !== 0) throw new Error(`${line}: ${stderr}`);
  }

  close(): void {
    this.holder.kill('SIGKILL');
  }
}

export async function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Has one interface, eth0, the other end of a wire in the laboratory. */
export class Host extends Namespace {
  static async make(lab: Lab): Promise<Host> {
    return new Host(await Namespace.hold([...lab.inside, 'unshare', '-n']), lab.asRoot);
  }
}

export class Lab extends Namespace {
  private readonly hosts: Host[] = [];

  static async open(): Promise<Lab> {
    return new Lab(await Namespace.hold(['unshare', '-Urn']), false);
  }

  /** For what no user namespace allows; only for root. */
  static async openAsRoot(): Promise<Lab> {
    return new Lab(await Namespace.hold(['unshare', '-n']), true);
  }

  /** A host with an IPv4 address (with its prefix length), behind interface `wire` of the laboratory. */
  async host(wire: string, address: string): Promise<Host> {
    const host = await Host.make(this);
    this.hosts.push(host);
    await this.must(`ip link add ${wire} type veth peer name eth0 netns ${host.pid}`);
    await this.must(`ip link set ${wire} up`);
    await host.must('ip link set eth0 up');
    await host.must(`ip addr add ${address} dev eth0`);
    return host;
  }

  override close(): void {
    for (const host of this.hosts) host.close();
    super.close();
  }
}
