// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines for measurements: the CLI's own modules that boot them, and commands in them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';

import { inRoot, say } from '../scripts/lib.mjs';
import { Runner } from './measure.mjs';

export const address = (i) => `10.9.0.${i + 1}`;

/** The modules that boot guests, as the CLI has them. */
async function guestModules() {
  const outfile = inRoot('build/bench/guest.mjs');
  await build({
    stdin: {
      contents: "export * from './src/vm/guest.ts';\nexport * from './src/vm/image.ts';",
      resolveDir: inRoot(),
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile,
    logLevel: 'warning',
  });
  return import(outfile);
}

/** Output of a line of shell that must succeed. */
export async function inside(guest, line, seconds) {
  const { code, output } = await guest.run(line, seconds * 1000 + 60_000);
  if (code !== 0) throw new Error(`in a guest: ${line}: ${output.trim().split('\n').at(-1)}`);
  return output;
}

/**
 * What a measurement with guests begins with; undefined, and said, where there is no QEMU.
 * @param settings of the runner that differ from one measurement to another
 */
export async function prepareGuests(settings) {
  if (spawnSync('qemu-system-x86_64', ['--version']).error !== undefined) {
    say('skipped: qemu-system-x86_64 is missing: apt-get install qemu-system-x86');
    return undefined;
  }
  const modules = await guestModules();
  const image = modules.builtImage() ?? (await modules.buildImage(say));
  const runner = new Runner({ retrySeconds: 0, budget: 0, ...settings });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.interrupt());
  return { modules, image, accelerator: modules.accelerator(), runner };
}

/** Writes what was found into bench/results/; as it stands there, and in which file. */
export function keep(kind, found) {
  const time = new Date().toISOString();
  const result = { schema: `vale-bench-${kind}/1`, time, ...found };
  mkdirSync(inRoot('bench/results'), { recursive: true });
  const file = join('bench/results', `${kind}-${time.replaceAll(':', '-')}.json`);
  writeFileSync(inRoot(file), `${JSON.stringify(result, undefined, 2)}\n`);
  return { result, file };
}
