// SPDX-License-Identifier: BSD-2-Clause
import { Flags } from '@oclif/core';

import { readWords } from '../argv.js';
import { BaseCommand } from '../base-command.js';
import { native } from '../native.js';
import type { PktGenFunction } from '../native-types.js';
import {
  numberFlag,
  runFlags,
  secondsFlag,
  verboseFlag,
  wireFlags,
  wireOptions,
} from '../options/flags.js';
import { macRange, type MacRange } from '../options/mac.js';
import { FUNCTIONS } from '../options/pkt-gen.js';
import { ringConfig, type RingConfig } from '../options/ring-config.js';
import { standardOutput } from '../report/output.js';
import { pktGenReporter } from '../report/pkt-gen-choice.js';
import { runPktGen } from '../session/pkt-gen.js';

const macFlag = Flags.custom<MacRange>({ parse: async (text) => macRange(text) });
const ringsFlag = Flags.custom<RingConfig>({ parse: async (text) => ringConfig(text) });

/** oclif takes any character for a short flag; its types know letters only. */
const digit = (char: string) => char as 'x';

/** Bytes of FCS, preamble and gap that -B adds to each frame. */
const FRAMING = 24;

export default class PktGen extends BaseCommand {
  static override summary = 'Generate, receive and measure frames on a port.';

  static override examples = [
    '<%= config.bin %> pkt-gen -i vale-foo',
    '<%= config.bin %> pkt-gen -i vale-bar -f tx',
    '<%= config.bin %> pkt-gen -i vale0:a -f tx -n 1M -l 1514 --json',
    '<%= config.bin %> pkt-gen -i eth0 -f tx -P capture.pcap -R 10k',
    '<%= config.bin %> pkt-gen -i vale0:a -f ping -n 1000',
  ];

  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      required: true,
      summary:
        'Port to run on: a switch port such as vale0:a, vale-foo for port vale-foo of the switch vale, or a network interface. See vale(4).',
    }),
    function: Flags.custom<PktGenFunction>({ options: [...FUNCTIONS] })({
      char: 'f',
      helpValue: 'FUNCTION',
      default: 'rx',
      summary:
        'What to do: rx receives, tx sends, ping sends and times the answers, pong answers, txseq sends numbered frames, rxseq receives them and reports gaps and reordering.',
    }),
    count: numberFlag({ what: 'a number of frames, as in 1000 or 10M', suffix: true })({
      char: 'n',
      helpValue: 'COUNT',
      default: 0,
      summary:
        'Stop after COUNT frames over all threads; for ping, COUNT round trips. rx may take the rest of its last batch too. 0 means no end.',
    }),
    size: numberFlag({ what: 'a size from 16 to 65536', min: 16, max: 65536 })({
      char: 'l',
      helpValue: 'SIZE',
      multiple: true,
      summary:
        'Frame size in bytes without FCS, 16 to 65536. Given twice: random sizes, at least the second and below the first. Default: 60, or 62 with IPv6.',
    }),
    burst: numberFlag({ what: 'a burst from 0 to 65536', max: 65536 })({
      char: 'b',
      helpValue: 'FRAMES',
      summary: 'Most frames a sync. Default, and for 0: 512, or 1 for ping and pong.',
    }),
    ipv4: Flags.boolean({ char: digit('4'), summary: 'Build IPv4 frames. The default.' }),
    ipv6: Flags.boolean({
      char: digit('6'),
      summary: 'Build IPv6 frames. Without -4 and -6 the addresses decide.',
    }),
    source: Flags.string({
      char: 's',
      helpValue: 'ADDRESS',
      summary:
        'Source address[:port[-address:port]]; an IPv6 address with a port in brackets. A range is gone through frame by frame, ports first. Default: 10.0.0.1:1234.',
    }),
    destination: Flags.string({
      char: 'd',
      helpValue: 'ADDRESS',
      summary: 'Destination, written as the source. Default: 10.1.0.1:1234.',
    }),
    'source-mac': macFlag({
      char: 'S',
      helpValue: 'MAC',
      summary:
        "Source MAC address, or a range MAC-MAC. Default: the interface's, or zeros on a switch port.",
    }),
    'destination-mac': macFlag({
      char: 'D',
      helpValue: 'MAC',
      summary: 'Destination MAC address, or a range MAC-MAC. Default: ff:ff:ff:ff:ff:ff.',
    }),
    affinity: numberFlag({ what: 'a CPU number', max: 4095 })({
      char: 'a',
      helpValue: 'CPU',
      summary:
        'Run thread i on CPU (CPU + i) modulo the number of CPUs in use (-c). Default: anywhere.',
    }),
    cpus: numberFlag({ what: 'a number of CPUs', max: 4096 })({
      char: 'c',
      helpValue: 'CPUS',
      summary:
        'How many CPUs -a goes round. Default, and for 0: all that are online. Without -c the report says 1, as the reference does.',
    }),
    threads: numberFlag({ what: 'a number of threads from 1 to 1024', min: 1, max: 1024 })({
      char: 'p',
      helpValue: 'THREADS',
      default: 1,
      summary: 'Number of threads; with more than one each has one ring of the port for itself.',
    }),
    interval: numberFlag({
      what: 'milliseconds from 10 to 3600000',
      min: 10,
      max: 3_600_000,
    })({
      char: 'T',
      helpValue: 'MS',
      default: 1000,
      summary: 'Time between reports in milliseconds.',
    }),
    wait: numberFlag({ what: 'seconds from 0 to 3600', max: 3600 })({
      char: 'w',
      helpValue: 'SECONDS',
      summary:
        'Wait between opening the port and starting, for a link to come up. Default: 2, or 0 on a switch port.',
    }),
    rate: numberFlag({ what: 'frames per second, as in 1000 or 10k', max: 1e12, suffix: true })({
      char: 'R',
      helpValue: 'RATE',
      default: 0,
      summary: 'Most frames per second a thread sends. 0 means as fast as possible.',
    }),
    dump: Flags.boolean({ char: 'X', summary: 'Dump every frame on standard output.' }),
    header: Flags.string({
      char: 'H',
      options: ['0', '10', '12'],
      helpValue: 'BYTES',
      summary:
        "Set the port's virtio-net header length, 0, 10 or 12, and put a header of zeros before each frame. Default: the length the port has.",
    }),
    pcap: Flags.string({
      char: 'P',
      helpValue: 'FILE',
      summary:
        'tx: play the frames of a pcap or pcapng file in order, over and over unless -n ends it. What describes built frames (-l -4 -6 -s -d -S -D -z -Z) has no effect then.',
    }),
    'random-source': Flags.boolean({
      char: 'z',
      summary: 'Random source address and port in each frame.',
    }),
    'random-destination': Flags.boolean({
      char: 'Z',
      summary: 'Random destination address and port in each frame.',
    }),
    unscaled: Flags.boolean({
      char: 'N',
      summary: 'Print plain numbers, without K, M and G.',
    }),
    fragments: numberFlag({ what: 'a number of slots', max: 1e6 })({
      char: 'F',
      helpValue: 'SLOTS',
      default: 1,
      summary: 'Slots a frame is spread over, 1 to 63; other numbers are ignored.',
    }),
    'max-fragment': numberFlag({ what: 'bytes from 0 to 65536', max: 65536 })({
      char: 'M',
      helpValue: 'BYTES',
      default: 0,
      summary: 'Most bytes in one slot. 0 means as many as its buffer holds.',
    }),
    indirect: Flags.boolean({
      char: 'I',
      summary: 'tx: leave the payload outside the region and give its address (NS_INDIRECT).',
    }),
    'wait-once': Flags.boolean({
      char: 'W',
      summary: 'rx: end after one second without traffic, once there was some.',
    }),
    verbose: verboseFlag,
    rubbish: Flags.boolean({
      char: 'r',
      summary: 'tx: send what the buffers hold, without writing frames into them.',
    }),
    statistics: Flags.boolean({
      char: 'A',
      summary: 'Report mean and standard deviation of the rate over the last 15 intervals.',
    }),
    framing: Flags.boolean({
      char: 'B',
      summary: 'Count FCS, preamble and gap, 24 bytes a frame, in bit rates.',
    }),
    config: ringsFlag({
      char: 'C',
      helpValue: 'CONFIG',
      summary:
        'tx_slots[,rx_slots[,tx_rings[,rx_rings]]] of a port that is created by opening it. One number sets both slots, a third without a fourth both rings; 0 means the default.',
    }),
    options: numberFlag({ what: 'a sum of option bits from 0 to 8191', max: 8191 })({
      char: 'o',
      helpValue: 'BITS',
      default: 0,
      summary:
        'Sum of: 1 prefetch and 2 read the payload (rx), 4 or 8 write each frame anew (tx), 32 as -I, 64 as -X, 256 as -r, 512 as -z, 1024 as -Z, 2048 as -A.',
    }),
    ...wireFlags,
    ...runFlags,
    duration: secondsFlag({
      helpValue: 'SECONDS',
      summary: 'End after that many seconds, fractions allowed.',
    }),
    seed: numberFlag({ what: 'a whole number', max: Number.MAX_SAFE_INTEGER })({
      helpValue: 'NUMBER',
      summary: 'Start of the random sizes and addresses. Equal seeds give equal frames.',
    }),
  };

  async run(): Promise<void> {
    const { stop } = this;
    const { flags } = await this.parse(PktGen);
    const output = standardOutput();
    const words = readWords(this.argv, PktGen.flags).flags;
    const family = words.findLast(({ name }) => name === 'ipv4' || name === 'ipv6')?.name;
    let { fragments } = flags;
    if (fragments < 1 || fragments > 63) {
      output.err(`vale: -F ${fragments} ignored: a frame has 1 to 63 slots`);
      fragments = 1;
    }

    await runPktGen(
      {
        port: flags.interface,
        rings: flags.config,
        wire: wireOptions(flags),
        interval: flags.interval,
        wait: flags.wait,
        framing: flags.framing ? FRAMING : 0,
        scale: !flags.unscaled,
        flags: {
          function: flags.function,
          count: flags.count,
          size: flags.size ?? [],
          burst: flags.burst,
          family: family === undefined ? undefined : family === 'ipv6' ? 6 : 4,
          source: flags.source,
          destination: flags.destination,
          sourceMac: flags['source-mac'],
          destinationMac: flags['destination-mac'],
          affinity: flags.affinity,
          cpus: flags.cpus,
          threads: flags.threads,
          rate: flags.rate,
          dump: flags.dump,
          header: flags.header === undefined ? undefined : Number(flags.header),
          pcap: flags.pcap,
          randomSource: flags['random-source'],
          randomDestination: flags['random-destination'],
          fragments,
          maxFragment: flags['max-fragment'],
          indirect: flags.indirect,
          once: flags['wait-once'],
          verbose: words.filter(({ name }) => name === 'verbose').length,
          rubbish: flags.rubbish,
          options: flags.options,
          statistics: flags.statistics,
          duration: flags.duration ?? 0,
          seed: flags.seed,
          busy: flags.busy,
          spin: flags.spin,
        },
      },
      native,
      await pktGenReporter(flags, output),
      output,
      stop,
    );
  }
}
