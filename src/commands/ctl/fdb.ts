// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../../base-command.js';
import { outputFlags } from '../../options/ctl.js';
import { fdbLines } from '../../report/ctl-plain.js';
import { withControl } from '../../session/control.js';

export default class Fdb extends BaseCommand {
  static override summary = 'Show the forwarding database: which MAC address is behind which port.';

  static override examples = [
    '<%= config.bin %> ctl fdb show vale0',
    '<%= config.bin %> ctl fdb --json',
  ];

  static override args = {
    switch: Args.string({ description: 'The switch. Without it, all of them.' }),
  };

  static override flags = outputFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Fdb);
    const tables = await withControl((control) => control.fdbShow(args.switch));
    if (flags.json) {
      const { fdbJson } = await import('../../report/ctl-json.js');
      const { toJson } = await import('../../report/json.js');
      this.log(toJson(fdbJson(tables), 2));
    } else if (flags.plain || !process.stdout.isTTY) {
      for (const line of fdbLines(tables)) this.log(line);
    } else if (tables.some(({ rows }) => rows.length > 0)) {
      const { fdbTable } = await import('../../report/ctl-tables.js');
      const { terminalLook } = await import('../../report/look.js');
      for (const line of fdbTable(tables, await terminalLook())) this.log(line);
    } else {
      this.logToStderr('no address has been learned');
    }
  }
}
