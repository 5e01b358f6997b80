// SPDX-License-Identifier: BSD-2-Clause
import { Args, Flags } from '@oclif/core';

import { readWords } from '../argv.js';
import { BaseCommand } from '../base-command.js';
import { UsageError } from '../errors.js';
import { native } from '../native.js';
import {
  MOST_SNAPLEN,
  rotateCondition,
  rotates,
  rotation,
  stopCondition,
  stopping,
  type Condition,
} from '../options/capture.js';
import {
  captureBufferFlag,
  numberFlag,
  runFlags,
  secondsFlag,
  snaplenFlag,
} from '../options/flags.js';
import { captureReporter } from '../report/capture-choice.js';
import { standardOutput } from '../report/output.js';
import { runCapture } from '../session/capture.js';

const rotateFlag = Flags.custom<Condition>({ parse: async (text) => rotateCondition(text) });
const stopFlag = Flags.custom<Condition>({ parse: async (text) => stopCondition(text) });

export default class Capture extends BaseCommand {
  static override summary = 'Capture the frames of a port in pcapng files.';

  static override description =
    'A port that a program has open is watched, both ways, and never held up: frames that cannot be ' +
    'written fast enough are dropped here, and counted. Words after the options are a filter, as of tcpdump.';

  static override examples = [
    '<%= config.bin %> capture -i vale0:a/rt -w a.pcapng',
    '<%= config.bin %> capture -i vale0:a/rt -w - | tshark -r -',
    '<%= config.bin %> capture -i vale0:a -w dns.pcapng -c 100 udp port 53',
    '<%= config.bin %> capture -i vale0:a -w ring.pcapng -b filesize:100000 -b files:10',
  ];

  static override strict = false;

  static override args = {
    filter: Args.string({ description: 'A filter, in one or more words, instead of -f.' }),
  };

  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      required: true,
      summary:
        'Port to capture on. vale0:a/rt watches what vale0:a sends and receives, /r and /t one of the two; so does the plain name of a port that is open elsewhere. Any other port, such as vale0:x, is opened and receives what the switch sends there. A network interface is shared with the host. See vale(4).',
    }),
    write: Flags.string({
      char: 'w',
      helpValue: 'FILE',
      required: true,
      summary: 'File or FIFO to write to; - is standard output.',
    }),
    filter: Flags.string({
      char: 'f',
      helpValue: 'FILTER',
      summary:
        'Capture only what this filter lets through, as in udp port 53; see pcap-filter(7). Takes the libpcap of this machine.',
    }),
    snaplen: snaplenFlag('s'),
    count: numberFlag({ what: 'a number of frames, as in 1000 or 10M', suffix: true })({
      char: 'c',
      helpValue: 'COUNT',
      default: 0,
      summary: 'End after COUNT frames that passed the filter. 0 means no end.',
    }),
    duration: secondsFlag({
      helpValue: 'SECONDS',
      summary: 'End after that many seconds, fractions allowed.',
    }),
    autostop: stopFlag({
      char: 'a',
      helpValue: 'WHEN',
      multiple: true,
      summary:
        'When to end: duration:SECONDS, packets:N, filesize:KB (1000 bytes) of a single file, files:N with -b.',
    }),
    rotate: rotateFlag({
      char: 'b',
      helpValue: 'WHEN',
      multiple: true,
      summary:
        'Write several files, with a number and the time in their names, and begin the next one after filesize:KB, packets:N or duration:SECONDS, or when the clock shows a multiple of interval:SECONDS; files:N keeps the last N only.',
    }),
    buffer: captureBufferFlag('B'),
    quiet: Flags.boolean({ char: 'q', summary: 'Report nothing but errors.' }),
    ...runFlags,
  };

  async run(): Promise<void> {
    const { stop } = this;
    const { flags } = await this.parse(Capture);
    const words = readWords(this.argv, Capture.flags).args;
    if (flags.filter !== undefined && words.length > 0)
      throw new UsageError(
        `-f ${flags.filter} and ${words.join(' ')}: give the filter once, with -f or after the options`,
      );
    const files = rotation(flags.rotate ?? []);
    const several = rotates(files);
    if (flags.write === '-') {
      if (process.stdout.isTTY)
        throw new UsageError(
          '-w -: standard output is a terminal; write to a file, or into a program as in: -w - | tshark -r -',
        );
      if (flags.json || flags.ndjson)
        throw new UsageError('-w -: standard output is the capture, not --json or --ndjson too');
      if (several) throw new UsageError('-w -: standard output is not several files; leave out -b');
    }
    const output = standardOutput();
    await runCapture(
      {
        port: flags.interface,
        file: flags.write,
        filter: flags.filter ?? words.join(' '),
        snaplen: flags.snaplen === 0 ? MOST_SNAPLEN : flags.snaplen,
        rotation: files,
        stop: stopping(flags.autostop ?? [], {
          count: flags.count,
          duration: flags.duration ?? 0,
          several,
        }),
        buffer: flags.buffer,
        busy: flags.busy,
        spin: flags.spin,
      },
      native,
      await captureReporter(flags, output),
      output,
      stop,
    );
  }
}
