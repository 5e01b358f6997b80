// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { readWords } from '../argv.js';
import { BaseCommand } from '../base-command.js';
import { native } from '../native.js';
import { bridgePorts, withinOr } from '../options/bridge.js';
import { numberFlag, runFlags, verboseFlag, wireFlags, wireOptions } from '../options/flags.js';
import { integer } from '../options/number.js';
import { bridgeReporter } from '../report/bridge-choice.js';
import { standardOutput } from '../report/output.js';
import { runBridge } from '../session/bridge.js';

const BURST = { what: 'a number of frames from 1 to 8192' };

export default class Bridge extends BaseCommand {
  static override summary = 'Forward frames between two ports, both ways.';

  static override examples = [
    '<%= config.bin %> bridge -i vale0:a -i vale1:b',
    '<%= config.bin %> bridge -i em0 -i vale0',
    '<%= config.bin %> bridge vale0:a vale1:b 256',
    '<%= config.bin %> bridge -i em0',
    '<%= config.bin %> bridge -L -i vale0:echo',
  ];

  static override args = {
    a: Args.string({ description: 'The first port, instead of -i.' }),
    b: Args.string({ description: 'The second port, instead of a second -i.' }),
    burst: Args.custom<number>({ parse: async (text) => integer(text, BURST) })({
      description: 'The same as -b.',
    }),
  };

  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      summary:
        'Port to bridge, given twice: a switch port such as vale0:a or a network interface. Given once: that interface and its host stack, or with -L the port and itself. See vale(4).',
    }),
    burst: numberFlag(BURST)({
      char: 'b',
      helpValue: 'FRAMES',
      default: 1024,
      summary: 'Most frames moved at a time, 1 to 8192; other numbers mean 1024.',
    }),
    wait: numberFlag({ what: 'a number of seconds' })({
      char: 'w',
      helpValue: 'SECONDS',
      summary:
        'Wait between opening the ports and starting, for links to come up; above 100 means 4. Default: 4, or 0 between switch ports.',
    }),
    copy: Flags.boolean({
      char: 'c',
      summary: 'Copy frames even where both ports share memory and could swap buffers.',
    }),
    loopback: Flags.boolean({
      char: 'L',
      summary: 'With one port: send what it receives back out of it.',
    }),
    verbose: verboseFlag,
    ...wireFlags,
    ...runFlags,
  };

  async run(): Promise<void> {
    const { stop } = this;
    const { args, flags } = await this.parse(Bridge);
    const output = standardOutput();
    const words = readWords(this.argv, Bridge.flags).flags;
    const warn = (line: string) => output.err(`vale: ${line}`);
    await runBridge(
      {
        ...bridgePorts(flags.interface ?? [], args.a, args.b, flags.loopback, warn),
        burst: withinOr(args.burst ?? flags.burst, 1, 8192, 1024, '-b', warn),
        wait: flags.wait === undefined ? undefined : withinOr(flags.wait, 0, 100, 4, '-w', warn),
        zeroCopy: !flags.copy,
        loopback: flags.loopback,
        busy: flags.busy,
        wire: wireOptions(flags),
        spin: flags.spin,
        verbose: words.filter(({ name }) => name === 'verbose').length,
      },
      native,
      await bridgeReporter(flags, output),
      output,
      stop,
    );
  }
}
