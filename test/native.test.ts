// SPDX-License-Identifier: BSD-2-Clause
// The native test programs: each tells on its own what it found, and exits 0 when that is nothing.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';

const root = packageRoot();
// tsan_*: about races, which only a ThreadSanitizer build sees (.ci/run).
const programs = readdirSync(join(root, 'native', 'test'))
  .filter((file) => file.endsWith('.cc') && !file.startsWith('tsan_'))
  .map((file) => file.slice(0, -'.cc'.length));

describe('native tests', () => {
  test.each(programs)(
    '%s',
    (program) => {
      const { status, signal, stdout, stderr } = spawnSync(
        join(root, 'build', 'native', 'test', program),
        { encoding: 'utf8' },
      );
      expect({ status, signal }, stdout + stderr).toEqual({ status: 0, signal: null });
    },
    120_000,
  );
});
