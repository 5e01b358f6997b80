// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { verboseFlag, wishFlags } from '../../options/ctl.js';
import { createdLines } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Create extends BaseCommand {
  static override summary = 'Create a persistent port: it stays until it is removed.';

  static override examples = [
    '<%= config.bin %> ctl create p0',
    '<%= config.bin %> ctl create p0 -C 512,512,2 -v',
  ];

  static override args = {
    name: Args.string({ required: true, description: 'Its name; does not start with "vale".' }),
  };

  static override flags = { ...wishFlags, verbose: verboseFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Create);
    await withControl((control) => {
      const info = control.create(args.name, flags);
      if (flags.verbose) for (const line of createdLines(info)) this.log(line);
    });
  }
}
