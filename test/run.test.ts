// SPDX-License-Identifier: BSD-2-Clause
// `vale run`: programs in C that know nothing but netmap's API, on switches of ours; and in one line,
// why a program could not work.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test, vi } from 'vitest';

import { Runtime } from '../src/index.js';
import { packageRoot, preloadLibrary } from '../src/native.js';
import { needs } from './support/need.js';

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), 'vale-run-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let directories = 0;

/** A runtime directory of one test's own: the programs list what is there. */
function ownDirectory(): string {
  directories += 1;
  return join(process.env['VALE_DIR']!, `run${process.pid}-${directories}`);
}

function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, [join(root, 'bin/vale.js'), 'run', ...args], {
    encoding: 'utf8',
    env: { ...process.env, VALE_DIR: ownDirectory(), ...env },
  });
}

const client = (name: string) => join(root, 'build/native/preload-test', name);

describe('the netmap API through /dev/netmap, as C programs have it', () => {
  const names = [
    'requests',
    'rings',
    'ports',
    'descriptors',
    'pipes',
    'monitors',
    'options',
    'loop',
    'memory',
    'rows',
  ];
  const built = names.flatMap((name) => [name, `${name}-lfs`]);

  test.each(built)(
    '%s',
    (name) => {
      const { status, stdout, stderr } = run([client(name)]);
      const wrong = stdout.split('\n').filter((line) => line.startsWith('not ok'));
      expect({ wrong, stderr }).toEqual({ wrong: [], stderr: '' });
      const checks = Number(/^(\d+) passed, 0 failed/m.exec(stdout)?.[1]);
      expect(checks).toBeGreaterThan(70);
      expect(status).toBe(0);
    },
    60_000,
  );

  test('the environment alone does it too', () => {
    const { status, stdout } = spawnSync(client('ports'), {
      encoding: 'utf8',
      env: { VALE_DIR: ownDirectory(), LD_PRELOAD: preloadLibrary() },
    });
    expect(stdout).toMatch(/^\d+ passed, 0 failed/);
    expect(status).toBe(0);
  });
});

describe('what it leaves alone', () => {
  test('the program gets its arguments, its streams and its signals; its exit code is passed on', () => {
    expect(run(['sh', '-c', 'echo "$@"; exit 7', 'sh', '-x', '--help', '-i'])).toMatchObject({
      status: 7,
      stdout: '-x --help -i\n',
      stderr: '',
    });
    expect(run(['--', 'printf', '%s', '--help'])).toMatchObject({ status: 0, stdout: '--help' });
    const { signal } = run(['sh', '-c', 'kill -PIPE $$']);
    expect(signal).toBe('SIGPIPE');
  });

  test('where there is no device in a path, everything is libc', () => {
    const file = join(scratch, 'file');
    writeFileSync(file, 'text');
    const { stdout } = run(['sh', '-c', `cat ${file}; test -c /dev/netmap && echo; ls ${file}`]);
    expect(stdout).toBe(`text\n${file}\n`);
  });
});

describe('what cannot work, in one line', () => {
  const says = (args: string[], status: number, line: RegExp) => {
    const result = run(args);
    expect(result.stderr).toMatch(line);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.status).toBe(status);
  };

  test('no program, an option, nothing of that name', () => {
    says([], 2, /^vale: missing PROGRAM/);
    says(['-x'], 2, /^vale: unknown option '-x'/);
    says(['no-such-program'], 1, /^vale: no-such-program: not found in \$PATH/);
    says(['./no-such-program'], 1, /^vale: .*: no such program/);
    says([scratch], 1, /not a program/);
    const file = join(scratch, 'plain');
    writeFileSync(file, '');
    says([file], 1, /may not execute/);
  });

  test('a static program, and a script for one', () => {
    const program = join(scratch, 'static');
    execFileSync('c++', ['-static', '-x', 'c', '-o', program, '-'], {
      input: 'int main(void) { return 0; }',
    });
    says([program], 1, /is statically linked/);
    const script = join(scratch, 'script');
    writeFileSync(script, `#!${program}\n`);
    chmodSync(script, 0o755);
    says([script], 1, /static is statically linked/);
  });

  test('a program for another machine, and one in Go', () => {
    const other = Buffer.alloc(64);
    other.write('\x7fELF\x01\x01\x01', 'latin1');
    other.writeUInt16LE(40, 18);
    const program = join(scratch, 'other');
    writeFileSync(program, other, { mode: 0o755 });
    says([program], 1, /is a program for another machine/);
    const source = join(scratch, 'go.s');
    writeFileSync(
      source,
      '.section .go.buildinfo,"aw"\n.quad 0\n.text\n.globl main\nmain: ret\n' +
        '.section .note.GNU-stack,""\n',
    );
    const go = join(scratch, 'go');
    execFileSync('c++', ['-o', go, source]);
    says([go], 1, /is written in Go/);
  });

  const other = (process.getgroups?.() ?? []).find((group) => group !== process.getegid?.());
  const lender = process.getuid?.() === 0 || other !== undefined;
  const lent = `a program with more rights than its caller${lender ? '' : ' (skipped: needs a second group)'}`;
  test.skipIf(!lender)(lent, () => {
    const program = join(scratch, 'setgid');
    copyFileSync(client('ports'), program);
    execFileSync('chgrp', [String(other ?? 65534), program]);
    chmodSync(program, 0o2755);
    says([program], 1, /is setgid/);
  });
});

needs('tcpdump').test(
  'a program that opens libpcap when it runs has ours for our devices, by any way to look',
  () => {
    const { status, stdout, stderr } = run([client('opened')]);
    expect({ stdout, stderr, status }).toEqual({
      stdout: '20 passed, 0 failed, 0 skipped\n',
      stderr: '',
      status: 0,
    });
  },
);

test('pcap_breakloop ends one wait, and later waits sleep', () => {
  const { status, stdout, stderr } = run([client('breaking')]);
  expect({ stdout, stderr, status }).toEqual({
    stdout: '9 passed, 0 failed, 0 skipped\n',
    stderr: '',
    status: 0,
  });
});

test('killed at any moment, with children and passed descriptors: nothing is left', async () => {
  const directory = ownDirectory();
  const env = { VALE_DIR: directory, LD_PRELOAD: preloadLibrary() };
  const runtime = new Runtime(directory);
  for (let i = 0; i < 20; i++) {
    const program = spawn(client('family'), { env, detached: true, stdio: 'ignore' });
    // The last one certainly has ports.
    if (i < 19) await sleep(10 + i * 7);
    else await vi.waitFor(() => expect(runtime.list()).not.toEqual([]), { timeout: 20_000 });
    process.kill(-program.pid!, 'SIGKILL');
  }
  // The kernel ends the last of them in its own time.
  await vi.waitFor(() => expect(runtime.list()).toEqual([]), { timeout: 20_000 });
  expect(runtime.switches()).toEqual([]);
  runtime.close();
  const left = readdirSync(directory).filter((name) => !/^(control|lock)$/.test(name));
  expect(left).toEqual([]);
}, 60_000);
