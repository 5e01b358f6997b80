// SPDX-License-Identifier: BSD-2-Clause
// What a completion script completes: verbs and options as they are defined, names as they are now.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

import { native } from '../native.js';
import type { AgentRow, PortRow } from '../native-types.js';
import { openDevice } from '../port/device.js';
import type { Kind, Option, Verb } from './completion-words.js';
import { networkInode } from './mtu.js';
import { runtimeDirectory } from './runtime-directory.js';

interface Flag {
  char?: string;
  type: 'boolean' | 'option';
  summary?: string;
  helpValue?: string;
  options?: string[];
}

/** A verb or action as oclif's manifest has it. */
export interface Definition {
  id: string;
  summary?: string;
  flags: Record<string, Flag>;
  args: Record<string, { options?: string[] }>;
}

/** Which, by the id of a verb and the name of its option or argument. */
export const NAMED: Record<string, Record<string, Kind>> = {
  'pkt-gen': { interface: 'ports' },
  bridge: { interface: 'ports', a: 'ports', b: 'ports' },
  capture: { interface: 'ports' },
  extcap: { 'extcap-interface': 'ports' },
  ctl: {
    remove: 'persistent',
    attach: 'attachable',
    'attach-host': 'attachable',
    detach: 'attached',
    info: 'ports',
    index: 'members',
    'poll-on': 'interfaces',
    'poll-off': 'interfaces',
    memid: 'ports',
    netns: 'namespaces',
    agent: 'agents',
  },
  'ctl:list': { name: 'members' },
  'ctl:create': { memid: 'ports' },
  'ctl:remove': { name: 'persistent' },
  'ctl:attach': { name: 'attachable', memid: 'ports', netns: 'namespaces', agent: 'agents' },
  'ctl:detach': { name: 'attached' },
  'ctl:log': { name: 'interfaces' },
  'ctl:info': { name: 'ports', memid: 'ports' },
  'ctl:index': { name: 'members' },
  'ctl:stats': { name: 'members' },
  'ctl:fdb': { switch: 'switches' },
  'ctl:fdb:show': { switch: 'switches' },
  'ctl:fdb:flush': { switch: 'switches' },
  'ctl:fdb:add': { port: 'members' },
  'ctl:fdb:remove': { switch: 'switches' },
  'ctl:fdb:ageing': { switch: 'switches' },
};

function optionOf(named: Record<string, Kind>, [name, flag]: [string, Flag]): Option {
  const spelled = [...(flag.char ? [`-${flag.char}`] : []), `--${name}`];
  const summary = (flag.summary ?? '').split(/(?<=\.) /)[0] ?? '';
  if (flag.type === 'boolean') return { spelled, summary };
  const other = flag.helpValue === 'FILE' ? 'file' : 'other';
  const kind = named[name];
  return { spelled, summary, value: flag.options ?? (kind ? { kind } : other) };
}

export function verbsOf(commands: readonly Definition[]): Verb[] {
  const paths = commands.map(({ id }) => id.replaceAll(':', ' '));
  return commands.map(({ id, summary = '', flags, args }) => {
    const path = id.replaceAll(':', ' ');
    const named = NAMED[id] ?? {};
    const below = paths
      .filter((other) => other.startsWith(`${path} `))
      .map((other) => other.slice(path.length + 1))
      .filter((other) => !other.includes(' '));
    const words = Object.values(args).flatMap(({ options = [] }) => options);
    return {
      path,
      summary,
      actions: [...below, ...words],
      options: [
        ...Object.entries(flags).map((flag) => optionOf(named, flag)),
        { spelled: ['--help'], summary: 'Show help.' },
      ],
      argument: Object.keys(args)
        .map((name) => named[name])
        .find((kind) => kind !== undefined),
    };
  });
}

/** The switch of "vale0:e" and the like, with its colon; undefined: none is typed yet. */
const switchTyped = (typed: string): string | undefined => /^vale\w*:/.exec(typed)?.[0];

/**
 * Names of that kind; makes no runtime directory.
 * @param typed the word so far: what is to be attached has a switch in front of it
 */
export function liveNames(kind: Kind, typed = ''): string[] {
  if (kind === 'namespaces') return entries('/run/netns');
  const devices = interfaces().filter((name) => !name.endsWith('^'));
  const { switches, ports, served } = live();
  const free = ports.filter((row) => row.persistent && !row.attached).map(({ name }) => name);
  switch (kind) {
    case 'ports':
      return [...ports.map(({ name }) => name), ...switches, ...unserved(devices, served)];
    case 'members':
      return [...ports.filter((row) => row.attached).map(({ name }) => name), ...switches];
    case 'switches':
      return switches;
    case 'persistent':
      return free;
    case 'interfaces':
      return served.map(({ port }) => port);
    case 'agents':
      return [...new Set(served.map(({ name }) => name))].filter((name) => name !== '');
    case 'attached':
      return [
        ...ports.filter((row) => row.attached && row.persistent).map(({ name }) => name),
        ...served.map(({ port }) => port),
      ];
    case 'attachable': {
      const given = switchTyped(typed);
      if (given === undefined) return switches.length > 0 ? switches : ['vale0:'];
      const wires = unserved(devices, served).filter((name) => name !== 'lo');
      return [...free, ...wires].map((name) => `${given}${name}`);
    }
  }
}

function unserved(devices: readonly string[], served: readonly AgentRow[]): string[] {
  const here = networkInode();
  const taken = served.filter(({ netnsInode, socket }) => netnsInode === here && socket === '');
  return devices.filter((name) => !taken.some((row) => row.interface === name));
}

/** Of this network namespace; /sys may show another's. */
function interfaces(): string[] {
  try {
    const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2);
    return lines.map((line) => line.slice(0, line.lastIndexOf(':')).trim()).filter(Boolean);
  } catch {
    return [];
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What is in the runtime directory, if there is one, or in the kernel's netmap. */
function live(): { switches: string[]; ports: PortRow[]; served: AgentRow[] } {
  const directory = runtimeDirectory(process.env, process.geteuid?.() ?? 0);
  if (existsSync(`${directory}/control`) || existsSync('/dev/netmap')) {
    try {
      const runtime = openDevice(native());
      const ports = runtime.list().filter(({ kind }) => kind !== 'monitor');
      const served = runtime.agents().filter(({ alive }) => alive);
      const switches = runtime.switches().map(({ name }) => `${name}:`);
      runtime.close();
      return { switches, ports, served };
    } catch {
      // Nobody reads an error in the middle of a command line; the command itself will tell.
    }
  }
  return { switches: [], ports: [], served: [] };
}
