// SPDX-License-Identifier: BSD-2-Clause
// Help pages. Loaded only when somebody asks for help.
import type { Command } from '@oclif/core/command';
import { CommandHelp, Help } from '@oclif/core/help';
import type { Config } from '@oclif/core/config';

import { terminal } from './report/terminal.js';

/** oclif's page with a synopsis that tells what must be given: "pkt-gen -i PORT [OPTIONS]". */
class VerbHelp extends CommandHelp {
  protected override defaultUsage(): string {
    const { id, args, flags } = this.command;
    const required = Object.values(flags).filter((flag) => flag.required && flag.type === 'option');
    const options = required.map((flag) => {
      const { char, name, helpValue } = flag as typeof flag & { helpValue?: string | string[] };
      const value = Array.isArray(helpValue) ? helpValue[0] : helpValue;
      return `${char ? `-${char}` : `--${name}`} ${value ?? 'VALUE'}`;
    });
    const words = Object.values(args)
      .filter((arg) => !arg.hidden)
      .map((arg) => this.arg(arg));
    return [id, ...options, '[OPTIONS]', ...words].join(' ');
  }

  protected override flags(flags: Command.Flag.Any[]): [string, string | undefined][] {
    const rows = super.flags(flags) ?? [];
    const own = flags.some(({ char }) => (char as string) === 'h');
    return [...rows, [own ? '    --help' : '-h, --help', 'Show this page.']];
  }
}

class Page extends Help {
  protected override CommandHelpClass = VerbHelp;

  /** What has actions, as ctl, is a verb itself and listed as one. */
  protected override get sortedTopics() {
    return [];
  }
}

function page(config: Config): Help {
  const { columns, color } = terminal(process.stdout);
  return new Page(config, {
    maxWidth: Math.min(columns, 120),
    docopts: false,
    flagSortOrder: 'none',
    hideCommandSummaryInDescription: true,
    stripAnsi: !color,
  });
}

/** Help of one verb, on stdout. */
export async function showVerbHelp(config: Config, verb: string): Promise<void> {
  await page(config).showHelp([verb]);
}

/** The list of verbs, on stdout. */
export async function showRootHelp(config: Config): Promise<void> {
  await page(config).showHelp([]);
}
