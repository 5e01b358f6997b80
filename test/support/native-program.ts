// SPDX-License-Identifier: BSD-2-Clause
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';

import { packageRoot } from '../../src/native.js';

/** Runs a native test program, which must find nothing. @returns what it printed */
export function succeeds(program: string): string {
  const { status, signal, stdout, stderr } = spawnSync(
    join(packageRoot(), 'build', 'native', 'test', program),
    { encoding: 'utf8' },
  );
  expect({ status, signal }, stdout + stderr).toEqual({ status: 0, signal: null });
  return stdout;
}
