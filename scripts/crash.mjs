// SPDX-License-Identifier: BSD-2-Clause
// npm run crash -- [--kills N]: processes killed at random instants, under load and inside open and
// close; and programs with the preload library, with their children and the descriptors they passed on.
// Default 1000 of each; `npm test` does a few.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { fail, inRoot, make, say } from './lib.mjs';

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

/** How many ports there are, and which files, once everybody who could look after them has looked. */
function left(env) {
  const { stdout } = spawnSync(process.execPath, [inRoot('bin/vale.js'), 'ctl', '--json'], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  const files = readdirSync(env.VALE_DIR).filter((name) => name !== 'control' && name !== 'lock');
  return { ports: JSON.parse(stdout).ports.length, files };
}

/** Kills families of programs that share ports; whether nothing is left. */
async function killFamilies(kills) {
  await make(['addon', 'preload', 'clients']);
  const directory = mkdtempSync('/dev/shm/vale-crash-');
  const env = { VALE_DIR: directory, LD_PRELOAD: inRoot('build/native/libvale-preload.so') };
  const program = inRoot('build/native/preload-test/family');
  let good = true;
  for (let i = 1; i <= kills && good; i += 1) {
    const family = spawn(program, { env, detached: true, stdio: 'ignore' });
    await sleep(5 + Math.random() * 95);
    process.kill(-family.pid, 'SIGKILL');
    if (i % 50 !== 0 && i !== kills) continue;
    await sleep(100);
    const { ports, files } = left({ VALE_DIR: directory });
    good = ports === 0 && files.length === 0;
    if (!good) say(`after ${i} kills: ${ports} ports, ${files.map((f) => join(directory, f))}`);
  }
  if (good) {
    say(`${kills} preloaded programs killed, with their children: nothing is left`);
    rmSync(directory, { recursive: true, force: true });
  }
  return good;
}

const good = await killFamilies(Number(values.kills));
process.exit(failed.length === 0 && good ? 0 : 1);
