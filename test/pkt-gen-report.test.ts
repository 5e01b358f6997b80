// SPDX-License-Identifier: BSD-2-Clause
// What the generator reports, in each of its forms, from given samples.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import type { Output } from '../src/report/output.js';
import { JsonReport } from '../src/report/pkt-gen-json.js';
import { PlainReport } from '../src/report/pkt-gen-plain.js';
import { TerminalReport } from '../src/report/pkt-gen-terminal.js';
import type { PktGenReporter, PktGenRun } from '../src/report/pkt-gen.js';
import { norm, RateWindow } from '../src/report/reference.js';
import { Meter } from '../src/session/meter.js';
import { violations } from './support/json-schema.js';
import { counters, noDrops, sample } from './support/samples.js';

const run: PktGenRun = {
  function: 'tx',
  port: 'vale0:a',
  typed: 'vale0:a',
  device: 'user',
  queues: 1,
  threads: 1,
  cpus: 1,
  route: '10.0.0.1 -> 10.1.0.1 (00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff)',
  size: 60,
  sizeMin: 0,
  burst: 512,
  count: 0,
  rate: 0,
  seed: 1,
  framing: 0,
  scale: true,
  statistics: false,
};

/** A run of two intervals of 1001095 µs, 260026 frames in the second; then the end. */
function replay(what: Partial<PktGenRun>, report: (output: Output) => PktGenReporter) {
  const lines: { stream: string; line: string }[] = [];
  const reporter = report({
    out: (line) => lines.push({ stream: 'out', line }),
    err: (line) => lines.push({ stream: 'err', line }),
  });
  reporter.start({ ...run, ...what });
  const step = 1_001_095_000n;
  const meter = new Meter(0n, counters({ txDelivered: 7n, txCopies: 9n }));
  const base = { events: 1000n, first: 1n, last: 1n };
  reporter.interval(
    meter.interval(
      step,
      [sample({ frames: 1000n, bytes: 60_000n, accepted: 1000n, ...base, minSpace: 5 })],
      counters({ txDelivered: 1007n, txCopies: 1009n }),
    ),
  );
  const end = sample({
    frames: 261_026n,
    bytes: 21_901_560n,
    events: 261_026n,
    accepted: 261_025n,
    minSpace: 1000,
    first: 1n,
    last: 2_000_000_001n,
  });
  const drops = { ...noDrops, no_destination: 3n, ring_full: 11n };
  const last = counters({ txDelivered: 261_007n, txCopies: 261_034n, drops });
  reporter.interval(meter.interval(2n * step, [end], last));
  reporter.final(meter.total(last));
  const of = (stream: string) => lines.filter((l) => l.stream === stream).map(({ line }) => line);
  return { out: of('out'), err: of('err') };
}

describe("not on a terminal: the reference's lines", () => {
  const plain = (what: Partial<PktGenRun>) =>
    replay(what, (output) => new PlainReport(output, () => 1_700_000_002_212.39));

  test('a sender', () => {
    const { out, err } = plain({});
    expect(out).toEqual([
      'Sending on vale0:a: 1 queues, 1 threads and 1 cpus.',
      run.route,
      'Sent 261026 packets 21901560 bytes 261026 events 83 bytes each in 2.00 seconds.',
      'Speed: 130.513 Kpps Bandwidth: 87.606 Mbps (raw 87.606 Mbps). Average batch: 1.00 pkts',
    ]);
    expect(err).toEqual([
      '002.212390 main_thread [2781] 999.000 pps (1.000 Kpkts 479.475 Kbps in 1001095 usec) 1.00 avg_batch 0 min_space',
      '002.212390 main_thread [2781] 259.742 Kpps (260.026 Kpkts 174.541 Mbps in 1001095 usec) 1.00 avg_batch 1000 min_space',
      '002.212390 main_thread [2821] offered 261026 accepted 261025 delivered 261000 dropped 25',
      '002.212390 main_thread [2822] drops: no_destination 3 at_receivers 22',
    ]);
  });

  test('a receiver', () => {
    const { out, err } = plain({ function: 'rx', queues: 2 });
    expect(out[0]).toBe('Receiving from vale0:a: 2 queues, 1 threads and 1 cpus.');
    expect(out[1]).toMatch(/^Received 261026 packets .* in 2\.00 seconds\.$/);
    expect(err.at(-2)).toContain('speed is measured from the first frame to the last');
    expect(err.at(-1)).toContain('drops: ring_full 11');
  });

  test('-N, -B and -A', () => {
    const { out, err } = plain({ scale: false, framing: 24, statistics: true });
    expect(err[1]).toContain(
      '259742 pps [avg/std 130371 /129372  pps](260026 pkts 224411741 bps in 1001095 usec)',
    );
    expect(out[3]).toBe(
      'Speed: 130513 pps Bandwidth: 87606240 bps (raw 112664736 bps). Average batch: 1.00 pkts',
    );
  });

  test('ping and pong have no summary', () => {
    expect(plain({ function: 'pong' }).out).toHaveLength(1);
  });

  test.each([
    ['eth0', 'netmap:eth0'],
    ['netmap:eth0', 'netmap:eth0'],
    ['eth0^', 'netmap:eth0^'],
    ['tap:t0', 'tap:t0'],
  ])('a wire opened as %s is shown as %s', (typed, shown) => {
    const { out } = plain({ typed, port: typed.replace(/^\w+:/, ''), device: 'packet' });
    expect(out[0]).toBe(`Sending on ${shown}: 1 queues, 1 threads and 1 cpus.`);
  });

  test('nothing sent', () => {
    const lines: string[] = [];
    const reporter = new PlainReport({ out: (line) => lines.push(line), err: () => undefined });
    reporter.start({ ...run, function: 'rx' });
    reporter.final(new Meter(0n, counters()).total(counters()));
    expect(lines[1]).toBe('Received nothing.');
  });

  test('round trips of ping', () => {
    const lines: string[] = [];
    const reporter = new PlainReport({ out: () => undefined, err: (line) => lines.push(line) });
    reporter.start({ ...run, function: 'ping' });
    const meter = new Meter(0n, counters());
    const rttHistogram = new BigUint64Array(64);
    rttHistogram[9] = 2n;
    rttHistogram[11] = 1n;
    const trips = { rttCount: 3n, rttMin: 600n, rttSum: 3600n, rttHistogram };
    reporter.interval(meter.interval(10n ** 9n, [sample({ frames: 3n, ...trips })], counters()));
    reporter.interval(meter.interval(2n * 10n ** 9n, [sample({ frames: 3n })], counters()));
    reporter.final(meter.total(counters()));
    expect(lines[0]).toContain('count 3 RTT: min 600 av 1200 ns');
    expect(lines[1]).toContain('k: 512 .. 2048\n\t     2     0     1');
    expect(lines[4]).toContain('RTT over 3 packets: min 600 av 1200 ns');
  });

  test.each([
    [0, '0.000 '],
    [999, '999.000 '],
    [1000, '1.000 K'],
    [259742, '259.742 K'],
    [2.884e9, '2.884 G'],
    [5e15, '5000.000 T'],
  ])('norm(%d)', (value, text) => expect(norm(value, true)).toBe(text));

  test('-A looks at 15 rates and leaves out idle ones', () => {
    const window = new RateWindow();
    expect(window.add(0)).toEqual({ mean: 0, deviation: 0 });
    for (let i = 0; i < 14; i++) window.add(100);
    expect(window.add(100)).toEqual({ mean: 100, deviation: 0 });
    expect(window.add(400)).toEqual({ mean: 120, deviation: expect.closeTo(74.83, 2) });
  });
});

describe('on a terminal: aligned columns', () => {
  test('offered, accepted, delivered and dropped side by side', () => {
    const { out, err } = replay({}, (output) => new TerminalReport(output, (text) => text));
    expect(out).toMatchInlineSnapshot(`
      [
        "Sending on vale0:a (user), 1 ring",
        "10.0.0.1 -> 10.1.0.1 (00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff)",
        "time s    Mpps  Gbit/s  batch     offered    accepted   delivered     dropped",
        "   1.0   0.001   0.000    1.0       1,000       1,000       1,000           0",
        "   2.0   0.260   0.175    1.0     260,026     260,025     260,000          25",
        "",
        "offered    261,026 frames, 21,901,560 bytes",
        "accepted   261,025 frames",
        "delivered  261,000 copies",
        "dropped    25: no_destination 3, at_receivers 22",
        "rate       130.513 Kpps, 87.606 Mbit/s, batch 1.0, over the 2.000 s from first frame to last",
      ]
    `);
    expect(err).toEqual([]);
  });

  test('a receiver sees what it got and what its rings refused', () => {
    const { out } = replay(
      { function: 'rx' },
      (output) => new TerminalReport(output, (text) => text),
    );
    expect(out).toMatchInlineSnapshot(`
      [
        "Receiving from vale0:a (user), 1 ring",
        "time s    Mpps  Gbit/s  batch    received     dropped free slots",
        "   1.0   0.001   0.000    1.0       1,000           0          5",
        "   2.0   0.260   0.175    1.0     260,026          11      1,000",
        "",
        "received  261,026 frames, 21,901,560 bytes",
        "dropped   11: ring_full 11",
        "rate      130.513 Kpps, 87.606 Mbit/s, batch 1.0, over the 2.000 s from first frame to last",
      ]
    `);
  });
});

describe('JSON', () => {
  const schema = JSON.parse(readFileSync(join(packageRoot(), 'docs/schema/pkt-gen.json'), 'utf8'));
  const objects = (lines: boolean) =>
    replay({}, (output) => new JsonReport(output, lines)).out.map(
      (line) => JSON.parse(line) as Record<string, unknown>,
    );

  test('one object at the end', () => {
    const all = objects(false);
    expect(all).toHaveLength(1);
    expect(all[0]).toMatchObject({
      event: 'final',
      tool: 'pkt-gen',
      port: 'vale0:a',
      seconds: 2,
      received: 0,
      offered: 261026,
      accepted: 261025,
      copies: 261025,
      delivered: 261000,
      dropped: 25,
      frames_per_second: 130513,
      drops: { no_destination: 3, ring_full: 11, runt: 0 },
      round_trips: null,
    });
  });

  test('one line an interval, then the end', () => {
    const all = objects(true);
    for (const object of all)
      expect(violations(object, schema, String(object['event']))).toEqual([]);
    expect(all.map(({ event }) => event)).toEqual(['interval', 'interval', 'final']);
    expect(all[1]).toMatchObject({ time: 2.00219, seconds: 1.001095, offered: 260026 });
    expect(all[1]).toMatchObject({ delivered: 260000, min_space: 1000 });
  });

  test('64-bit counters are exact', () => {
    const lines: string[] = [];
    const reporter = new JsonReport(
      { out: (line) => lines.push(line), err: () => undefined },
      false,
    );
    reporter.start(run);
    const meter = new Meter(0n, counters());
    meter.interval(1n, [sample({ frames: 2n ** 63n + 1n })], counters());
    reporter.final(meter.total(counters()));
    expect(lines[0]).toContain('"offered":9223372036854775809,');
  });
});
