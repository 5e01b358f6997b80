// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { unicastMac } from '../../options/ctl.js';
import { withControl } from '../../session/control.js';

export default class FdbAdd extends BaseCommand {
  static override summary = 'Bind a MAC address to a port: it neither ages nor moves.';

  static override examples = ['<%= config.bin %> ctl fdb add vale0:a 02:00:00:00:00:01'];

  static override args = {
    port: Args.string({ required: true, description: 'Switch and port, as in vale0:a.' }),
    mac: Args.custom<string>({ parse: async (text) => unicastMac(text) })({
      required: true,
      description: 'The address.',
    }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(FdbAdd);
    await withControl((control) => control.fdbAdd(args.port, args.mac));
  }
}
