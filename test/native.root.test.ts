// SPDX-License-Identifier: BSD-2-Clause
// The native test programs that take over real interfaces, which only root may: native.test.ts, without
// privileges, sees them skip.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { succeeds } from './support/native-program.js';
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
      expect(succeeds(program)).not.toContain('needs root');
    },
    120_000,
  );
});
