// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { outputFlags, watchFlags } from '../../options/ctl.js';
import { listView } from '../../report/ctl-views.js';
import { withControl } from '../../session/control.js';
import { show } from '../../session/show.js';

export default class List extends BaseCommand {
  static override summary = 'List switches and ports.';

  static override examples = [
    '<%= config.bin %> ctl list',
    '<%= config.bin %> ctl list vale0 --watch --interval 0.5',
    '<%= config.bin %> ctl list --json',
  ];

  static override args = {
    name: Args.string({ description: 'Only this switch and its ports, or only this port.' }),
  };

  static override flags = { ...outputFlags, ...watchFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(List);
    const stop = flags.watch ? this.unread : undefined;
    await withControl((control) => show(listView, flags, () => control.look(args.name), stop));
  }
}
