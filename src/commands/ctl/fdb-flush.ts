// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { withControl } from '../../session/control.js';

export default class FdbFlush extends BaseCommand {
  static override summary = 'Forget the addresses a switch has learned; static ones stay.';

  static override examples = ['<%= config.bin %> ctl fdb flush vale0'];

  static override args = {
    switch: Args.string({ required: true, description: 'The switch.' }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(FdbFlush);
    const removed = await withControl((control) => control.fdbFlush(args.switch));
    this.log(`flushed: ${removed}`);
  }
}
