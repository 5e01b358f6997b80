// SPDX-License-Identifier: BSD-2-Clause
// npm run soak -- [--frames N] [--large N]: three senders, one receiver that checks every frame for loss
// without a counter, repetition, alteration and order. Defaults: 100 million frames of at most 2 KB and
// 1 million of at most 64 KiB, a few minutes.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

import { fail, inRoot, make } from './lib.mjs';

let values;
try {
  ({ values } = parseArgs({
    options: {
      frames: { type: 'string', default: '100000000' },
      large: { type: 'string', default: '1000000' },
    },
  }));
} catch (error) {
  fail(error.message);
}
for (const [name, value] of Object.entries(values))
  if (!/^\d{1,12}$/.test(value))
    fail(`--${name}: expected a number of frames but received ${value}`);

await make(['../build/native/bench/soak']);
const { status } = spawnSync(inRoot('build/native/bench/soak'), [values.frames, values.large], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
