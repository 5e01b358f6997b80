// SPDX-License-Identifier: BSD-2-Clause
// Random sequences of everything a switch can be told, against test/model: exactly which frames each
// port receives, in order and unchanged, who is on which switch, what is learned, and every counter.
// MODEL_RUNS multiplies the runs, MODEL_SEED repeats those of a report.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { candidates, native, packageRoot } from '../src/native.js';
import { commands, type Real } from './model/commands.js';
import { ChildDriver, LocalDriver } from './model/driver.js';
import { Model } from './model/model.js';

const factor = Number(process.env['MODEL_RUNS'] ?? 1);
const seed = process.env['MODEL_SEED'];
const LIMIT = 60_000;

let directory: string;
let program: string;

beforeAll(async () => {
  directory = mkdtempSync(join(dirname(process.env['VALE_DIR']!), 'vale-model-'));
  program = join(directory, 'child.mjs');
  await build({
    entryPoints: [join(packageRoot(), 'test/model/child.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
  });
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function explore(processes: number, most: number, runs: number): Promise<void> {
  const addon = candidates(packageRoot(), process.platform, process.arch)[0]!;
  const home = mkdtempSync(join(directory, 'runtime-'));
  const runtime = native().openRuntime(home);
  const files = () => readdirSync(home).filter((name) => !name.startsWith('p'));
  const before = files();
  const property = fc.asyncProperty(commands(processes, most), async (sequence) => {
    const real: Real = {
      runtime,
      here: new LocalDriver(native(), home),
      children: new Map(),
      start: () => new ChildDriver(program, addon, home),
    };
    try {
      await fc.asyncModelRun(() => ({ model: new Model(), real }), sequence);
    } finally {
      real.here.end();
      for (const child of real.children.values()) await child.kill();
      for (const { name, attached } of runtime.list()) {
        if (attached) runtime.detach(name);
        runtime.remove(name.replace(/.*:/, ''));
      }
    }
    expect([runtime.list(), runtime.switches(), files()]).toEqual([[], [], before]);
  });
  const given = seed === undefined ? {} : { seed: Number(seed) };
  await fc.assert(property, {
    numRuns: runs * factor,
    interruptAfterTimeLimit: LIMIT * factor,
    ...given,
  });
  runtime.close();
}

describe('the switch does what its model does', () => {
  test('ports of one process', () => explore(1, 60, 80), LIMIT * factor);

  test(
    'ports of several processes, some of which are killed',
    () => explore(3, 40, 8),
    LIMIT * factor,
  );
});
