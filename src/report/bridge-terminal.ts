// SPDX-License-Identifier: BSD-2-Clause
// A run for the eyes of whoever started it: one row an interval, a summary at the end.
import type { Interval, Total } from '../session/meter.js';
import { directionName, type BridgeReporter, type BridgeRun, type Directions } from './bridge.js';
import type { EngineMessage } from './pkt-gen.js';
import { Columns, fields } from './columns.js';
import { dropList, dropSum, UNKNOWN } from './drops.js';
import type { Output } from './output.js';
import { bitRate, frameRate } from './rates.js';
import * as units from './units.js';

const BOTH = { sends: true, receives: true };

export class TerminalBridgeReport implements BridgeReporter {
  readonly tellsIdle = false;
  private run!: BridgeRun;
  private table!: Columns;

  constructor(
    private readonly output: Output,
    private readonly heading: (text: string) => string,
  ) {}

  opened(run: BridgeRun): void {
    this.run = run;
    const [a, b] = run.ends;
    const how = run.zeroCopy ? 'swapping buffers' : 'copying';
    const loop = a.name === b.name;
    this.output.out(
      loop
        ? `Bridging A = ${a.name} (${a.device}) to itself, ${how}`
        : `Bridging A = ${a.name} (${a.device}) and B = ${b.name} (${b.device}), ${how}`,
    );
    const columns = ['A to B', 'B to A'].slice(0, loop ? 1 : 2).flatMap((way) => [
      { title: `${loop ? 'A to A' : way} Mpps`, width: 11 },
      { title: 'Gbit/s', width: 8 },
      { title: 'drops', width: 9 },
    ]);
    this.table = new Columns(
      [{ title: 'time s', width: 7 }, ...columns],
      (line) => this.output.out(line),
      this.heading,
    );
  }

  waiting(seconds: number): void {
    if (seconds > 0) this.output.err(`Waiting ${seconds} s for the link; -w sets the time`);
  }

  ready(): void {}

  message({ stream, text }: EngineMessage): void {
    this.output[stream](text);
  }

  interval(parts: Directions<Interval>): void {
    this.table.row([
      (parts[0]?.time ?? 0).toFixed(1),
      ...parts.flatMap((part) => [
        (frameRate(part) / 1e6).toFixed(3),
        (bitRate(part, 0) / 1e9).toFixed(3),
        part.fate ? units.count(dropSum(dropList(part.fate, BOTH))) : '-',
      ]),
    ]);
  }

  final(parts: Directions<Total>): void {
    const rows = parts.flatMap((part, i): [string, string][] => {
      const drops = part.fate ? dropList(part.fate, BOTH) : [];
      const reasons = drops.map(([why, n]) => `${why} ${units.count(n)}`).join(', ');
      return [
        [
          directionName(this.run, i),
          `${units.count(part.frames)} frames, ${units.count(part.bytes)} bytes; ` +
            (part.fate
              ? `delivered ${units.count(part.fate.delivered)} copies; dropped ${units.count(dropSum(drops))}${reasons && `: ${reasons}`}`
              : `delivered and dropped ${UNKNOWN}: the kernel's netmap does not count`),
        ],
      ];
    });
    this.output.out('');
    for (const line of fields(rows)) this.output.out(line);
  }
}
