// SPDX-License-Identifier: BSD-2-Clause
// `vale capture`: what is in its files, what it costs the port it watches, how it ends.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { rotateCondition, rotation, stopCondition, stopping } from '../src/options/capture.js';
import { ALL, frame, mac, received, send, texts } from './support/frames.js';
import { violations } from './support/json-schema.js';
import { labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { open, sw, useOwnSwitch } from './support/own-switch.js';
import { readPcapng } from './support/pcapng.js';
import { Vale, vale } from './support/vale.js';

useOwnSwitch();

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vale-capture-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const bin = join(packageRoot(), 'bin/vale.js');
const file = (name: string) => join(scratch, name);
const sizes = [60, 61, 62, 63, 64, 128, 1514];
const some = (n: number, from = 1) =>
  Array.from({ length: n }, (_, i) => frame(ALL, mac(from), i, sizes[i % sizes.length]));

/** A running capture. */
const capture = (port: string, ...words: string[]) =>
  new Vale(['capture', '-i', `${sw}:${port}`, ...words]).says(/Capturing on/);

/** A UDP frame between two ports. */
function udp(from: number, to: number): Uint8Array {
  const bytes = frame(ALL, mac(1));
  const view = new DataView(bytes.buffer);
  bytes.fill(0, 14);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, 46);
  view.setUint8(23, 17);
  view.setUint16(34, from);
  view.setUint16(36, to);
  return bytes;
}

describe('what is in the file', () => {
  test('every frame that the watched port sends and gets, and what the interface counted', async () => {
    const a = await open('a');
    const b = await open('b');
    const watcher = await capture('a/rt', '-w', file('x.pcapng'));
    const before = BigInt(Date.now()) * 1_000_000n;
    const sent = some(40);
    const got = some(9, 2);
    await send(a, ...sent);
    await send(b, ...got);
    const { code, stderr } = await watcher.stop();
    expect(code).toBe(0);
    const { frames, interfaceName, statistics } = readPcapng(file('x.pcapng'));
    expect(texts(frames.map(({ bytes }) => bytes))).toEqual(texts([...sent, ...got]));
    expect(frames.map(({ direction }) => direction)).toEqual([
      ...sent.map(() => 2),
      ...got.map(() => 1),
    ]);
    expect(interfaceName).toBe(`${sw}:a/rt`);
    expect([...statistics!]).toEqual([
      [4, 49n],
      [5, 0n],
      [6, 49n],
      [7, 0n],
      [8, 49n],
    ]);
    for (const { time } of frames) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThan(before + 60_000_000_000n);
    }
    expect(stderr).toMatch(/total received 49 passed 49 captured 49 dropped 0 bytes \d+ files 1/);
    // The port's owner missed nothing.
    expect(texts(received(a))).toEqual(texts(got));
    expect(statSync(file('x.pcapng')).mode & 0o777).toBe(0o600);
  });

  test('a port that is open elsewhere is watched, and keeps its frames; another one is opened', async () => {
    const a = await open('a');
    const watcher = await capture('a', '-w', file('watch.pcapng'), '-c', '3');
    const own = await capture('own', '-w', file('own.pcapng'), '-c', '3');
    expect(watcher.stderr).toContain(`Capturing on ${sw}:a/rt`);
    expect(own.stderr).toContain(`Capturing on ${sw}:own (`);
    const b = await open('b');
    await send(b, ...some(3));
    expect((await watcher.result()).code).toBe(0);
    expect((await own.result()).code).toBe(0);
    expect(received(a)).toHaveLength(3);
    for (const name of ['watch', 'own'])
      expect(readPcapng(file(`${name}.pcapng`)).frames.map(({ direction }) => direction)).toEqual([
        1, 1, 1,
      ]);
  });

  test('as much of a frame as was asked for, and so many frames', async () => {
    const a = await open('a');
    const watcher = await capture('a/t', '-w', file('x.pcapng'), '-s', '20', '-c', '7');
    await send(a, ...some(12));
    expect((await watcher.result()).code).toBe(0);
    const { frames } = readPcapng(file('x.pcapng'));
    expect(frames.map(({ length }) => length)).toEqual(sizes);
    expect(texts(frames.map(({ bytes }) => bytes))).toEqual(
      texts(some(7).map((bytes) => bytes.subarray(0, 20))),
    );
  });

  needs('tshark', 'capinfos').test('tshark and capinfos have nothing to object', async () => {
    const a = await open('a');
    const watcher = await capture('a/rt', '-w', file('x.pcapng'));
    await send(a, ...some(5));
    await watcher.stop();
    const shown = execFileSync('capinfos', ['-M', file('x.pcapng')], { encoding: 'utf8' });
    expect(shown).toMatch(/File type: +(Wireshark\/.* - )?pcapng/);
    expect(shown).toMatch(/timestamp precision: +nanoseconds/);
    expect(shown).toMatch(/Number of packets: +5\n/);
    expect(shown).toMatch(new RegExp(`Name = ${sw}:a/rt`));
    expect(shown).toMatch(/Number of stat entries = 1/);
    const fields = ['-e', 'frame.interface_name', '-e', 'frame.packet_flags_direction'];
    const lines = execFileSync('tshark', ['-r', file('x.pcapng'), '-T', 'fields', ...fields], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(lines.trim().split('\n')).toEqual(Array(5).fill(`${sw}:a/rt\t0x00000002`));
  });

  needs('tcpdump').test('what a filter lets through, in words or with -f', async () => {
    const a = await open('a');
    const words = await capture('a/t', '-w', file('w.pcapng'), '-c', '2', 'udp', 'port', '53');
    const option = await capture('a/t', '-w', file('f.pcapng'), '-c', '2', '-f', 'udp port 53');
    await send(a, udp(1, 53), udp(1, 54), frame(ALL, mac(1)), udp(53, 9));
    for (const [running, name] of [
      [words, 'w'],
      [option, 'f'],
    ] as const) {
      expect((await running.result()).code).toBe(0);
      const { frames, filter, statistics } = readPcapng(file(`${name}.pcapng`));
      expect(texts(frames.map(({ bytes }) => bytes))).toEqual(texts([udp(1, 53), udp(53, 9)]));
      expect(filter).toBe('udp port 53');
      expect([statistics!.get(4), statistics!.get(6)]).toEqual([4n, 2n]);
    }
    const bad = await vale('capture', '-i', `${sw}:z`, '-w', file('z'), 'udp', 'prt');
    expect(bad.stderr).toMatch(/^vale: filter 'udp prt': can't parse filter expression/);
    expect(bad.stderr.trim()).not.toContain('\n');
    expect(bad.code).toBe(1);
  });
});

describe('several files', () => {
  const written = () => readdirSync(scratch).toSorted();

  test('by number of frames, named as dumpcap does; the oldest go', async () => {
    const a = await open('a');
    const watcher = await capture(
      'a/t',
      '-w',
      file('x.pcapng'),
      '-b',
      'packets:4',
      '-b',
      'files:2',
    );
    await send(a, ...some(15));
    const { code, stderr } = await watcher.stop();
    expect(code).toBe(0);
    expect(written()).toEqual([
      expect.stringMatching(/^x_00003_20\d{12}\.pcapng$/),
      expect.stringMatching(/^x_00004_20\d{12}\.pcapng$/),
    ]);
    const found = written().map((name) => readPcapng(file(name)));
    expect(found.map(({ frames }) => frames.length)).toEqual([4, 3]);
    expect(texts(found.flatMap(({ frames }) => frames.map(({ bytes }) => bytes)))).toEqual(
      texts(some(15).slice(8)),
    );
    expect(found.map(({ statistics }) => statistics!.get(8))).toEqual([12n, 15n]);
    expect(stderr.match(/^\S*x_0000\d_\d+\.pcapng$/gm)).toHaveLength(4);
  });

  test('by size, until so many are full', async () => {
    const a = await open('a');
    const args = ['-b', 'filesize:2', '-a', 'files:3', '-q'];
    const watcher = new Vale(['capture', '-i', `${sw}:a`, '-w', file('x'), ...args]);
    while (written().length === 0) await sleep(5);
    for (let i = 0; i < 4; i += 1) await send(a, ...some(14));
    const { code, stderr } = await watcher.result();
    expect([code, stderr]).toEqual([0, '']);
    expect(written()).toHaveLength(3);
    for (const name of written()) {
      expect(statSync(file(name)).size).toBeGreaterThan(2000);
      expect(readPcapng(file(name)).frames.length).toBeGreaterThan(0);
    }
  });

  test('by time, on an idle port as well', async () => {
    const a = await open('a');
    const watcher = await capture('a/t', '-w', file('x.pcapng'), '-b', 'duration:0.3');
    await send(a, ...some(2));
    while (written().length < 3) await sleep(10);
    await send(a, ...some(3));
    await watcher.stop();
    const counts = written().map((name) => readPcapng(file(name)).frames.length);
    expect(counts[0]).toBe(2);
    expect(counts.reduce((sum, n) => sum + n)).toBe(5);
  });
});

describe('pipes', () => {
  needs('tshark').test('into tshark, as it comes', async () => {
    const a = await open('a');
    const shell = `"$0" "$1" capture -i "$2" -w - -c 4 2>"$3" | tshark -r - -T fields -e frame.len`;
    const child = spawn('sh', ['-c', shell, process.execPath, bin, `${sw}:a/t`, file('log')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let out = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    const ended = new Promise((resolve) => child.on('close', resolve));
    const log = () => {
      try {
        return readFileSync(file('log'), 'utf8');
      } catch {
        return '';
      }
    };
    while (!/Capturing/.test(log())) await sleep(5);
    await send(a, ...some(4));
    await ended;
    expect(out).toBe('60\n61\n62\n63\n');
  });

  test('a reader that has gone ends it, and well', async () => {
    const a = await open('a');
    const args = ['capture', '-i', `${sw}:a/t`, '-w', '-', '-q'];
    const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const code = new Promise((resolve) => child.on('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdout.destroy();
    expect(await code).toBe(0); // though nothing is sent
    expect(a.counters().txFrames).toBe(0n);
  });

  test('a reader that does not read costs the capture frames, and nobody else', async () => {
    execFileSync('mkfifo', [file('fifo')]);
    const reader = spawn('sh', ['-c', `exec 3<"$0"; sleep 60`, file('fifo')]);
    const a = await open('a');
    const b = await open('b');
    const watcher = await capture('a/t', '-w', file('fifo'), '-B', '1');
    const big = frame(ALL, mac(1), 0, 1514);
    let arrived = 0;
    const total = 4000;
    for (let i = 0; i < total; i += 100) {
      await send(a, ...Array<Uint8Array>(100).fill(big));
      arrived += received(b).length;
      await sleep(2);
    }
    expect(arrived).toBe(total);
    const { code, stderr } = await watcher.stop();
    reader.kill('SIGKILL');
    const n = /total received (\d+) passed \d+ captured (\d+) dropped (\d+)/.exec(stderr);
    const buffer = Number(/ buffer (\d+)/.exec(stderr)?.[1]);
    const [, got, captured, dropped] = n!.map(Number);
    expect(buffer).toBeGreaterThan(0);
    expect(got! + (dropped! - buffer)).toBe(total);
    expect(captured).toBeLessThan(total);
    expect(stderr).toContain('its reader does not read');
    expect(code).toBe(1);
  }, 30_000);
});

describe('the end', () => {
  test('of what is watched', async () => {
    const a = await open('a');
    const watcher = await capture('a/rt', '-w', file('x.pcapng'));
    await send(a, ...some(3));
    a.close();
    const { code, stderr } = await watcher.result();
    expect(stderr).toContain('what it watches has closed');
    expect(code).toBe(0);
    expect(readPcapng(file('x.pcapng')).frames).toHaveLength(3);
  });

  test('after a time', async () => {
    await open('a');
    const args = ['-w', file('x.pcapng'), '-a', 'duration:0.2', '--json'];
    const { code, stdout } = await vale('capture', '-i', `${sw}:a`, ...args);
    expect(code).toBe(0);
    const schema = JSON.parse(
      readFileSync(join(packageRoot(), 'docs/schema/capture.json'), 'utf8'),
    ) as Parameters<typeof violations>[1];
    const final = JSON.parse(stdout) as { event: string };
    expect(violations(final, schema, 'final')).toEqual([]);
    expect(final).toMatchObject({
      port: `${sw}:a/rt`,
      received: 0,
      files: 1,
      drops: { buffer: 0 },
    });
  });

  test('at a limit of the file size: the file is whole, one line says what happened', async () => {
    const a = await open('a');
    const watcher = await capture('a/t', '-w', file('x.pcapng'));
    execFileSync('prlimit', ['--pid', String(watcher.process.pid), '--fsize=100000']);
    for (let i = 0; i < 3; i += 1) await send(a, ...Array<Uint8Array>(90).fill(some(7)[6]!));
    const { code, stderr } = await watcher.result();
    const { frames, statistics } = readPcapng(file('x.pcapng'));
    expect(frames.length).toBeGreaterThan(50);
    expect(statistics).toBeDefined();
    expect(stderr).toMatch(
      new RegExp(`x.pcapng: File too large after ${frames.length} frames, \\d+ bytes`),
    );
    expect(code).toBe(1);
  });

  needs('user namespaces').describe('in a namespace', () => {
    needs(...labTools('mount')).test('on a full disk', async () => {
      const a = await open('a');
      const shell =
        'mount -t tmpfs -o size=128k none "$3" && "$0" "$1" capture -i "$2" -w "$3/x.pcapng"; ' +
        'code=$?; cp "$3/x.pcapng" /proc/self/fd/3; exit $code';
      const out = file('copy');
      const child = spawn(
        'unshare',
        [
          '-Urm',
          'sh',
          '-c',
          `mkdir "$3"; exec 3>"${out}"; ${shell}`,
          process.execPath,
          bin,
          `${sw}:a/t`,
          file('full'),
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      let stderr = '';
      const ended = new Promise((resolve) => child.on('close', resolve));
      await new Promise<void>((resolve) => {
        child.stderr.on('data', (data: Buffer) => {
          stderr += data.toString();
          if (/Capturing on/.test(stderr)) resolve();
        });
      });
      for (let i = 0; i < 3; i += 1) await send(a, ...Array<Uint8Array>(90).fill(some(7)[6]!));
      expect(await ended).toBe(1);
      const { frames } = readPcapng(out);
      expect(stderr).toMatch(
        new RegExp(`x.pcapng: No space left on device after ${frames.length} frames`),
      );
    });
  });
});

describe('the command line', () => {
  test.each([
    [['-i', 'vale0:a'], 'missing -w'],
    [['-i', 'vale0:a', '-w', '-', '--json'], '-w -: standard output is the capture'],
    [['-i', 'vale0:a', '-w', '-', '-b', 'packets:3'], 'not several files'],
    [['-i', 'vale0:a', '-w', 'x', '-b', 'size:3'], 'expected duration:N, interval:N'],
    [['-i', 'vale0:a', '-w', 'x', '-b', 'files:3'], 'but not when the next one begins'],
    [['-i', 'vale0:a', '-w', 'x', '-a', 'files:3'], 'there is one file only'],
    [['-i', 'vale0:a', '-w', 'x', '-f', 'udp', 'tcp'], 'give the filter once'],
  ])('%j', async (args, message) => {
    const { code, stderr } = await vale('capture', ...args);
    expect(stderr).toContain(message);
    expect(stderr.trim()).not.toContain('\n');
    expect(code).toBe(2);
  });

  test('where the file cannot be', async () => {
    const { code, stderr } = await vale('capture', '-i', `${sw}:a`, '-w', file('no/x'));
    expect(stderr).toBe(
      `vale: ${file('no/x')}: cannot be opened for writing: No such file or directory\n`,
    );
    expect(code).toBe(1);
    const several = await vale('capture', '-i', `${sw}:a`, '-w', file('no/x'), '-b', 'packets:9');
    expect(several).toMatchObject({ code: 1, stderr });
  });

  test('conditions', () => {
    const all = ['filesize:5', 'packets:7', 'duration:1.5', 'interval:60', 'files:2', 'packets:9'];
    expect(rotation(all.map(rotateCondition))).toEqual({
      nextAfterBytes: 5000,
      nextAfterFrames: 9,
      nextAfterSeconds: 1.5,
      nextEverySeconds: 60,
      keepFiles: 2,
    });
    const stop = ['duration:9', 'packets:4'].map(stopCondition);
    expect(stopping(stop, { count: 8, duration: 3, several: false })).toEqual({
      count: 4,
      duration: 3,
      stopAfterBytes: 0,
      stopAfterFiles: 0,
    });
    for (const text of ['packets:1.5', 'packets:0', 'interval', 'packets:', 'x:1'])
      expect(() => rotateCondition(text)).toThrow('expected duration:N');
  });
});
