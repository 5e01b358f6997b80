// SPDX-License-Identifier: BSD-2-Clause
// The bridge: what its words mean, what it reports, and real runs between processes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { bridgePorts, withinOr } from '../src/options/bridge.js';
import { JsonBridgeReport } from '../src/report/bridge-json.js';
import { PlainBridgeReport } from '../src/report/bridge-plain.js';
import { TerminalBridgeReport } from '../src/report/bridge-terminal.js';
import type { BridgeReporter, BridgeRun } from '../src/report/bridge.js';
import type { Output } from '../src/report/output.js';
import { Meter } from '../src/session/meter.js';
import { violations } from './support/json-schema.js';
import { counters, noDrops, sample } from './support/samples.js';
import { counted, freshSwitch, onKernel, Vale, vale } from './support/vale.js';

describe('the two ports', () => {
  const read = (options: string[], a?: string, b?: string, loopback = false) => {
    const warnings: string[] = [];
    const ports = bridgePorts(options, a, b, loopback, (line) => warnings.push(line));
    return [ports.a, ports.b, ...warnings];
  };

  test.each<[string[], string | undefined, string | undefined, boolean, string[]]>([
    [['vale0:a', 'vale1:b'], undefined, undefined, false, ['vale0:a', 'vale1:b']],
    [[], 'vale0:a', 'vale1:b', false, ['vale0:a', 'vale1:b']],
    [['x', 'vale1:b'], 'vale0:a', undefined, false, ['vale0:a', 'vale1:b']],
    [['em0'], undefined, undefined, false, ['em0^', 'em0']],
    [['em0', 'em0'], undefined, undefined, false, ['em0^', 'em0']],
    [['vale0:a'], undefined, undefined, true, ['vale0:a', 'vale0:a']],
  ])('-i %j, words %s %s, loopback %s', (options, a, b, loopback, means) => {
    expect(read(options, a, b, loopback)).toEqual(means);
  });

  test('none, or too many', () => {
    expect(() => read([])).toThrow('missing ports: give two, as in -i vale0:a -i vale1:b');
    expect(read(['a', 'b', 'c'])).toEqual(['a', 'b', '-i c ignored: a bridge has two ports']);
    expect(read(['a', 'b'], undefined, undefined, true)).toHaveLength(3);
  });

  test('a burst out of range is the default, and says so', () => {
    const warnings: string[] = [];
    const burst = (n: number) => withinOr(n, 1, 8192, 1024, '-b', (line) => warnings.push(line));
    expect([burst(1), burst(8192), burst(0), burst(8193)]).toEqual([1, 8192, 1024, 1024]);
    expect(warnings).toEqual([
      '-b 0 is not from 1 to 8192: using 1024',
      '-b 8193 is not from 1 to 8192: using 1024',
    ]);
  });
});

const run: BridgeRun = {
  ends: [
    { name: 'vale0:x', device: 'user', firstRx: 0, rxRings: 1 },
    { name: 'vale1:y', device: 'user', firstRx: 0, rxRings: 2 },
  ],
  zeroCopy: false,
  burst: 1024,
};

/** One second: a million frames from x to y with losses on both sides, nothing back. */
function replay(report: (output: Output) => BridgeReporter, loopback = false) {
  const out: string[] = [];
  const err: string[] = [];
  const reporter = report({ out: (line) => out.push(line), err: (line) => err.push(line) });
  const [x] = run.ends;
  reporter.opened(loopback ? { ...run, ends: [x, x], zeroCopy: true } : run);
  reporter.waiting(4);
  reporter.ready();
  const there = sample({
    frames: 10n ** 6n,
    bytes: 6n * 10n ** 7n,
    events: 1000n,
    accepted: 10n ** 6n,
  });
  const drops = { ...noDrops, ring_full: 5n, no_destination: 2n };
  const after = counters({ txCopies: 10n ** 6n, txDelivered: 999_990n, drops });
  const moved = { ...there, first: 1n, last: 500_000_001n };
  const ways = loopback ? [moved] : [moved, sample()];
  const meters = ways.map(() => new Meter(0n, counters()));
  const now = (i: number) => (i === 0 ? after : counters());
  reporter.interval(meters.map((meter, i) => meter.interval(10n ** 9n, [ways[i]!], now(i))));
  reporter.final(meters.map((meter, i) => meter.total(now(i))));
  return { out, err };
}

describe('reports', () => {
  test("not on a terminal: the reference's lines, and one a second", () => {
    const { out, err } = replay((output) => new PlainBridgeReport(output, () => 1_700_000_012_345));
    expect(err).toEqual([
      '012.345000 main [307] ------- zerocopy NOT supported',
      '012.345000 main [314] Wait 4 secs for link to come up...',
      '012.345000 main [316] Ready to go, vale0:x 0x0/1 <-> vale1:y 0x0/2.',
    ]);
    expect(out).toEqual([
      'vale0:x -> vale1:y 1.000 Mpps 480.000 Mbps 15 drops, vale1:y -> vale0:x 0.000 pps 0.000 bps 0 drops',
      'vale0:x -> vale1:y: forwarded 1000000 packets 60000000 bytes, accepted 1000000 delivered 999990, drops 15: no_destination 2 ring_full 5 at_receivers 8',
      'vale1:y -> vale0:x: forwarded 0 packets 0 bytes, accepted 0 delivered 0, drops 0',
    ]);
  });

  test('on a terminal: aligned columns', () => {
    const { out } = replay((output) => new TerminalBridgeReport(output, (text) => text));
    expect(out).toMatchInlineSnapshot(`
      [
        "Bridging A = vale0:x (user) and B = vale1:y (user), copying",
        " time s A to B Mpps   Gbit/s     drops B to A Mpps   Gbit/s     drops",
        "    1.0       1.000    0.480        15       0.000    0.000         0",
        "",
        "vale0:x -> vale1:y  1,000,000 frames, 60,000,000 bytes; delivered 999,990 copies; dropped 15: no_destination 2, ring_full 5, at_receivers 8",
        "vale1:y -> vale0:x  0 frames, 0 bytes; delivered 0 copies; dropped 0",
      ]
    `);
  });

  test('loopback has one direction', () => {
    const { out } = replay((output) => new TerminalBridgeReport(output, (text) => text), true);
    expect(out[0]).toBe('Bridging A = vale0:x (user) to itself, swapping buffers');
    expect(out).toHaveLength(5);
  });

  test('JSON is as docs/schema/bridge.json says', () => {
    const file = join(packageRoot(), 'docs/schema/bridge.json');
    const schema = JSON.parse(readFileSync(file, 'utf8'));
    const lines = replay((output) => new JsonBridgeReport(output, true)).out;
    const objects = lines.map(
      (line) => JSON.parse(line) as { event: string; directions: object[] },
    );
    expect(objects.map(({ event }) => event)).toEqual(['interval', 'final']);
    for (const object of objects) expect(violations(object, schema, object.event)).toEqual([]);
    expect(objects[1]?.directions[0]).toMatchObject({
      from: 'vale0:x',
      to: 'vale1:y',
      frames: 1e6,
      frames_per_second: 2e6,
      dropped: 10,
      dropped_at_receivers: 8,
      drops: { no_destination: 2, ring_full: 5 },
    });
  });
});

describe('between real processes', () => {
  const schema = JSON.parse(readFileSync(join(packageRoot(), 'docs/schema/bridge.json'), 'utf8'));
  const send = (port: string, count: number) =>
    vale('pkt-gen', '-i', port, '-f', 'tx', '-n', String(count), '-R', '20k');
  const receive = (port: string, count: number) =>
    new Vale(['pkt-gen', '-i', port, '-n', String(count)]).says(/Receiving from/);

  test('two switches become one: frames cross both ways, none is lost', async () => {
    const [one, two] = [freshSwitch(), freshSwitch()];
    const bridge = await new Vale(['bridge', '-i', `${one}:x`, '-i', `${two}:y`]).says(/Ready/);
    const there = await receive(`${two}:rx`, 1000);
    await send(`${one}:tx`, 1000);
    expect((await there.result()).stdout).toContain('Received 1000 packets');
    const back = await receive(`${one}:rx`, 500);
    await send(`${two}:tx`, 500);
    expect((await back.result()).stdout).toContain('Received 500 packets');

    const { code, stdout, stderr, stopTime } = await bridge.stop();
    expect(code).toBe(0);
    expect(stopTime).toBeLessThan(1000);
    expect(stdout).toContain(
      `${one}:x -> ${two}:y: forwarded 1000 packets 60000 bytes, accepted 1000 ` +
        `delivered ${counted(1000, 'unknown')}, drops ${counted(0, 'unknown')}\n`,
    );
    expect(stdout).toContain(`${two}:y -> ${one}:x: forwarded 500 packets 30000 bytes,`);
    expect(stderr).toMatch(/^\d{3}\.\d{6} main \[\d+\] -{7} zerocopy NOT supported$/m);
    expect(stderr).toContain(`Ready to go, ${one}:x 0x0/1 <-> ${two}:y 0x0/1.\n`);
  });

  test('positional ports, --ndjson, SIGTERM', async () => {
    const [one, two] = [freshSwitch(), freshSwitch()];
    const args = [`${one}:x`, `${two}:y`, '64', '--ndjson', '-w', '0'];
    const bridge = await new Vale(['bridge', ...args]).says(/interval/);
    const { code, stdout, stderr, stopTime } = await bridge.stop('SIGTERM');
    expect([code, stderr]).toEqual([0, '']);
    expect(stopTime).toBeLessThan(1000);
    const objects = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const object of objects) expect(violations(object, schema, object.event)).toEqual([]);
    expect(objects.at(-1)).toMatchObject({ event: 'final', burst: 64, zero_copy: false });
  });

  test('two ports in one region swap buffers, unless -c', async () => {
    const sw = freshSwitch();
    const ports = ['-i', `${sw}:x`, '-i', `${sw}b:y@share=${sw}:x`];
    const swapping = await new Vale(['bridge', ...ports]).says(/Ready/);
    const rx = await receive(`${sw}b:rx`, 300);
    await send(`${sw}:tx`, 300);
    expect((await rx.result()).stdout).toContain('Received 300 packets');
    expect((await swapping.stop()).stderr).toContain('zerocopy supported');
    const copying = await new Vale(['bridge', '-c', ...ports]).says(/Ready/);
    expect((await copying.stop()).stderr).toContain('zerocopy NOT supported');
  });

  test('-L sends back what arrives', async () => {
    const sw = freshSwitch();
    const bridge = await new Vale(['bridge', '-L', '-i', `${sw}:echo`]).says(/Ready/);
    const rx = await receive(`${sw}:rx`, 200);
    await send(`${sw}:tx`, 100);
    expect((await rx.result()).stdout).toContain('Received 200 packets');
    expect((await bridge.stop()).stdout).toContain('forwarded 100 packets');
  });

  test('a signal cuts the wait for the link short', async () => {
    const ports = ['-i', `${freshSwitch()}:x`, '-i', `${freshSwitch()}:y`];
    const bridge = await new Vale(['bridge', '-w', '60', ...ports]).says(/Wait 60 secs/);
    const { code, stopTime } = await bridge.stop();
    expect(code).toBe(0);
    expect(stopTime).toBeLessThan(1000);
  });

  test.each([
    [[], 2, /^missing ports: give two/],
    [['-i', 'vale0:x'], 2, /^-i vale0:x alone: only a network interface has a host stack/],
    [['-i', 'vale0:x', '-i', 'nosuchif0'], 1, /nosuchif0/],
    [
      ['-i', 'vale0:x', '-i', 'vale1:y', '--backend', 'packet'],
      2,
      onKernel
        ? /^--backend is for network interfaces that this program drives, .* set VALE_DEVICE=user$/
        : /^--backend is for network interfaces, and vale0:x and vale1:y are none: leave it out$/,
    ],
    [
      ['-i', 'vale0:x', '-i', 'vale1:y', '-b', 'many'],
      2,
      /from 1 to 8192 for -b but received many$/,
    ],
  ] as [string[], number, RegExp][])('%j is one line', async (args, exit, line) => {
    const { code, stdout, stderr } = await vale('bridge', ...args);
    expect(stderr).toMatch(/^vale: [^\n]*\n$/);
    expect(stderr.slice('vale: '.length).trimEnd()).toMatch(line);
    expect([code, stdout]).toEqual([exit, '']);
  });
});
