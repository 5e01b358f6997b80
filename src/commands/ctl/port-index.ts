// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { outputFlags } from '../../options/ctl.js';
import { indexLines } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class PortIndex extends BaseCommand {
  static override summary = 'Show the indices of a switch and of a port on it.';

  static override description =
    'A port that is not on the switch has index 255. NS_PORT takes the index of a port.';

  static override examples = ['<%= config.bin %> ctl index vale0:a'];

  static override args = {
    name: Args.string({ required: true, description: 'Switch and port, as in vale0:a.' }),
  };

  static override flags = outputFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(PortIndex);
    const index = await withControl((control) => control.index(args.name, 'obtain indices of'));
    if (flags.json) {
      const { indexJson } = await import('../../report/ctl-json.js');
      const { toJson } = await import('../../report/json.js');
      this.log(toJson(indexJson(args.name, index), 2));
    } else {
      for (const line of indexLines(index)) this.log(line);
    }
  }
}
