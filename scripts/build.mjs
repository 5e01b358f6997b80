// SPDX-License-Identifier: BSD-2-Clause
// Builds what runs: the addon, the agent and the preload library (native/Makefile), dist/ (bundle.mjs),
// declarations (tsc).
//   node scripts/build.mjs             everything in place, only what changed
//   node scripts/build.mjs --release   and prebuilds/, as the package ships it
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { bundle } from './bundle.mjs';
import { ensureModules, inRoot, make, run, say } from './lib.mjs';

/** Type declarations of the library, beside its JavaScript. */
async function declarations() {
  await run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.lib.json']);
}

/** prebuilds/: native code as shipped: baseline instruction set, libstdc++ inside. */
async function prebuild() {
  const folder = inRoot('prebuilds', `${process.platform}-${process.arch}`);
  // Whatever flags the objects at hand were made with (-march=native, say), these decide.
  await make(['addon', 'preload', 'CXXFLAGS=-O2 -g1']);
  mkdirSync(folder, { recursive: true });
  for (const file of ['vale.node', 'vale-agent', 'libvale-preload.so']) {
    cpSync(inRoot('build/native', file), join(folder, file));
    await run('strip', ['--strip-debug', join(folder, file)]);
  }
}

const release = process.argv.includes('--release');
await ensureModules();
say(release ? 'building the release' : 'building');
await (release ? prebuild() : make(['addon', 'preload']));
await bundle();
await declarations();
