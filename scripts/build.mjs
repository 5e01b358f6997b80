// SPDX-License-Identifier: BSD-2-Clause
// Builds what runs: the addon (by native/Makefile), dist/ (esbuild), declarations (tsc).
//   node scripts/build.mjs             everything in place, only what changed
//   node scripts/build.mjs --release   what the package ships, from clean objects
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ensureModules, fail, inRoot, make, root, run, say } from './lib.mjs';

/** The licences of what is bundled into dist, which they ask to be kept with it. */
function licences(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) packages.add(match[1]);
  }
  return [...packages]
    .sort()
    .map((name) => {
      const folder = inRoot('node_modules', name);
      const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = ['LICENSE', 'LICENSE.md', 'license', 'LICENSE.txt', 'LICENCE']
        .map((candidate) => join(folder, candidate))
        .find((candidate) => existsSync(candidate));
      const text = file ? readFileSync(file, 'utf8').trim() : '';
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(78)}\n\n`);
}

/** Verbs import '@oclif/core'; the start is faster with only the parts they use. */
const slimOclif = {
  name: 'slim-oclif',
  setup(build) {
    build.onResolve({ filter: /^@oclif\/core$/ }, ({ importer }) =>
      importer.startsWith(inRoot('src')) ? { path: inRoot('src/oclif.ts') } : undefined,
    );
  },
};

/**
 * dist/: the CLI, one chunk a verb, and the library, sharing code. Nothing is left to be installed:
 * everything from node_modules is bundled.
 */
export async function bundle() {
  const { build } = await import('esbuild');
  const entryPoints = { cli: 'src/cli.ts', commands: 'src/commands/all.ts' };
  if (existsSync(inRoot('src/index.ts'))) entryPoints['lib/index'] = 'src/index.ts';
  const result = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    // oclif asks for it only when it runs TypeScript sources.
    external: ['typescript'],
    plugins: [slimOclif],
    // What is CommonJS inside calls require() for Node's own modules.
    banner: {
      js: "import{createRequire as valeRequire}from'node:module';const require=valeRequire(import.meta.url);",
    },
  }).catch(() => fail('bundling failed, see above'));
  const { metafile } = result;
  // Old chunks go after the new ones are in place: a running `vale` may still want them.
  const chunks = inRoot('dist/chunks');
  for (const name of existsSync(chunks) ? readdirSync(chunks) : [])
    if (!metafile.outputs[`dist/chunks/${name}`]) rmSync(join(chunks, name));
  writeFileSync(inRoot('dist/THIRD-PARTY-LICENSES.txt'), licences(metafile));
  await manifest();
}

/** oclif.manifest.json: what help and the start need to know of each verb without loading it. */
async function manifest() {
  const { Plugin } = await import('@oclif/core');
  const pjson = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const plugin = new Plugin({
    root,
    pjson,
    isRoot: true,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
  });
  await plugin.load();
  writeFileSync(inRoot('oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

/** Type declarations of the library, beside its JavaScript. */
async function declarations() {
  if (!existsSync(inRoot('src/index.ts'))) return;
  await run('node', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.lib.json']);
}

/** prebuilds/: the addon as shipped: baseline instruction set, libstdc++ inside. */
async function prebuild() {
  const folder = inRoot('prebuilds', `${process.platform}-${process.arch}`);
  // Whatever flags the objects at hand were made with (-march=native, say), these decide.
  await make(['addon', 'CXXFLAGS=-O2 -g1']);
  mkdirSync(folder, { recursive: true });
  cpSync(inRoot('build/native/vale.node'), join(folder, 'vale.node'));
  await run('strip', ['--strip-debug', join(folder, 'vale.node')]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const release = process.argv.includes('--release');
  await ensureModules();
  say(release ? 'building the release' : 'building');
  await (release ? prebuild() : make(['addon']));
  await bundle();
  await declarations();
}
