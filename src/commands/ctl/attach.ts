// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { attachFlags, attachHow, verboseFlag, wishFlags } from '../../options/ctl.js';
import { portIndexLine } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Attach extends BaseCommand {
  static override summary =
    'Attach a network interface, a virtual machine or a persistent port to a switch.';

  static override description =
    'An interface or virtual machine is served by a process of its own, vale-agent, until it is detached.';

  static override examples = [
    '<%= config.bin %> ctl attach vale0:eth1',
    '<%= config.bin %> ctl attach vale0:eth0 --netns blue',
    '<%= config.bin %> ctl attach vale0:vm1 --vhost-user vm1.sock',
    '<%= config.bin %> ctl attach vale0:p0',
  ];

  static override args = {
    name: Args.string({
      required: true,
      description:
        'Switch and interface or port, as in vale0:eth1; for a virtual machine, any name.',
    }),
  };

  static override flags = {
    host: Flags.boolean({
      summary: 'Attach the host stack of a network interface too: the same as vale ctl -h.',
    }),
    ...attachFlags,
    ...wishFlags,
    verbose: verboseFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Attach);
    const how = attachHow(flags, flags.host);
    await withControl((control) => {
      const index = control.attach(args.name, how, flags);
      if (flags.verbose) this.log(portIndexLine(index));
    });
  }
}
