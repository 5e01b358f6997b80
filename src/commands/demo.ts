// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { BaseCommand } from '../base-command.js';
import { UsageError } from '../errors.js';
import { numberFlag } from '../options/flags.js';

export default class Demo extends BaseCommand {
  static override summary = 'Boot two virtual machines on one switch and show what passes.';

  static override description =
    "vm boots two, lets them ping each other and send TCP both ways, and prints the switch's rates meanwhile. image only builds what they boot, of Debian's own packages, and prints where it is. Neither needs root; QEMU emulates the machines where the kernel cannot run them.";

  static override examples = [
    '<%= config.bin %> demo vm',
    '<%= config.bin %> demo vm --seconds 10',
    '<%= config.bin %> demo image --rebuild',
  ];

  static override args = {
    what: Args.string({
      required: true,
      options: ['vm', 'image'],
      description: 'vm, or image.',
    }),
  };

  static override flags = {
    seconds: numberFlag({ what: 'seconds from 1 to 3600', min: 1, max: 3600 })({
      helpValue: 'SECONDS',
      default: 5,
      summary: 'How long TCP is sent each way.',
    }),
    rebuild: Flags.boolean({
      summary: 'Download the packages and build the image again, as when the kernel has an update.',
    }),
  };

  async run(): Promise<void> {
    const { args, flags, metadata } = await this.parse(Demo);
    if (args.what === 'image' && metadata.flags['seconds']?.setFromDefault !== true)
      throw new UsageError('--seconds goes with vm, not with image: leave it out');
    const { demonstrate, theImage } = await import('../session/demo-vm.js');
    const say = (line: string): void => this.log(line);
    if (args.what === 'image') {
      const { kernel, initramfs } = await theImage(flags.rebuild, (line) => this.logToStderr(line));
      say(kernel);
      say(initramfs);
      return;
    }
    await demonstrate({ seconds: flags.seconds, rebuild: flags.rebuild, say });
  }
}
