// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { outputFlags, watchFlags } from '../../options/ctl.js';
import { statsView } from '../../report/ctl-views.js';
import { withControl } from '../../session/control.js';
import { show } from '../../session/show.js';

export default class Stats extends BaseCommand {
  static override summary = 'Show every counter of ports and switches, drops by reason.';

  static override examples = [
    '<%= config.bin %> ctl stats',
    '<%= config.bin %> ctl stats vale0:a --watch',
    '<%= config.bin %> ctl stats vale0 --json',
  ];

  static override args = {
    name: Args.string({ description: 'Only this switch and its ports, or only this port.' }),
  };

  static override flags = { ...outputFlags, ...watchFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Stats);
    const stop = flags.watch ? this.unread : undefined;
    await withControl((control) =>
      show(statsView, flags, () => control.statistics(args.name), stop),
    );
  }
}
