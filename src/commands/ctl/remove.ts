// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { withControl } from '../../session/control.js';

export default class Remove extends BaseCommand {
  static override summary = 'Remove a persistent port that is neither attached nor open.';

  static override examples = ['<%= config.bin %> ctl remove p0'];

  static override args = {
    name: Args.string({ required: true, description: 'The name it was created with.' }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(Remove);
    await withControl((control) => control.remove(args.name));
  }
}
