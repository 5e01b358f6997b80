// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { unicastMac } from '../../options/ctl.js';
import { withControl } from '../../session/control.js';

export default class FdbRemove extends BaseCommand {
  static override summary = 'Forget one MAC address, static or learned.';

  static override examples = ['<%= config.bin %> ctl fdb remove vale0 02:00:00:00:00:01'];

  static override args = {
    switch: Args.string({ required: true, description: 'The switch.' }),
    mac: Args.custom<string>({ parse: async (text) => unicastMac(text) })({
      required: true,
      description: 'The address.',
    }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(FdbRemove);
    await withControl((control) => control.fdbRemove(args.switch, args.mac));
  }
}
