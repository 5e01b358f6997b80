// SPDX-License-Identifier: BSD-2-Clause
// Everything a script of package.json needs on a fresh clone, and nothing when all is current.
//   node scripts/setup.mjs modules   node_modules
//   node scripts/setup.mjs           ... the addon, the preload library and dist
//   node scripts/setup.mjs tests     ... and the native test programs
//   node scripts/setup.mjs benches   ... and the native benchmarks
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { ensureModules, exists, inRoot, make, say } from './lib.mjs';

const goal = process.argv[2] ?? 'run';

/** Time of the newest file under a folder, ms. */
function newest(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (time, entry) => Math.max(time, statSync(join(entry.parentPath, entry.name)).mtimeMs),
      0,
    );
}

function bundleIsCurrent() {
  if (!exists('dist/cli.js') || !exists('oclif.manifest.json')) return false;
  const sources = ['package.json', 'scripts/bundle.mjs'].map(
    (file) => statSync(inRoot(file)).mtimeMs,
  );
  return (
    statSync(inRoot('oclif.manifest.json')).mtimeMs >= Math.max(newest(inRoot('src')), ...sources)
  );
}

// The core needs no module, so it compiles while npm downloads.
await Promise.all([ensureModules(), goal === 'modules' ? undefined : make(['core'])]);
if (goal !== 'modules') {
  const also = goal === 'tests' || goal === 'benches' ? [goal] : [];
  await make(['addon', 'preload', ...also]);
  if (!bundleIsCurrent()) {
    say('bundling');
    const { bundle } = await import('./bundle.mjs');
    await bundle();
  }
}
