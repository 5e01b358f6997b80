// SPDX-License-Identifier: BSD-2-Clause
// New programs in C: the example, compiled with what pkg-config says, exchanges frames between processes.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { runtime, sw, useOwnSwitch } from './support/own-switch.js';

useOwnSwitch();

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), 'vale-linking-'));
const program = join(scratch, 'exchange');
const source = join(root, 'examples/exchange.c');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const flags = (): string[] =>
  execFileSync('pkg-config', ['--cflags', '--libs', 'vale'], {
    encoding: 'utf8',
    env: { ...process.env, PKG_CONFIG_PATH: join(root, 'pkgconfig') },
  })
    .trim()
    .split(/\s+/);

test('the version is that of the package, the example is short', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(readFileSync(join(root, 'pkgconfig/vale.pc'), 'utf8')).toContain(
    `\nVersion: ${version}\n`,
  );
  expect(readFileSync(source, 'utf8').trim().split('\n').length).toBeLessThanOrEqual(20);
});

needs('pkg-config', 'cc').describe('a program in C, linked with the library', () => {
  beforeAll(() => {
    execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-O2', source, '-o', program, ...flags()]);
  });

  test('gets what another process of it sends', async () => {
    const receiver = spawn(program, [`${sw}:a`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    receiver.stdout.on('data', (data: Buffer) => (out += data.toString()));
    const code = new Promise((resolve) => receiver.on('close', resolve));
    while (!runtime.list().some(({ name }) => name === `${sw}:a`)) await sleep(10);
    expect(spawnSync(program, [`${sw}:b`, 'good morning']).status).toBe(0);
    expect(await code).toBe(0);
    expect(out).toBe('128 bytes: good morning\n');
    expect(runtime.list().filter(({ name }) => name.startsWith(sw))).toEqual([]);
  });

  test('says why it cannot', () => {
    const { status, stderr } = spawnSync(program, ['em0'], { encoding: 'utf8' });
    expect(stderr).toContain('No such device or address');
    expect(status).toBe(1);
  });

  test('its header is C++ as well', () => {
    execFileSync('c++', ['-x', 'c++', '-std=c++17', '-fsyntax-only', ...flags(), '-'], {
      input: '#include <vale.h>\nint main() { return 0; }\n',
    });
  });
});
