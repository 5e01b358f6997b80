// SPDX-License-Identifier: BSD-2-Clause
// A run for the eyes of whoever started it: one row an interval, a summary at the end.
import type { Interval, RoundTrips, Total } from '../session/meter.js';
import { Columns, fields, type Column } from './columns.js';
import { dropList, dropSum, UNKNOWN } from './drops.js';
import type { Output } from './output.js';
import { direction, type EngineMessage, type PktGenReporter, type PktGenRun } from './pkt-gen.js';
import { averageBatch, bitRate, frameRate } from './rates.js';
import { RateWindow } from './reference.js';
import * as units from './units.js';

/** Of a column of counts: a hundred million frames a second and more. */
const WIDTH = 11;

export class TerminalReport implements PktGenReporter {
  private run!: PktGenRun;
  private table!: Columns;
  private readonly window = new RateWindow();

  constructor(
    private readonly output: Output,
    private readonly heading: (text: string) => string,
  ) {}

  start(run: PktGenRun): void {
    this.run = run;
    const kind = direction(run.function);
    const verb = { sender: 'Sending on', receiver: 'Receiving from', other: `${run.function} on` }[
      kind
    ];
    const threads = run.threads === 1 ? '' : `, ${run.threads} threads`;
    this.output.out(
      `${verb} ${run.port} (${run.device}), ${run.queues} ${run.queues === 1 ? 'ring' : 'rings'}${threads}`,
    );
    if (kind === 'sender') this.output.out(run.route);
    this.table = new Columns(this.columns(), (line) => this.output.out(line), this.heading);
  }

  waiting(seconds: number): void {
    this.output.err(`Waiting ${seconds} s for the link; -w sets the time`);
  }

  message({ stream, text }: EngineMessage): void {
    this.output[stream](text);
  }

  interval(part: Interval): void {
    const { run } = this;
    const rate = frameRate(part);
    const { mean, deviation } = this.window.add(Math.round(rate));
    this.table.row([
      part.time.toFixed(1),
      scaled(rate, 1e6, run.scale),
      scaled(bitRate(part, run.framing), 1e9, run.scale),
      ...(run.statistics ? [scaled(mean, 1e6, run.scale), scaled(deviation, 1e6, run.scale)] : []),
      averageBatch(part).toFixed(1),
      ...this.counts(part),
    ]);
  }

  final(total: Total): void {
    const { run } = this;
    const receiver = direction(run.function) === 'receiver';
    const frames = (n: bigint) => `${units.count(n)} frames`;
    const both = `${frames(total.frames)}, ${units.count(total.bytes)} bytes`;
    const rows: [string, string][] = [];
    if (receiver) rows.push(['received', both]);
    else if (run.function === 'pong')
      rows.push(['received', both], ['answered', frames(total.accepted)]);
    else rows.push(['offered', both], ['accepted', frames(total.accepted)]);
    if (total.fate) {
      if (!receiver) rows.push(['delivered', `${units.count(total.fate.delivered)} copies`]);
      const drops = dropList(total.fate, { sends: !receiver, receives: receiver });
      const reasons = drops.map(([why, n]) => `${why} ${units.count(n)}`).join(', ');
      const lost = dropSum(drops);
      rows.push(['dropped', lost === 0n ? '0' : `${units.count(lost)}: ${reasons}`]);
    } else {
      rows.push(['dropped', `${UNKNOWN}: the kernel's netmap does not count`]);
    }
    if (total.seconds > 0)
      rows.push([
        'rate',
        `${units.packetRate(frameRate(total))}, ${units.bitRate(bitRate(total, run.framing))}, ` +
          `batch ${averageBatch(total).toFixed(1)}, over the ${total.seconds.toFixed(3)} s from first frame to last`,
      ]);
    if (total.roundTrips) rows.push(['round trip', tripText(total.roundTrips)]);
    this.output.out('');
    for (const line of fields(rows)) this.output.out(line);
  }

  private columns(): Column[] {
    const unit = (name: string, plain: string) => (this.run.scale ? name : plain);
    const wide = this.run.scale ? 7 : WIDTH;
    const column = (title: string, width = WIDTH): Column => ({ title, width });
    const own = {
      sender: [column('offered'), column('accepted'), column('delivered'), column('dropped')],
      receiver: [column('received'), column('dropped'), column('free slots', 10)],
      other:
        this.run.function === 'ping'
          ? [column('sent'), column('replies'), column('min us', 8), column('mean us', 8)]
          : [column('received'), column('answered')],
    }[direction(this.run.function)];
    return [
      column('time s', 6),
      column(unit('Mpps', 'pps'), wide),
      column(unit('Gbit/s', 'bit/s'), wide),
      ...(this.run.statistics ? [column('mean', wide), column('std', wide)] : []),
      column('batch', 6),
      ...own,
    ];
  }

  private counts(part: Interval): string[] {
    const { function: fn } = this.run;
    const n = units.count;
    if (fn === 'ping') {
      const trips = part.roundTrips;
      const us = (ns: bigint) => (Number(ns) / 1e3).toFixed(1);
      return [
        n(part.frames),
        n(trips?.count ?? 0n),
        trips ? us(trips.min) : '-',
        trips ? us(trips.sum / trips.count) : '-',
      ];
    }
    if (fn === 'pong') return [n(part.frames), n(part.accepted)];
    const { fate } = part;
    if (direction(fn) === 'sender')
      return [
        n(part.frames),
        n(part.accepted),
        ...(fate ? [n(fate.delivered), n(fate.copies - fate.delivered)] : ['-', '-']),
      ];
    const lost = fate && dropSum(dropList(fate, { sends: false, receives: true }));
    return [
      n(part.frames),
      lost === undefined ? '-' : n(lost),
      part.minSpace === undefined ? '-' : n(part.minSpace),
    ];
  }
}

function scaled(value: number, unit: number, scale: boolean): string {
  return scale ? (value / unit).toFixed(3) : value.toFixed(0);
}

function tripText(trips: RoundTrips): string {
  const mean = Number(trips.sum) / Number(trips.count);
  return `${units.count(trips.count)} replies, min ${Number(trips.min) / 1e3} us, mean ${(mean / 1e3).toFixed(3)} us`;
}
