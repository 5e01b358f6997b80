// SPDX-License-Identifier: BSD-2-Clause
import { BaseCommand } from '../base-command.js';
import { ExitCode } from '../errors.js';
import { outputFlags } from '../options/ctl.js';
import { doctorJson, doctorLines, doctorTable } from '../report/doctor.js';
import { examine } from '../session/doctor.js';

export default class Doctor extends BaseCommand {
  static override summary = 'Show what this machine allows, and what mends the rest.';

  static override description =
    'Changes nothing. Exit code 3 when something is missing that switch ports need; what only wires need does not count.';

  static override examples = ['<%= config.bin %> doctor', '<%= config.bin %> doctor --json'];

  static override flags = outputFlags;

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor);
    const checks = examine();
    const report = doctorJson(checks);
    if (flags.json) {
      const { toJson } = await import('../report/json.js');
      this.log(toJson(report, 2));
    } else if (flags.plain || !process.stdout.isTTY) {
      for (const line of doctorLines(checks)) this.log(line);
    } else {
      const { terminalLook } = await import('../report/look.js');
      for (const line of doctorTable(checks, await terminalLook())) this.log(line);
    }
    if (!report.ready) this.exit(ExitCode.Expectation);
  }
}
