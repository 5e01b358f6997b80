// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { verboseFlag } from '../../options/ctl.js';
import { portIndexLine } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Detach extends BaseCommand {
  static override summary = 'Detach a persistent port from its switch.';

  static override examples = ['<%= config.bin %> ctl detach vale0:p0'];

  static override args = {
    name: Args.string({ required: true, description: 'Switch and port, as in vale0:p0.' }),
  };

  static override flags = { verbose: verboseFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Detach);
    await withControl((control) => {
      const index = control.detach(args.name);
      if (flags.verbose) this.log(portIndexLine(index));
    });
  }
}
