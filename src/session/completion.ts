// SPDX-License-Identifier: BSD-2-Clause
// What a completion script completes: verbs and options as they are defined, names as they are now.
import { existsSync, readdirSync } from 'node:fs';

import { native } from '../native.js';
import type { Option, Verb } from '../report/completion.js';
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

const NAMES = /^(PORT|NAME|SWITCH:NAME|ID\|PORT)$/;

function optionOf([name, flag]: [string, Flag]): Option {
  const spelled = [...(flag.char ? [`-${flag.char}`] : []), `--${name}`];
  const summary = (flag.summary ?? '').split(/(?<=\.) /)[0] ?? '';
  if (flag.type === 'boolean') return { spelled, summary };
  const shown = flag.helpValue ?? '';
  const value = flag.options ?? (NAMES.test(shown) ? 'name' : shown === 'FILE' ? 'file' : 'other');
  return { spelled, summary, value };
}

export function verbsOf(commands: readonly Definition[]): Verb[] {
  const paths = commands.map(({ id }) => id.replaceAll(':', ' '));
  return commands.map(({ id, summary = '', flags, args }) => {
    const path = id.replaceAll(':', ' ');
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
        ...Object.entries(flags).map(optionOf),
        { spelled: ['--help'], summary: 'Show help.' },
      ],
      named: words.length === 0 && Object.keys(args).length > 0,
    };
  });
}

/** Names of switches' ports, switches and interfaces; makes no runtime directory. */
export function liveNames(): string[] {
  const interfaces = existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [];
  const directory = runtimeDirectory(process.env, process.getuid?.() ?? 0);
  if (!existsSync(`${directory}/control`)) return interfaces;
  try {
    const runtime = native().openRuntime();
    const names = [...runtime.list(), ...runtime.switches()].map(({ name }) => name);
    runtime.close();
    return [...names, ...interfaces];
  } catch {
    // Nobody reads an error in the middle of a command line; the command itself will tell.
    return interfaces;
  }
}
