// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { showLog } from '../../session/agent-log.js';
import { withControl } from '../../session/control.js';

export default class Log extends BaseCommand {
  static override summary = 'Show the log of an attached network interface or virtual machine.';

  static override description =
    'The log of one whose agent died is kept until it has been shown or the interface is attached again.';

  static override examples = [
    '<%= config.bin %> ctl log vale0:eth1',
    '<%= config.bin %> ctl log vale0:eth1 --follow',
  ];

  static override args = {
    name: Args.string({ required: true, description: 'Switch and interface, as in vale0:eth1.' }),
  };

  static override flags = {
    follow: Flags.boolean({
      char: 'f',
      summary: 'Print what is added too, until it is detached or you stop it.',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Log);
    const stop = flags.follow ? this.unread : undefined;
    await withControl((control) => showLog(control, args.name, stop));
  }
}
