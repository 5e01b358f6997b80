// SPDX-License-Identifier: BSD-2-Clause
// What a user sees when something overwrites the memory of ports that are in use, or cuts its files short:
// nobody dies of a signal. Each goes on and ends well, or says in one line what is lost.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { finished, Lab, labTools } from './support/lab.js';
import { program } from './support/library.js';
import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

/** One of each kind of loop there is, on one switch, or two. */
const PROGRAMS: string[][] = [
  ['pkt-gen', '-i', 'vale0:rx'],
  ['pkt-gen', '-i', 'vale0:seen', '-f', 'rxseq', '-o', '10'],
  ['pkt-gen', '-i', 'vale0:pong', '-f', 'pong'],
  ['bridge', '-i', 'vale0:left', '-i', 'vale1:right', '-v', '-v'],
  ['pkt-gen', '-i', 'vale1:ping', '-f', 'ping', '-R', '2k'],
  ['pkt-gen', '-i', 'vale0:long', '-f', 'tx', '-l', '9000', '-R', '5k'],
  ['pkt-gen', '-i', 'vale0:outside', '-f', 'tx', '-I', '-X', '-R', '200'],
  ['pkt-gen', '-i', 'vale0:changing', '-f', 'txseq', '-R', '50k'],
  ['pkt-gen', '-i', 'vale0:pipe{1', '-f', 'tx', '-R', '50k'],
  ['pkt-gen', '-i', 'vale0:pipe}1'],
  ['pkt-gen', '-i', 'vale0:rx/r'],
  ['capture', '-i', 'vale0:rx', '-w', '/dev/null'],
];

/** A program of the library's that sends, receives, reads and forwards until its input ends. */
const LIBRARY = `
const a = await vale.openPort('vale0:a'), b = await vale.openPort('vale0:b');
const said = new Set();
let going = true;
process.stdin.on('data', () => undefined).on('end', () => (going = false));
const frame = new Uint8Array(5000).fill(2, 5, 12), copy = new Uint8Array(70000);
const attempt = async (step) => {
  try { await step(); } catch (error) {
    if (error.code === 'EIO') going = false;
    said.add(error.code + ': ' + error.message);
  }
};
console.log('ready');
while (going) {
  for (let i = 0; i < 50; i++) await attempt(() => a.send(frame.subarray(0, i % 10 ? 60 : 5000)));
  await attempt(() => a.flush());
  await attempt(() => b.readable(1));
  for (let batch; going && (batch = b.receive()); )
    for (let i = 0; i < batch.length; i++)
      await attempt(() => {
        batch.copy(i, copy);
        batch.readUint32BE(i, batch.size(i) - 4);
        b.forward(batch, i);
      });
}
console.log([...said].join('\\n'));
process.exit(0);`;

let base: string;
let running: ChildProcess[];

beforeEach(() => {
  base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vale-test-'));
  running = [];
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(base, { recursive: true, force: true });
});

function start(args: string[], inside: string[] = []): Vale {
  const run = new Vale(args, { VALE_DIR: base }, inside);
  running.push(run.process);
  return run;
}

const regions = () =>
  readdirSync(base)
    .filter((name) => name.startsWith('m'))
    .map((name) => join(base, name));

/** Rings and the first buffers of all ports, several times, at any moment. */
async function overwrite(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) {
    for (const path of regions()) {
      const file = openSync(path, 'r+');
      for (let at = 0; at < 2 << 20; at += 1 << 16)
        writeSync(file, randomBytes(1 << 16), 0, 1 << 16, at);
      closeSync(file);
    }
    await sleep(40 * turn);
  }
}

async function everything(): Promise<Vale[]> {
  const [first = [], ...others] = PROGRAMS; // what is watched opens before who watches
  const one = async (args: string[]) => start(args).says(/main_thread|Ready to go|Capturing on/);
  return [await one(first), ...(await Promise.all(others.map(one)))];
}

async function libraryProgram() {
  const child = spawn(process.execPath, program(LIBRARY), {
    env: { ...process.env, VALE_DIR: base },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.push(child);
  const end = finished(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { end, stop: () => child.stdin.end() };
}

describe('the memory of ports in use', () => {
  test('is overwritten with anything: all who use them go on, and end well', async () => {
    const all = await everything();
    const library = await libraryProgram();
    await overwrite();
    const ends = await Promise.all(all.map((one) => one.stop()));
    for (const [i, { code, stderr }] of ends.entries()) {
      const fine = { code: 0, stderr: expect.not.stringMatching(/^vale: /m) as string };
      expect({ code, stderr }, PROGRAMS[i]!.join(' ')).toEqual(fine);
      if (!/^tx/.test(PROGRAMS[i]![4] ?? '')) continue;
      expect(stderr).toMatch(/ offered [1-9]\d* accepted \d+ /);
      const [, offered, accepted] = / offered (\d+) accepted (\d+) /.exec(stderr)!;
      expect(Number(accepted)).toBeLessThanOrEqual(Number(offered));
    }
    library.stop();
    expect(await library.end).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout, stderr } = await start(['ctl']).result();
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  });

  test('is cut short: all who use it say so and end', async () => {
    const all = await everything();
    const library = await libraryProgram();
    for (const path of regions()) truncateSync(path, 0);
    for (const one of all) {
      const { code, stderr } = await one.result();
      expect(stderr.trim().split('\n').at(-1)).toMatch(
        /^vale: vale[01]:\S+ is lost: somebody cut the file of its memory short; open it again$/,
      );
      expect(code).toBe(1);
    }
    const { code, stdout, stderr } = await library.end;
    expect(stdout).toMatch(/EIO: vale0:[ab]: somebody cut the file of its memory short/);
    expect([code, stderr]).toEqual([0, '']);
    expect(await start(['ctl']).result()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const again = await start(['pkt-gen', '-i', 'vale0:rx', '-f', 'tx', '-n', '10']).result();
    expect(again.code).toBe(0);
  });

  test('is cut short while nobody has the port open: opening it says so', async () => {
    expect((await start(['ctl', 'create', 'kept']).result()).code).toBe(0);
    expect((await start(['ctl', 'attach', 'vale0:kept']).result()).code).toBe(0);
    expect(
      (await start(['pkt-gen', '-i', 'vale0:kept', '-f', 'tx', '-n', '9']).result()).code,
    ).toBe(0);
    for (const path of regions()) truncateSync(path, 4096);
    const { code, stdout, stderr } = await start(['pkt-gen', '-i', 'vale0:kept']).result();
    expect(stderr).toMatch(/^vale: [^\n]*the memory of [^\n]* is damaged: [^\n]*\n$/);
    expect([code, stdout]).toEqual([1, '']);
  });

  test('and the directory’s own file is cut short: one line, no signal', async () => {
    const rx = await start(['pkt-gen', '-i', 'vale0:rx']).says(/main_thread/);
    truncateSync(join(base, 'control'), 0);
    const { code, stderr } = await rx.result();
    expect(stderr.trim().split('\n').at(-1)).toMatch(
      /^vale: \S+\/control was cut short while in use; stop what uses it and run: rm -r \S+$/,
    );
    expect(code).toBe(1);
  });
});

needs(...labTools('ping')).describe('of an attached interface', () => {
  needs('user namespaces').describe('the memory', () => {
    let lab: Lab;
    let tx: Vale;
    const ctl = (...args: string[]) => start(['ctl', ...args], lab.inside).result();
    beforeEach(async () => {
      lab = await Lab.open();
      const host = await lab.host('dm1', '10.9.0.1/24');
      expect(await ctl('-a', 'vale0:dm1')).toMatchObject({ code: 0, stderr: '' });
      running.push(host.start('ping', '-q', '-b', '-i', '0.01', '10.9.0.255'));
      tx = start(['pkt-gen', '-i', 'vale0:tx', '-f', 'tx', '-R', '50k'], lab.inside);
      await tx.says(/main_thread/);
    });
    afterEach(() => lab.close());

    test('is overwritten: its agent serves on', async () => {
      await overwrite();
      expect((await tx.stop()).code).toBe(0);
      expect((await ctl()).stdout).toBe('vale0:dm1 bridge_idx 0 port_idx 0\n');
      expect(await ctl('-d', 'vale0:dm1')).toMatchObject({ code: 0, stderr: '' });
    });

    test('is cut short: its agent leaves, and the next listing says why', async () => {
      for (const path of regions()) truncateSync(path, 0);
      expect((await tx.result()).code).toBe(1);
      // It notices when the next frame comes for either side.
      const listing = expect.poll(ctl, { timeout: 10_000, interval: 50 });
      await listing.toMatchObject({
        code: 0,
        stderr: expect.stringMatching(
          /^vale: vale0:dm1: its agent ended: [^\n]*cut the file[^\n]*\n$/,
        ),
      });
    });
  });
});
