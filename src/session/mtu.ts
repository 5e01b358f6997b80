// SPDX-License-Identifier: BSD-2-Clause
// What to say when one interface takes longer packets than another that gets its frames: nobody on the
// way can cut them, or tell their sender.
import { statSync } from 'node:fs';

import type { AgentRow } from '../native-types.js';
import { typed } from '../shell.js';

/** An interface and how long a packet it takes. */
export interface Carrier {
  /** As a user names it. */
  name: string;
  /** What the kernel calls it. */
  device: string;
  /** Bytes, without the Ethernet header. */
  mtu: number;
  /**
   * The network namespace it is in, as `vale ctl attach --netns` takes it; "" this one; undefined
   * another, for which there is no name here, as of what was attached inside a container.
   */
  netns: string | undefined;
  /** It is a virtual machine, whose own kernel has the interface. */
  machine?: boolean;
}

/** The line for two interfaces; undefined when they take the same. */
export function unequal(a: Carrier, b: Carrier): string | undefined {
  if (a.mtu === b.mtu) return undefined;
  return a.mtu < b.mtu ? line(a, b, [b]) : line(b, a, [a]);
}

/**
 * The line for an interface that was just attached to a switch: when it is the narrowest there, what
 * to run for all that take more; else what to run for it. Undefined when it takes what the others do.
 */
export function unequalOnSwitch(
  attached: AgentRow,
  agents: readonly AgentRow[],
): string | undefined {
  const mine = carrier(attached);
  const others = agents
    .filter((row) => row.alive && row.state.mtu > 0 && row.port !== attached.port)
    .filter((row) => switchOf(row.port) === switchOf(attached.port))
    .map(carrier)
    .sort((a, b) => a.mtu - b.mtu);
  const narrowest = others[0];
  const widest = others.at(-1);
  if (mine.mtu === 0 || narrowest === undefined || widest === undefined) return undefined;
  if (narrowest.mtu < mine.mtu) return line(narrowest, mine, [mine]);
  const wider = others.filter(({ mtu }) => mtu > mine.mtu);
  return wider.length > 0 ? line(mine, widest, wider) : undefined;
}

const switchOf = (port: string): string => port.slice(0, port.indexOf(':'));

function carrier({ port, interface: device, socket, netns, netnsInode, state }: AgentRow): Carrier {
  const machine = socket !== '';
  const foreign = netns === '' && netnsInode !== networkInode();
  return { name: port, device, mtu: state.mtu, netns: foreign ? undefined : netns, machine };
}

/** Of this process's network namespace; 0 where there is no /proc, as agents have it there. */
export function networkInode(): number {
  try {
    return statSync('/proc/self/ns/net').ino;
  } catch {
    return 0;
  }
}

function line(less: Carrier, more: Carrier, change: Carrier[]): string {
  const commands = change.map((one) => command(one, less.mtu)).join(' && ');
  return `${less.name} takes packets of ${less.mtu} bytes, ${more.name} of ${more.mtu}: longer ones will be dropped; run: ${commands}, and the same where they come from`;
}

/** What makes it take packets of `mtu` bytes, for a shell. */
function command({ device, netns, machine }: Carrier, mtu: number): string {
  if (machine) return `ip link set INTERFACE mtu ${mtu} (in that virtual machine)`;
  const set = `link set ${typed(device)} mtu ${mtu}`;
  if (netns === undefined) return `ip ${set} (in its container)`;
  if (netns === '') return `ip ${set}`;
  if (netns.includes('/')) return `nsenter --net=${typed(netns)} ip ${set}`;
  if (!/^\d+$/.test(netns)) return `ip -n ${typed(netns)} ${set}`;
  // A container without root has a user namespace of its own, in which its owner may do all.
  const user = process.geteuid?.() === 0 ? '' : '-U --preserve-credentials ';
  return `nsenter -t ${netns} ${user}-n ip ${set}`;
}
