// SPDX-License-Identifier: BSD-2-Clause
// A runtime directory of the test run's own, so that no test can touch the user's switches.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): () => void {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(base, 'vale-test-'));
  process.env['VALE_DIR'] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}
