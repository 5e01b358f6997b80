// SPDX-License-Identifier: BSD-2-Clause
// Flags that several actions of `vale ctl` share.
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { Flags } from '@oclif/core';

import { BadValue, expected, UsageError } from '../errors.js';
import type { AttachHow, WireBackend } from '../native-types.js';
import { MACHINES } from '../port/machines.js';
import { refuseContradiction, secondsFlag, wireFlags } from './flags.js';
import { mac } from './mac.js';
import { ringConfig, type RingConfig } from './ring-config.js';

/** How what an action finds is shown. */
export const outputFlags = {
  plain: Flags.boolean({
    summary: "Print the reference's lines even on a terminal. The default when piped.",
    exclusive: ['json'],
  }),
  json: Flags.boolean({
    summary: 'Print JSON: SI base units, counters as exact integers.',
  }),
};

/** For what changes by itself. */
export const watchFlags = {
  watch: Flags.boolean({
    summary: 'Look again and again, with rates: redrawn on a terminal, appended when piped.',
  }),
  interval: secondsFlag({
    helpValue: 'SECONDS',
    dependsOn: ['watch'],
    summary: 'Time between two looks of --watch. Default: 1.',
  }),
};

export const memidFlag = Flags.string({
  char: 'm',
  helpValue: 'ID|PORT',
  summary: 'Memory to use: its id, or a port to share memory with.',
});

/** What a created or attached port is made of. */
export const wishFlags = {
  config: Flags.custom<RingConfig>({ parse: async (text) => ringConfig(text) })({
    char: 'C',
    helpValue: 'CONFIG',
    summary:
      'Slots and rings: tx_slots[,rx_slots[,tx_rings[,rx_rings]]]. One number sets both slots, a third alone both rings.',
  }),
  memid: memidFlag,
};

export const verboseFlag = Flags.boolean({
  char: 'v',
  summary: 'Print what was made: slots, rings and memory of a port, or its index on the switch.',
});

/** A MAC address of one station: what a forwarding database holds. Throws BadValue. */
export function unicastMac(text: string): string {
  const address = mac(text);
  if (Number.parseInt(address.slice(0, 2), 16) & 1)
    throw new BadValue('the MAC address of one station (its first byte is even)');
  return address;
}

/** As ip-netns(8) has it, a path, or a process id. Throws BadValue. */
function namespaceName(text: string): string {
  if (text === '') throw new BadValue('a network namespace, by its name or a process id');
  return text;
}

/** Throws BadValue. */
function agentName(text: string): string {
  if (!/^[\w.-]{1,31}$/.test(text))
    throw new BadValue('a name of 1 to 31 letters, digits and . _ -');
  return text;
}

/** How a network interface is attached. */
export const attachFlags = {
  ...wireFlags,
  netns: Flags.custom<string>({ parse: async (text) => namespaceName(text) })({
    helpValue: 'NAME|PID',
    summary:
      'The network namespace the interface is in: a name of ip-netns(8), or the id of a process in it.',
  }),
  'vhost-user': Flags.string({
    helpValue: 'FILE',
    summary:
      'Attach not an interface but a virtual machine: a vhost-user socket of this path, as QEMU, libvirt and cloud-hypervisor take one.',
  }),
  stream: Flags.string({
    helpValue: 'FILE',
    summary:
      'Attach a virtual machine without shared memory: a socket of this path, as the netdev stream of QEMU takes one. Slower than --vhost-user.',
  }),
  dgram: Flags.string({
    helpValue: 'FILE',
    summary:
      "The same by datagrams, as QEMU's netdev dgram sends them from a socket of its own to this one.",
  }),
  remote: Flags.string({
    helpValue: 'FILE',
    summary:
      "With --dgram: the socket of the virtual machine's process. Without it, the one that sent last.",
  }),
  agent: Flags.custom<string>({ parse: async (text) => agentName(text) })({
    helpValue: 'NAME',
    summary:
      'Serve the virtual machine by the process of this name, as all others that name it; it is started if there is none. Frames between those are copied once, from guest to guest. Without it, each has a process of its own, and no other ends with that.',
  }),
  client: Flags.boolean({
    summary:
      "Connect to the socket of --vhost-user or --stream, again and again, instead of making it: the virtual machine's process does.",
  }),
};

/** What those flags mean. Throws UsageError. */
export function attachHow(
  flags: {
    backend?: WireBackend | undefined;
    shared: boolean;
    force: boolean;
    netns?: string | undefined;
    'vhost-user'?: string | undefined;
    stream?: string | undefined;
    dgram?: string | undefined;
    remote?: string | undefined;
    agent?: string | undefined;
    client: boolean;
  },
  host: boolean,
): Omit<AttachHow, 'agent'> {
  const { backend, shared, force, netns, client, remote } = flags;
  const [machine, second] = MACHINES.filter(([option]) => flags[option] !== undefined);
  if (client && machine?.[0] !== 'vhost-user' && machine?.[0] !== 'stream')
    throw new UsageError('--client goes with --vhost-user or --stream: it says how to meet there');
  if (remote !== undefined && machine?.[0] !== 'dgram')
    throw new UsageError("--remote goes with --dgram: it is the socket of the machine's process");
  if (flags.agent !== undefined && machine === undefined)
    throw new UsageError(
      '--agent goes with --vhost-user, --stream or --dgram: it serves virtual machines',
    );
  if (machine === undefined) {
    refuseContradiction({ backend, shared, host });
    const given = { host, backend, shared, force, netns };
    return Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as AttachHow;
  }
  const [option, key] = machine;
  if (second !== undefined)
    throw new UsageError(
      `--${option} and --${second[0]} are two ways to one virtual machine: give one`,
    );
  const other = Object.entries({ host, backend, shared, force, netns }).find(
    ([, value]) => value !== undefined && value !== false,
  );
  if (other !== undefined)
    throw new UsageError(
      `${other[0] === 'host' ? 'a host stack' : `--${other[0]}`} is a network interface's: it does not go with --${option}`,
    );
  const how: Omit<AttachHow, 'agent'> = { [key]: socketPath(`--${option}`, flags[option]!) };
  if (remote !== undefined) how.remote = socketPath('--remote', remote);
  if (how.remote !== undefined && how.remote === how.dgram)
    throw new UsageError(
      `--remote ${remote} is the socket of --dgram itself: give the one of the machine's process`,
    );
  if (flags.agent !== undefined) how.agentName = flags.agent;
  if (client) how.client = true;
  return how;
}

function socketPath(option: string, text: string): string {
  if (text === '' || text.endsWith('/')) throw expected('the path of a socket', option, text);
  return resolve(text);
}

/**
 * -C of -p: "mode,core" or "1,core,cores", of which an agent takes two. Absent: one core, the last.
 * Throws UsageError.
 */
export function pollingFor(text: string | undefined): { first: number; cores: number } {
  if (text === undefined) return { first: Math.max(0, cpus().length - 1), cores: 1 };
  const [mode, first = '0', cores] = text.split(',');
  if (!/^[01](,\d{1,4}(,[1-9]\d{0,3})?)?$/.test(text) || (mode === '0' && cores !== undefined))
    throw expected('mode,core or 1,core,cores', '-C', text);
  return { first: Number(first), cores: Number(cores ?? 1) };
}

/** -C of the other options, read late because its meaning hangs on the action. Throws UsageError. */
export function configFor(text: string): RingConfig {
  try {
    return ringConfig(text);
  } catch (error) {
    throw error instanceof BadValue ? expected(error.what, '-C', text) : error;
  }
}
