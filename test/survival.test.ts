// SPDX-License-Identifier: BSD-2-Clause
// What a user sees when something is wrong with the runtime directory, or when a process is killed:
// one line, exit code 1, and everybody else goes on.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { needs } from './support/need.js';
import { freshSwitch, vale, Vale } from './support/vale.js';

const isRoot = process.getuid?.() === 0;
/** Root may do what these tests want to see refused. */
const unprivileged = (name: string, body: () => Promise<void>) =>
  test.skipIf(isRoot)(name + (isRoot ? ' (skipped: root may do everything)' : ''), body);

const mayMount =
  spawnSync('unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
const tmpfs = (name: string, body: () => Promise<void>) =>
  mayMount
    ? needs('unshare', 'mount').test(name, body)
    : test.skip(`${name} (skipped: no user namespaces here)`, body);

let base: string;
let running: Vale[];

beforeEach(() => {
  base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vale-test-'));
  running = [];
});

afterEach(async () => {
  for (const run of running) if (run.process.exitCode === null) await run.stop('SIGKILL');
  rmSync(base, { recursive: true, force: true });
});

/** `vale` with a runtime directory of the test's. */
function start(directory: string, ...args: string[]): Vale {
  const run = new Vale(args, { VALE_DIR: directory });
  running.push(run);
  return run;
}

/** Fails with exit code 1 and this line, and nothing else. */
async function refused(directory: string, line: RegExp, ...args: string[]): Promise<void> {
  const verbs = args.length > 0 ? [args] : [['ctl'], ['pkt-gen', '-i', 'vale0:a', '-n', '1']];
  for (const verb of verbs) {
    const { code, stdout, stderr } = await start(directory, ...verb).result();
    expect(stderr).toMatch(line);
    expect(stderr).toMatch(/^vale: [^\n]+\n$/);
    expect([code, stdout]).toEqual([1, '']);
  }
}

describe('the runtime directory', () => {
  test('everybody may write it', async () => {
    chmodSync(base, 0o777);
    await refused(base, new RegExp(`may be written by everybody.*chmod 700 ${base}`));
  });

  unprivileged('belongs to somebody else', async () => {
    await refused('/usr', /^vale: \/usr belongs to user 0, not to you .* set VALE_DIR/);
  });

  unprivileged('may not be entered, or its place not be written', async () => {
    chmodSync(base, 0o500);
    await refused(join(base, 'run'), /Permission denied; set VALE_DIR/);
    chmodSync(base, 0);
    await refused(base, /Permission denied; set VALE_DIR/);
    chmodSync(base, 0o700);
  });

  test('is a symbolic link, or its files are', async () => {
    mkdirSync(join(base, 'real'), { mode: 0o700 });
    symlinkSync(join(base, 'real'), join(base, 'link'));
    await refused(join(base, 'link'), /link is a symbolic link, which is not followed; remove it/);
    const target = join(base, 'target');
    writeFileSync(target, 'precious');
    symlinkSync(target, join(base, 'real', 'control'));
    await refused(join(base, 'real'), /control: it is a symbolic link, which is not followed/);
    rmSync(join(base, 'real', 'control'));
    symlinkSync(target, join(base, 'real', 'lock'));
    await refused(join(base, 'real'), /lock: it is a symbolic link, which is not followed/);
    expect(readFileSync(target, 'utf8')).toBe('precious');
  });

  test('holds something else', async () => {
    writeFileSync(join(base, 'thesis.txt'), '');
    await refused(base, /holds other files \(thesis\.txt\); set VALE_DIR/);
  });

  test('was made by another version, or is damaged', async () => {
    await start(base, 'ctl').result();
    const control = join(base, 'control');
    const file = openSync(control, 'r+');
    writeSync(file, Buffer.from([99]), 0, 1, 8); // the layout's version
    closeSync(file);
    await refused(
      base,
      new RegExp(`another version \\(layout 99, this one is \\d+\\).*rm -r ${base}`),
    );
    truncateSync(control, 4096);
    await refused(base, new RegExp(`rm -r ${base}`));
    truncateSync(control, 0);
    await refused(base, new RegExp(`is damaged; stop what uses it and run: rm -r ${base}`));
  });

  /** `vale` in a namespace where `base` is a tmpfs with these options. */
  const mounted = (options: string, ...args: string[]) => {
    const script = `mount -t tmpfs -o mode=700,${options} tmpfs ${base} && shift && exec "$@"`;
    const inside = ['unshare', '-Urm', 'sh', '-c', script, 'sh', '--'];
    const run = new Vale(args, { VALE_DIR: base }, inside);
    running.push(run);
    return run.result();
  };

  tmpfs('is full', async () => {
    const { code, stdout, stderr } = await mounted('size=2m', 'pkt-gen', '-i', 'vale0:a');
    expect(stderr).toMatch(
      /^vale: no room for [^:]+ in [^:]+: \d+ bytes needed, \d+ free; enlarge that file system by mount -o remount,size=\d+m [^ ]+ \(in a container: --shm-size\) or set VALE_DIR to another\n$/,
    );
    expect([code, stdout]).toEqual([1, '']);
  });

  tmpfs('is read-only', async () => {
    const { code, stderr } = await mounted('ro', 'pkt-gen', '-i', 'vale0:a');
    expect(stderr).toMatch(/^vale: cannot .* Read-only file system; set VALE_DIR to [^\n]+\n$/);
    expect(code).toBe(1);
  });

  test('is deleted under a generator and a receiver: both say so and end', async () => {
    const directory = join(base, 'run');
    const rx = await start(directory, 'pkt-gen', '-i', 'vale0:rx').says(/main_thread/);
    const tx = start(directory, 'pkt-gen', '-i', 'vale0:tx', '-f', 'tx', '-R', '1000');
    await tx.says(/main_thread/);
    rmSync(directory, { recursive: true });
    const deleted = performance.now();
    for (const run of [rx, tx]) {
      const { code, stderr } = await run.result();
      expect(stderr).toMatch(/\nvale: [^\n]*(deleted|went away|gone)[^\n]*\n$/);
      expect(code).toBe(1);
    }
    expect(performance.now() - deleted).toBeLessThan(6000);
    const again = await start(directory, 'ctl').result();
    expect([again.code, again.stdout]).toEqual([0, '']);
  });
});

describe('a process is killed', () => {
  const listed = async () => (await vale('ctl', '--plain')).stdout;

  test('its ports leave the listing; a generator that sent to it goes on and ends well', async () => {
    const sw = freshSwitch();
    const victim = await new Vale(['pkt-gen', '-i', `${sw}:victim`]).says(/main_thread/);
    const rx = await new Vale(['pkt-gen', '-i', `${sw}:rx`]).says(/main_thread/);
    const tx = await new Vale(['pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-R', '20k']).says(
      /main_thread/,
    );
    running.push(victim, rx, tx);
    expect(await listed()).toContain(`${sw}:victim `);
    await victim.stop('SIGKILL');
    const after = await listed();
    expect(after).not.toContain(`${sw}:victim `);
    expect(after).toContain(`${sw}:rx `);
    const seen = rx.stderr.length;
    while (rx.stderr.length < seen + 200)
      await rx.says(new RegExp(`^[^]{${rx.stderr.length + 1}}`));
    // SIGPIPE would have ended it; a signal leaves no exit code.
    for (const run of [tx, rx]) {
      const { code, stopTime } = await run.stop('SIGTERM');
      expect(code).toBe(0);
      expect(stopTime).toBeLessThan(1000);
    }
    expect(rx.stdout).toMatch(/Received \d{4,} packets/);
    expect(await listed()).not.toContain(`${sw}:`);
  });

  test('while it is stopped: listing and other ports do not wait for it', async () => {
    const sw = freshSwitch();
    const victim = await new Vale(['pkt-gen', '-i', `${sw}:victim`, '-f', 'tx']).says(
      /main_thread/,
    );
    running.push(victim);
    victim.process.kill('SIGSTOP');
    const from = performance.now();
    expect(await listed()).toContain(`${sw}:victim `);
    const { code } = await vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '100');
    expect(code).toBe(0);
    expect(performance.now() - from).toBeLessThan(5000);
    victim.process.kill('SIGCONT');
    const { code: end, stopTime } = await victim.stop();
    expect(end).toBe(0);
    expect(stopTime).toBeLessThan(1000);
  });
});
