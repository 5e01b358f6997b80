// SPDX-License-Identifier: BSD-2-Clause
// A run for scripts: the reference's lines on standard error, one line an interval on standard output.
import type { Interval, Total } from '../session/meter.js';
import { directionName, type BridgeReporter, type BridgeRun, type Directions } from './bridge.js';
import type { EngineMessage } from './pkt-gen.js';
import { dropList, dropSum, UNKNOWN } from './drops.js';
import type { Output } from './output.js';
import { bitRate, frameRate } from './rates.js';
import { logPrefix, norm, preciseUnixMs } from './reference.js';

const BOTH = { sends: true, receives: true };

export class PlainBridgeReport implements BridgeReporter {
  readonly tellsIdle = true;
  private run!: BridgeRun;

  constructor(
    private readonly output: Output,
    private readonly unixMs: () => number = preciseUnixMs,
  ) {}

  opened(run: BridgeRun): void {
    this.run = run;
    this.log(307, `------- zerocopy ${run.zeroCopy ? '' : 'NOT '}supported`);
  }

  waiting(seconds: number): void {
    this.log(314, `Wait ${seconds} secs for link to come up...`);
  }

  ready(): void {
    const [a, b] = this.run.ends.map(
      ({ name, firstRx, rxRings }) => `${name} 0x${firstRx.toString(16)}/${rxRings}`,
    );
    this.log(316, `Ready to go, ${a} <-> ${b}.`);
  }

  message({ text }: EngineMessage): void {
    this.log(350, text);
  }

  interval(parts: Directions<Interval>): void {
    const lines = parts.map(
      (part, i) =>
        `${directionName(this.run, i)} ${norm(frameRate(part), true)}pps ` +
        `${norm(bitRate(part, 0), true)}bps ${part.fate ? dropSum(dropList(part.fate, BOTH)) : UNKNOWN} drops`,
    );
    this.output.out(lines.join(', '));
  }

  final(parts: Directions<Total>): void {
    for (const [i, part] of parts.entries()) {
      const drops = part.fate ? dropList(part.fate, BOTH) : [];
      const reasons = drops.map(([why, n]) => ` ${why} ${n}`).join('');
      this.output.out(
        `${directionName(this.run, i)}: forwarded ${part.frames} packets ${part.bytes} bytes, ` +
          `accepted ${part.accepted} delivered ${part.fate?.delivered ?? UNKNOWN}, ` +
          `drops ${part.fate ? dropSum(drops) : UNKNOWN}${reasons && `:${reasons}`}`,
      );
    }
  }

  private log(line: number, text: string): void {
    this.output.err(`${logPrefix(this.unixMs(), 'main', line)}${text}`);
  }
}
