// SPDX-License-Identifier: BSD-2-Clause
// A run for scripts: the lines of the reference's generator.
import type { PktGenFunction } from '../native-types.js';
import type { Interval, RoundTrips, Total } from '../session/meter.js';
import { dropList, UNKNOWN } from './drops.js';
import { logPrefix, norm, preciseUnixMs, RateWindow } from './reference.js';
import type { Output } from './output.js';
import { direction, type EngineMessage, type PktGenReporter, type PktGenRun } from './pkt-gen.js';
import { averageBatch, bitRate } from './rates.js';

/** A sender never looks for the least space; the reference's counter then stands at this. */
const NO_SPACE_SEEN = 99999;

/** What the reference's threads are called in its messages. */
const BODY: Record<PktGenFunction, string> = {
  rx: 'receiver_body',
  tx: 'sender_body',
  ping: 'ping_body',
  pong: 'pong_body',
  txseq: 'txseq_body',
  rxseq: 'rxseq_body',
};

/** An interface as the reference shows it: as typed, behind a prefix. */
const withPrefix = (typed: string): string =>
  /^(netmap|tap):/.test(typed) ? typed : `netmap:${typed}`;

/** The reference's lines, for scripts: intervals on stderr, beginning and end on stdout. */
export class PlainReport implements PktGenReporter {
  private run!: PktGenRun;
  private first = true;
  private readonly window = new RateWindow();

  constructor(
    private readonly output: Output,
    private readonly unixMs: () => number = preciseUnixMs,
  ) {}

  start(run: PktGenRun): void {
    this.run = run;
    const kind = direction(run.function);
    const verb = { sender: 'Sending on', receiver: 'Receiving from', other: 'Working on' }[kind];
    const port = /^vale/.test(run.port) || run.device === 'user' ? run.port : withPrefix(run.typed);
    this.output.out(
      `${verb} ${port}: ${run.queues} queues, ${run.threads} threads and ${run.cpus} cpus.`,
    );
    if (kind === 'sender') this.output.out(run.route);
  }

  waiting(seconds: number): void {
    this.log('start_threads', 2585, `Wait ${seconds} secs for phy reset`);
  }

  message({ stream, text }: EngineMessage): void {
    if (stream === 'out') this.output.out(text);
    else this.log(BODY[this.run.function], 1500, text);
  }

  interval(part: Interval): void {
    if (this.run.function === 'ping' && part.roundTrips) this.roundTrips(part.roundTrips);
    const { scale } = this.run;
    const us = Math.round(part.seconds * 1e6);
    const pps = Math.floor((Number(part.frames) * 1e6 + us / 2) / us);
    let statistics = '';
    if (this.run.statistics) {
      const { mean, deviation } = this.window.add(pps);
      statistics = `[avg/std ${norm(mean, scale)}/${norm(deviation, scale)} pps]`;
    }
    const space = this.first ? 0 : (part.minSpace ?? NO_SPACE_SEEN);
    this.first = false;
    this.log(
      'main_thread',
      2781,
      `${norm(pps, scale)}pps ${statistics}(${norm(Number(part.frames), scale)}pkts ` +
        `${norm(bitRate(part, this.run.framing), scale)}bps in ${us} usec) ` +
        `${averageBatch(part).toFixed(2)} avg_batch ${space} min_space`,
    );
  }

  final(total: Total): void {
    const kind = direction(this.run.function);
    if (kind !== 'other') this.summary(total, kind === 'sender' ? 'Sent' : 'Received');
    const trips = total.roundTrips;
    if (this.run.function === 'ping' && trips)
      this.log(
        'ping_body',
        1443,
        `RTT over ${trips.count} packets: min ${trips.min} av ${trips.sum / trips.count} ns`,
      );
    this.account(total, kind === 'receiver');
  }

  private summary(total: Total, verb: string): void {
    if (total.frames === 0n) {
      this.output.out(`${verb} nothing.`);
      return;
    }
    const { scale, framing } = this.run;
    const span = { ...total, seconds: total.seconds > 0 ? total.seconds : 1e-6 };
    this.output.out(
      `${verb} ${total.frames} packets ${total.bytes} bytes ${total.events} events ` +
        `${total.bytes / total.frames} bytes each in ${total.seconds.toFixed(2)} seconds.`,
    );
    this.output.out(
      `Speed: ${norm(Number(total.frames) / span.seconds, scale)}pps ` +
        `Bandwidth: ${norm(bitRate(span, 0), scale)}bps ` +
        `(raw ${norm(bitRate(span, framing), scale)}bps). ` +
        `Average batch: ${averageBatch(total).toFixed(2)} pkts`,
    );
  }

  /** What the reference cannot say: where the frames went. */
  private account(total: Total, receiver: boolean): void {
    if (receiver) {
      if (total.frames > 0n)
        this.log('main_thread', 2820, 'speed is measured from the first frame to the last');
    } else {
      const delivered = total.fate?.delivered ?? UNKNOWN;
      const lost = total.fate ? total.fate.copies - total.fate.delivered : UNKNOWN;
      this.log(
        'main_thread',
        2821,
        `offered ${total.frames} accepted ${total.accepted} delivered ${delivered} dropped ${lost}`,
      );
    }
    if (total.fate === undefined) return;
    const drops = dropList(total.fate, { sends: !receiver, receives: receiver });
    if (drops.length > 0)
      this.log('main_thread', 2822, `drops: ${drops.map(([why, n]) => `${why} ${n}`).join(' ')}`);
  }

  private roundTrips(trips: RoundTrips): void {
    this.log(
      'ping_body',
      1400,
      `count ${trips.count} RTT: min ${trips.min} av ${trips.sum / trips.count} ns`,
    );
    const low = trips.histogram.findIndex((n) => n > 0n);
    const high = trips.histogram.findLastIndex((n) => n > 0n);
    if (low < 0) return;
    const counts = trips.histogram.slice(low, high + 1);
    this.log(
      'ping_body',
      1412,
      `k: ${2n ** BigInt(low)} .. ${2n ** BigInt(high)}\n\t${counts.map((n) => ` ${String(n).padStart(5)}`).join('')}`,
    );
  }

  private log(where: string, line: number, text: string): void {
    this.output.err(`${logPrefix(this.unixMs(), where, line)}${text}`);
  }
}
