// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines for measurements: the CLI's own modules that boot them, and commands in them.
import { build } from 'esbuild';

import { inRoot } from '../scripts/lib.mjs';

export const address = (i) => `10.9.0.${i + 1}`;

/** The modules that boot guests, as the CLI has them. */
export async function guestModules() {
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
