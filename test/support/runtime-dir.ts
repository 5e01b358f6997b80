// SPDX-License-Identifier: BSD-2-Clause
// A runtime directory of the test run's own, so that no test can touch the user's switches.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { native } from '../../src/native.js';

export default function setup(): () => void {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(base, 'vale-test-'));
  process.env['VALE_DIR'] = directory;
  // Made now: tests keep files of theirs in it, among which it would not be made.
  native().openRuntime(directory).close();
  return () => rmSync(directory, { recursive: true, force: true });
}
