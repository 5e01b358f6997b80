// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { integer } from '../../options/number.js';
import { withControl } from '../../session/control.js';

const SECONDS = { what: 'seconds from 0 (never) to 1000000', max: 1e6 };

export default class FdbAgeing extends BaseCommand {
  static override summary =
    'Show or set after how long without a frame a learned address is forgotten.';

  static override examples = [
    '<%= config.bin %> ctl fdb ageing vale0',
    '<%= config.bin %> ctl fdb ageing vale0 60',
  ];

  static override args = {
    switch: Args.string({ required: true, description: 'The switch.' }),
    seconds: Args.custom<number>({ parse: async (text) => integer(text, SECONDS) })({
      description: '0 to 1000000 seconds, 0 = never. A new switch has 300.',
    }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(FdbAgeing);
    const { seconds } = args;
    await withControl((control) => {
      if (seconds === undefined) this.log(`ageing: ${control.ageing(args.switch)}`);
      else control.setAgeing(args.switch, seconds);
    });
  }
}
