// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { BaseCommand } from '../base-command.js';
import { UsageError } from '../errors.js';
import { native } from '../native.js';
import { MOST_SNAPLEN, rotation, stopping } from '../options/capture.js';
import { captureBufferFlag, snaplenFlag } from '../options/flags.js';
import { QuietCaptureReport } from '../report/capture.js';
import { configSentences, dltSentences, interfaceSentences } from '../report/extcap.js';
import { standardOutput } from '../report/output.js';
import { runCapture } from '../session/capture.js';
import { extcapInterfaces, installExtcap, uninstallExtcap } from '../session/extcap.js';

export default class Extcap extends BaseCommand {
  static override summary = 'Put ports into the interface lists of Wireshark and tshark.';

  static override description =
    'install writes a small program into the personal extcap folders of Wireshark, uninstall removes it; ' +
    'both say what they did and may be repeated. The options are what Wireshark asks that program.';

  static override examples = [
    '<%= config.bin %> extcap install',
    'tshark -D',
    'tshark -i vale0:a/rt',
    '<%= config.bin %> extcap uninstall',
  ];

  static override args = {
    action: Args.string({
      options: ['install', 'uninstall'],
      description: 'install or uninstall.',
    }),
  };

  static override flags = {
    'extcap-interfaces': Flags.boolean({ summary: 'List ports.' }),
    'extcap-version': Flags.string({
      helpValue: 'VERSION',
      summary: 'The version of Wireshark that asks.',
    }),
    'extcap-interface': Flags.string({
      helpValue: 'PORT',
      summary: 'Port that the other options are about, as vale capture -i takes it.',
    }),
    'extcap-dlts': Flags.boolean({ summary: 'List link types: Ethernet.' }),
    'extcap-config': Flags.boolean({ summary: 'List the options of a capture.' }),
    'extcap-capture-filter': Flags.string({
      helpValue: 'FILTER',
      summary: 'Filter of the capture; without --capture only whether it is one.',
    }),
    capture: Flags.boolean({ summary: 'Capture into --fifo until its reader has gone.' }),
    fifo: Flags.string({ helpValue: 'FILE', summary: 'FIFO or file to capture into.' }),
    snaplen: snaplenFlag(),
    buffer: captureBufferFlag(),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Extcap);
    if (args.action !== undefined) {
      this.say(args.action === 'install' ? installExtcap() : uninstallExtcap());
    } else if (flags['extcap-interfaces']) {
      this.say(interfaceSentences(this.config.version, extcapInterfaces()));
    } else if (flags['extcap-dlts']) {
      this.say(dltSentences());
    } else if (flags['extcap-config']) {
      this.say(configSentences());
    } else if (flags.capture) {
      await this.capture(flags['extcap-interface'], flags.fifo, flags);
    } else if (flags['extcap-capture-filter'] !== undefined) {
      const wrong = native().checkFilter(flags['extcap-capture-filter']);
      if (wrong !== '') this.log(wrong);
    } else {
      throw new UsageError('missing install or uninstall: see --help');
    }
  }

  private say(lines: readonly string[]): void {
    for (const line of lines) this.log(line);
  }

  private async capture(
    port: string | undefined,
    file: string | undefined,
    flags: { 'extcap-capture-filter'?: string | undefined; snaplen: number; buffer: number },
  ): Promise<void> {
    if (port === undefined) throw new UsageError('missing --extcap-interface PORT');
    if (file === undefined) throw new UsageError('missing --fifo FILE');
    await runCapture(
      {
        port,
        file,
        filter: flags['extcap-capture-filter'] ?? '',
        snaplen: flags.snaplen === 0 ? MOST_SNAPLEN : flags.snaplen,
        rotation: rotation([]),
        stop: stopping([], { count: 0, duration: 0, several: false }),
        buffer: flags.buffer,
        busy: false,
      },
      native,
      new QuietCaptureReport(),
      standardOutput(),
      this.stop,
    );
  }
}
