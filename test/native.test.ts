// SPDX-License-Identifier: BSD-2-Clause
// The native test programs: each tells on its own what it found, and exits 0 when that is nothing.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { succeeds } from './support/native-program.js';

const root = packageRoot();
// tsan_*: about races, which only a ThreadSanitizer build sees (.ci/run).
const programs = readdirSync(join(root, 'native', 'test'))
  .filter((file) => file.endsWith('.cc') && !file.startsWith('tsan_'))
  .map((file) => file.slice(0, -'.cc'.length));

describe('native tests', () => {
  test.each(programs)(
    '%s',
    (program) => {
      succeeds(program);
    },
    120_000,
  );
});
