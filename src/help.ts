// SPDX-License-Identifier: BSD-2-Clause
// Help pages. Loaded only when somebody asks for help.
import { Help } from '@oclif/core/help';
import type { Config } from '@oclif/core/config';

import { terminal } from './report/terminal.js';

function page(config: Config): Help {
  const { columns } = terminal(process.stdout);
  return new Help(config, {
    maxWidth: Math.min(columns, 120),
    docopts: false,
    flagSortOrder: 'none',
    hideCommandSummaryInDescription: true,
    stripAnsi: !terminal(process.stdout).color,
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
