// SPDX-License-Identifier: BSD-2-Clause
// The generator between real processes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { violations } from './support/json-schema.js';
import { needs } from './support/need.js';
import { onTerminal } from './support/pty.js';
import { cli, counted, freshSwitch, onKernel, vale, Vale } from './support/vale.js';

const schema = JSON.parse(readFileSync(join(packageRoot(), 'docs/schema/pkt-gen.json'), 'utf8'));

/** The last line of JSON, checked against the schema. */
function final(stdout: string) {
  const objects = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number> & { event: string });
  for (const object of objects) expect(violations(object, schema, object.event)).toEqual([]);
  return objects.at(-1)!;
}

/** A receiver that is ready: its port is open. */
function receiver(port: string, ...args: string[]): Promise<Vale> {
  return new Vale(['pkt-gen', '-i', port, ...args]).says(/Receiving from/);
}

describe('sending and receiving', () => {
  test('what is sent at a modest rate arrives, all of it, and both say so', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-n', '2000');
    const tx = await vale(
      'pkt-gen',
      '-i',
      `${sw}:tx`,
      '-f',
      'tx',
      '-n',
      '2000',
      '-b',
      '64',
      '-R',
      '20k',
    );
    const { code, stdout, stderr } = await rx.result();
    expect([tx.code, code]).toEqual([0, 0]);
    expect(tx.stdout).toMatch(
      new RegExp(
        `^Sending on ${sw}:tx: 1 queues, 1 threads and 1 cpus\\.\n` +
          '10\\.0\\.0\\.1 -> 10\\.1\\.0\\.1 \\(00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff\\)\n' +
          'Sent 2000 packets 120000 bytes \\d+ events 60 bytes each in 0\\.\\d\\d seconds\\.\n' +
          'Speed: \\d+\\.\\d{3} Kpps Bandwidth: \\d+\\.\\d{3} Mbps \\(raw \\d+\\.\\d{3} Mbps\\)\\. Average batch: \\d+\\.\\d\\d pkts\n$',
      ),
    );
    const became = counted('delivered 2000 dropped 0', 'delivered unknown dropped unknown');
    expect(tx.stderr).toContain(`offered 2000 accepted 2000 ${became}\n`);
    expect(stdout).toContain('Received 2000 packets 120000 bytes');
    expect(stderr).toMatch(
      /^\d{3}\.\d{6} main_thread \[\d+\] \d+\.\d{3} [KM]?pps \(\d+\.\d{3} [KM]?pkts \d+\.\d{3} [KM]?bps in \d+ usec\) \d+\.\d\d avg_batch \d+ min_space$/m,
    );
  });

  test('a generator needs no receiver, and its frames are counted', async () => {
    const port = `${freshSwitch()}:tx`;
    const { code, stdout } = await vale('pkt-gen', '-i', port, '-f', 'tx', '-n', '5k', '--json');
    expect(code).toBe(0);
    const all = final(stdout);
    expect(all).toMatchObject({ received: 0, offered: 5000, accepted: 5000 });
    expect(all).toMatchObject({ copies: counted(5000), delivered: counted(0) });
    expect(all).toMatchObject({ dropped: counted(5000), drops: counted({ no_destination: 5000 }) });
    expect(all['bytes']).toBe(300_000);
  });

  test('memory is that of a persistent port which is attached nowhere', async () => {
    const kept = `p${process.pid}`;
    expect((await vale('ctl', '-n', kept)).code).toBe(0);
    const port = `${freshSwitch()}:tx@share=${kept}`;
    const tx = await vale('pkt-gen', '-i', port, '-f', 'tx', '-n', '5');
    expect((await vale('ctl', '-r', kept)).code).toBe(0);
    expect(tx).toMatchObject({ code: 0, stdout: expect.stringContaining('Sent 5 packets') });
  });

  test('a full receive ring drops, and every copy is accounted for on both sides', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-C', '256');
    rx.process.kill('SIGSTOP');
    const tx = await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '3000', '--json');
    rx.process.kill('SIGCONT');
    const sent = final(tx.stdout);
    expect(sent).toMatchObject({ offered: 3000, accepted: 3000 });
    expect(sent).toMatchObject({ copies: counted(3000), delivered: counted(255) });
    expect(sent).toMatchObject({ dropped: counted(2745), dropped_at_receivers: counted(2745) });
    const { stdout, stderr } = await rx.stop();
    expect(stdout).toContain('Received 255 packets');
    if (!onKernel) expect(stderr).toContain('drops: ring_full 2745');
  });

  test('a flooded frame is one copy for each receiver', async () => {
    const sw = freshSwitch();
    const receivers = [
      await receiver(`${sw}:r1`, '-n', '100'),
      await receiver(`${sw}:r2`, '-n', '100'),
    ];
    const tx = await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '100', '--json');
    expect(final(tx.stdout)).toMatchObject({
      accepted: 100,
      copies: counted(200),
      delivered: counted(200),
      dropped: counted(0),
    });
    for (const rx of receivers)
      expect((await rx.result()).stdout).toContain('Received 100 packets');
  });

  test('two threads have a ring each', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-C', '512,512,2', '-p', '2', '-n', '1000');
    expect(rx.stdout).toContain(`${sw}:rx: 2 queues, 2 threads`);
    const args = ['-C', '512,512,2', '-p', '2', '-n', '1000', '-R', '1000', '--json'];
    const tx = await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', ...args);
    expect(final(tx.stdout)).toMatchObject({
      threads: 2,
      queues: 2,
      offered: 1000,
      delivered: counted(1000),
    });
    expect((await rx.result()).stdout).toContain('Received 1000 packets');
  });

  test('sizes at random in [60, 1514), the same again for the same seed', async () => {
    const args = ['-f', 'tx', '-n', '500', '-l', '1514', '-l', '60', '--json', '--seed'];
    const bytes = async (seed: string) => {
      const { stdout } = await vale('pkt-gen', '-i', `${freshSwitch()}:tx`, ...args, seed);
      const all = final(stdout);
      expect(all).toMatchObject({ size: 1514, size_min: 60, seed: Number(seed), offered: 500 });
      return all['bytes']!;
    };
    const [one, again, other] = [await bytes('1'), await bytes('1'), await bytes('2')];
    expect(again).toBe(one);
    expect(other).not.toBe(one);
    expect(one / 500).toBeGreaterThan(600);
    expect(one / 500).toBeLessThan(1000);
  });

  test("the default frame is the reference's, byte for byte", async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-n', '1', '-X');
    await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '1');
    const { stdout } = await rx.result();
    const bytes = [...stdout.matchAll(/^ +\d+: ((?:[0-9a-f]{2} )+)/gm)]
      .map(([, hex]) => hex)
      .join('');
    expect(bytes.trim()).toBe(
      'ff ff ff ff ff ff 00 00 00 00 00 00 08 00 45 10 00 2e 00 00 40 00 40 11 26 ad 0a 00 00 01 ' +
        '0a 01 00 01 04 d2 04 d2 00 1a 15 80 ' +
        Buffer.from('netmap pkt-gen DIR').toString('hex').match(/../g)!.join(' '),
    );
  });

  test('-W ends after a second of silence, once there was traffic', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-W');
    await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '10');
    const { code, stdout } = await rx.result();
    expect(code).toBe(0);
    expect(stdout).toContain('Received 10 packets');
  });

  test('-H sets the header length of the port', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-H', '12');
    const { stdout } = await vale('ctl', 'list', sw, '--json');
    const { ports } = JSON.parse(stdout) as { ports: { name: string; header_bytes: number }[] };
    expect(ports).toMatchObject([{ name: `${sw}:rx`, header_bytes: 12 }]);
    await rx.stop();
  });
});

describe('the other functions', () => {
  test('ping measures what pong answers', async () => {
    const sw = freshSwitch();
    const pong = await new Vale(['pkt-gen', '-i', `${sw}:b`, '-f', 'pong']).says(/Working on/);
    const ping = await vale('pkt-gen', '-i', `${sw}:a`, '-f', 'ping', '-n', '20', '--json');
    expect(ping.code).toBe(0);
    const all = final(ping.stdout) as unknown as {
      offered: number;
      round_trips: { count: number; min: number; mean: number; histogram: { count: number }[] };
    };
    expect(all).toMatchObject({ offered: 20, round_trips: { count: 20 } });
    const { min, mean, histogram } = all.round_trips;
    expect(min).toBeGreaterThan(0);
    expect(mean).toBeGreaterThanOrEqual(min);
    expect(histogram.reduce((sum, bin) => sum + bin.count, 0)).toBe(20);
    expect((await pong.stop()).code).toBe(0);
  });

  test('numbered frames arrive in order, and a gap is noticed', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:rx`, '-f', 'rxseq', '-C', '256', '-T', '100');
    await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'txseq', '-n', '200');
    await rx.says(/\(200\.000 pkts/);
    expect(rx.stderr + rx.stdout).not.toMatch(/GAP|OUT OF ORDER/);
    rx.process.kill('SIGSTOP');
    await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'txseq', '-n', '1000');
    rx.process.kill('SIGCONT');
    await rx.says(/OUT OF ORDER|GAP/);
    expect((await rx.stop()).code).toBe(0);
  });

  test('says what rings a port has that are not those asked for', async () => {
    const port = `${freshSwitch()}:a`;
    const open = await new Vale(['pkt-gen', '-i', port, '-C', '512']).says(/Receiving from/);
    const other = await vale('pkt-gen', '-i', port, '-C', '256', '--duration', '0.1');
    expect(other.stderr).toContain(`-C: ${port} has 512,512,1,1 (tx slots, rx slots,`);
    const same = await vale('pkt-gen', '-i', port, '-C', '512', '--duration', '0.1');
    expect(same.stderr).not.toContain('-C:');
    expect((await open.stop()).stderr).not.toContain('-C:');
    const most = '4096,4096,16,16 (tx slots, rx slots, tx rings, rx rings)';
    const beyond = await vale(
      'pkt-gen',
      '-i',
      `${port}@conf:slots=4097,rings=17`,
      '-f',
      'tx',
      '-n',
      '1',
    );
    expect(beyond.stderr).toContain(`vale: @conf: ${port} has ${most}\n`);
    const kept = await vale('ctl', '-n', 'beyond0', '-C', '4097,1,17');
    expect(kept.stderr).toBe(`vale: -C: beyond0 has ${most.replace('4096,1', '1,1')}\n`);
    await vale('ctl', '-r', 'beyond0');
  });

  describe('a capture file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vale-pcap-'));
    const file = join(folder, 'three.pcap');
    afterAll(() => rmSync(folder, { recursive: true }));
    beforeAll(() => {
      const frames = [60, 100, 1000].map((size, i) => Buffer.alloc(size, i + 1));
      const head = Buffer.alloc(24);
      head.writeUInt32LE(0xa1b2c3d4, 0);
      head.writeUInt16LE(2, 4);
      head.writeUInt16LE(4, 6);
      head.writeUInt32LE(65535, 16);
      head.writeUInt32LE(1, 20);
      const records = frames.flatMap((frame) => {
        const record = Buffer.alloc(16);
        record.writeUInt32LE(frame.length, 8);
        record.writeUInt32LE(frame.length, 12);
        return [record, frame];
      });
      writeFileSync(file, Buffer.concat([head, ...records]));
    });

    test('is played whole, in order, over and over until -n', async () => {
      const port = `${freshSwitch()}:tx`;
      const { code, stdout } = await vale(
        'pkt-gen',
        '-i',
        port,
        '-f',
        'tx',
        '-P',
        file,
        '-n',
        '7',
        '--json',
      );
      expect(code).toBe(0);
      expect(final(stdout)).toMatchObject({ offered: 7, bytes: 2 * 1160 + 60 });
    });

    test('names its file instead of addresses, and says what it has of frames only in part', async () => {
      const whole = readFileSync(file);
      const cut = join(folder, 'cut.pcap');
      const args = (path: string) => [
        '-i',
        `${freshSwitch()}:tx`,
        '-f',
        'tx',
        '-P',
        path,
        '-n',
        '3',
      ];
      const said = /frames were not captured whole/;
      const first = await vale('pkt-gen', ...args(file));
      expect(first.stdout).toContain(`\nFrames of ${file}, as they are\n`);
      expect(first.stderr).not.toMatch(said);
      whole.writeUInt32LE(1514, 24 + 12); // the first one's length on the wire
      writeFileSync(cut, whole);
      const second = await vale('pkt-gen', ...args(cut));
      expect(second.stderr).toContain(`${cut}: 1 of 3 frames were not captured whole`);
      expect(second.stdout).toContain('Sent 3 packets 1160 bytes');
    });

    test('that is missing is one line and exit code 1', async () => {
      const port = `${freshSwitch()}:tx`;
      const { code, stderr } = await vale('pkt-gen', '-i', port, '-f', 'tx', '-P', `${file}.not`);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^vale: .*three\.pcap\.not.*\n$/);
    });
  });
});

describe('the end of a run', () => {
  test.each([
    ['tx', 'SIGINT', /Sent \d+ packets/],
    ['tx', 'SIGTERM', /Sent \d+ packets/],
    ['rx', 'SIGINT', /Received nothing\./],
    ['rx', 'SIGTERM', /Received nothing\./],
  ] as const)('%s: the report within a second of %s, exit code 0', async (fn, signal, report) => {
    const args = ['pkt-gen', '-i', `${freshSwitch()}:a`, '-f', fn, '-R', '1000', '-T', '100'];
    const run = await new Vale(args).says(/main_thread/);
    const { code, stdout, stopTime } = await run.stop(signal);
    expect(code).toBe(0);
    expect(stdout).toMatch(report);
    expect(stopTime).toBeLessThan(1000);
  });

  test('a signal cuts the wait for the link short', async () => {
    const args = ['pkt-gen', '-i', `${freshSwitch()}:a`, '-w', '60'];
    const run = await new Vale(args).says(/Wait 60 secs/);
    const { code, stdout, stopTime } = await run.stop();
    expect([code, stdout]).toEqual([0, expect.stringContaining('Received nothing.')]);
    expect(stopTime).toBeLessThan(1000);
  });

  test('--duration, with a line of --ndjson each interval', async () => {
    const args = ['-f', 'tx', '-R', '1000', '--duration', '0.5', '-T', '100', '--ndjson'];
    const { code, stdout } = await vale('pkt-gen', '-i', `${freshSwitch()}:a`, ...args);
    expect(code).toBe(0);
    const all = final(stdout);
    expect(all.event).toBe('final');
    const intervals = stdout
      .trim()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(intervals.length).toBeGreaterThanOrEqual(3);
    expect(intervals.reduce((sum, { offered }) => sum + offered, 0)).toBe(all['offered']);
    expect(all['offered']).toBeGreaterThan(300);
    expect(all['offered']).toBeLessThan(800);
  });
});

describe('what cannot be is one line', () => {
  async function refuses(args: string[], exit: number, line: RegExp): Promise<void> {
    const { code, stdout, stderr } = await vale('pkt-gen', ...args);
    expect(stderr).toMatch(/^vale: [^\n]*\n$/);
    expect(stderr.trimEnd()).toMatch(line);
    expect([code, stdout]).toEqual([exit, '']);
  }

  test.each([
    [['-i', 'vale0:a', '-s', '10.0.0'], 2, /an IPv4 address .* for -s but received 10\.0\.0$/],
    [['-i', 'vale0:a', '-l', '60', '-l', '64'], 2, /the first -l, 60/],
    [['-i', 'vale0:a', '-c', '4096'], 2, /CPUs online for -c but received 4096$/],
    [['-i', 'vale0:a', '-P', 'x.pcap'], 2, /-P plays frames and needs -f tx, not -f rx$/],
    [['-i', 'pcap:x'], 2, /-i pcap:x: pcap devices are not supported; .*-i eth0$/],
    [['-i', 'null'], 2, /-i null: the dummy device is not supported; .*$/],
    [['-i', 'vale0:'], 2, /"vale0:"/],
    [
      ['-i', 'vale0:a', '--shared'],
      2,
      onKernel
        ? /^vale: --shared is for network interfaces that this program drives, .* VALE_DEVICE=user$/
        : /^vale: --shared is for network interfaces, and vale0:a is none: leave it out$/,
    ],
    [['-i', 'vale0:a-0', '-p', '2'], 2, /-p 2: vale0:a-0 names certain rings/],
    [['-i', 'nosuchif0', '-w', '0'], 1, /nosuchif0/],
    [
      ['-i', 'vale0:a', '-p', '2'],
      1,
      /^vale: -p 2: vale0:a has 1 ring, and each thread takes a ring of its own; make it with 2: add -C 1024,1024,2,2 where it is opened first, or use -p 1$/m,
    ],
    [['-i', 'vale0:a', '-p', '17'], 1, /use at most -p 16/],
    [['-i', 'vale0:a^'], 1, /vale0:a/],
  ] as [string[], number, RegExp][])('%j', refuses);

  needs('drivers of our own').describe('of a network interface', () => {
    test.each([
      [['-i', 'lo@conf:rings=2'], 2, /has one ring each way; ask .* as in lo@conf:slots=512$/],
      [['-i', 'lo', '-C', '512,512,2'], 2, /-C: lo .* one ring each way: ask .* -C 512,512$/],
    ] as [string[], number, RegExp][])('%j', refuses);
  });

  test('a number of slots that cannot be is ignored, as in the reference', async () => {
    const args = ['-f', 'tx', '-n', '1', '-F', '64', '--json'];
    const { code, stderr } = await vale('pkt-gen', '-i', `${freshSwitch()}:a`, ...args);
    expect([code, stderr]).toEqual([0, 'vale: -F 64 ignored: a frame has 1 to 63 slots\n']);
  });
});

needs('python3').test('on a terminal a run is a table', () => {
  const command = [...cli, 'pkt-gen'];
  const args = [
    '-i',
    `${freshSwitch()}:a`,
    '-f',
    'tx',
    '-R',
    '1000',
    '--duration',
    '0.5',
    '-T',
    '200',
  ];
  const { status, screen } = onTerminal([...command, ...args], { env: { NO_COLOR: '1' } });
  const lines = screen.split('\n');
  expect(status).toBe(0);
  expect(lines[2]).toMatch(/^time s +Mpps +Gbit\/s +batch +offered +accepted +delivered +dropped$/);
  const became = counted('0 +\\d+', '- +-');
  expect(lines[3]).toMatch(
    new RegExp(`^ +0\\.2 +0\\.00\\d +0\\.00\\d +\\d\\.\\d +\\d+ +\\d+ +${became}$`),
  );
  expect(lines[3]).toHaveLength(lines[2]!.length);
  expect(screen).toMatch(/^offered +\d+ frames, [\d,]+ bytes$/m);
  expect(screen).toMatch(
    onKernel
      ? /^dropped +unknown: the kernel's netmap does not count$/m
      : /^dropped +\d+: no_destination \d+$/m,
  );
  expect(Math.max(...lines.slice(2, 6).map((line) => line.length))).toBeLessThanOrEqual(80);
});
