// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { memidFlag, outputFlags } from '../../options/ctl.js';
import { infoLines } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Info extends BaseCommand {
  static override summary = 'Show slots, rings and memory of a port.';

  static override description =
    'A switch port that does not exist answers with what it would get if it were opened now.';

  static override examples = [
    '<%= config.bin %> ctl info vale0:a',
    '<%= config.bin %> ctl info vale0:a --json',
  ];

  static override args = {
    name: Args.string({ required: true, description: 'The port.' }),
  };

  static override flags = { memid: memidFlag, ...outputFlags };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Info);
    const info = await withControl((control) => control.info(args.name, flags.memid));
    if (flags.json) {
      const { infoJson } = await import('../../report/ctl-json.js');
      const { toJson } = await import('../../report/json.js');
      this.log(toJson(infoJson(info), 2));
    } else if (flags.plain || !process.stdout.isTTY) {
      for (const line of infoLines(info)) this.log(line);
    } else {
      const { fields } = await import('../../report/columns.js');
      const { infoTable } = await import('../../report/ctl-tables.js');
      for (const line of fields(infoTable(info))) this.log(line);
    }
  }
}
