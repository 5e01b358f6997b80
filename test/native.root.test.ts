// SPDX-License-Identifier: BSD-2-Clause
// The native test programs that take over real interfaces, which only root may: native.test.ts, without
// privileges, sees them skip.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';

const root = packageRoot();
const sources = join(root, 'native', 'test');
const programs = readdirSync(sources)
  .filter((file) => file.endsWith('.cc'))
  .filter((file) => readFileSync(join(sources, file), 'utf8').includes('NEED_ROOT'))
  .map((file) => file.slice(0, -'.cc'.length));

needs('root', 'ip', 'ping').describe('native tests that need root', () => {
  test('are there', () => {
    expect(programs).not.toHaveLength(0);
  });

  test.each(programs)(
    '%s',
    (program) => {
      const { status, signal, stdout, stderr } = spawnSync(
        join(root, 'build', 'native', 'test', program),
        { encoding: 'utf8' },
      );
      expect({ status, signal }, stdout + stderr).toEqual({ status: 0, signal: null });
      expect(stdout).not.toContain('needs root');
    },
    120_000,
  );
});
