// SPDX-License-Identifier: BSD-2-Clause
// npm run crash -- [--kills N]: processes killed at random instants, under load and inside open and
// close. Default 1000 of each; `npm test` does a few.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

import { fail, inRoot, make } from './lib.mjs';

let values;
try {
  ({ values } = parseArgs({ options: { kills: { type: 'string', default: '1000' } } }));
} catch (error) {
  fail(error.message);
}
if (!/^[1-9]\d{0,3}$/.test(values.kills) || Number(values.kills) > 4000)
  fail(`--kills: expected 1 to 4000 but received ${values.kills}`);

const programs = [
  ['crash_test', 'killed'],
  ['directory_life_test', 'killed'],
];
await make(programs.map(([program]) => `../build/native/test/${program}`));
const failed = programs.filter(([program, test]) => {
  const { status } = spawnSync(inRoot('build/native/test', program), [test], {
    stdio: 'inherit',
    env: { ...process.env, VALE_KILLS: values.kills },
  });
  return status !== 0;
});
process.exit(failed.length === 0 ? 0 : 1);
