// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { verboseFlag, wishFlags } from '../../options/ctl.js';
import { portIndexLine } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Attach extends BaseCommand {
  static override summary = 'Attach a persistent port to a switch.';

  static override examples = ['<%= config.bin %> ctl attach vale0:p0'];

  static override args = {
    name: Args.string({ required: true, description: 'Switch and port, as in vale0:p0.' }),
  };

  static override flags = {
    host: Flags.boolean({
      summary: 'Attach the host stack of a network interface too: the same as vale ctl -h.',
    }),
    ...wishFlags,
    verbose: verboseFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Attach);
    await withControl((control) => {
      const index = control.attach(args.name, flags.host, flags);
      if (flags.verbose) this.log(portIndexLine(index));
    });
  }
}
