// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { verboseFlag } from '../../options/ctl.js';
import { portIndexLine } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Detach extends BaseCommand {
  static override summary =
    'Detach a network interface, a virtual machine or a persistent port from its switch.';

  static override description = 'Returns once an interface is as it was before it was attached.';

  static override examples = ['<%= config.bin %> ctl detach vale0:eth1'];

  static override args = {
    name: Args.string({
      required: true,
      description: 'Switch and interface or port, as in vale0:eth1.',
    }),
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
