// SPDX-License-Identifier: BSD-2-Clause
// dist/ from the sources. Each program is one file with everything from node_modules in it: nothing is
// left to be installed, and Node's start reads one file instead of dozens (a third of `vale ctl`).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fail, inRoot, root } from './lib.mjs';

/**
 * What oclif loads at every start for things that do not happen here: plugins found by patterns,
 * commands found by scanning folders, TypeScript sources, Windows, spinners, values from stdin, its own
 * colours (report/terminal.ts decides about colour) and debug log.
 */
const UNUSED =
  /^(ansi-escapes|cli-spinners|debug|lilconfig|minimatch|node:child_process|node:readline|supports-color|tinyglobby|wsl-utils)$/;

/** A function that does nothing and has what oclif looks at when it loads: debug's, cli-spinners'. */
const NOTHING = `
  const create = () => Object.assign(() => {}, { enabled: false, extend: create });
  create.dots2 = create.line = { frames: [] };
  module.exports = Object.assign(create, { default: create });`;

const slimOclif = {
  name: 'slim-oclif',
  setup(build) {
    // Verbs import '@oclif/core'; they get the parts they use.
    build.onResolve({ filter: /^@oclif\/core$/ }, ({ importer }) =>
      importer.startsWith(inRoot('src')) ? { path: inRoot('src/oclif.ts') } : undefined,
    );
    build.onResolve({ filter: UNUSED }, ({ path, importer }) =>
      importer.includes('/node_modules/@oclif/core/') ? { path, namespace: 'unused' } : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'unused' }, () => ({ contents: NOTHING }));
  },
};

const common = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};

const cli = {
  ...common,
  entryPoints: { cli: 'src/cli.ts', commands: 'src/commands/all.ts' },
  minify: true,
  // oclif asks for it only when it runs TypeScript sources.
  external: ['typescript'],
  plugins: [slimOclif],
  // What is CommonJS inside calls require() for Node's own modules.
  banner: {
    js: "import{createRequire as valeRequire}from'node:module';const require=valeRequire(import.meta.url);",
  },
};

const library = { ...common, entryPoints: { 'lib/index': 'src/index.ts' } };

/** The licences of what is bundled into dist, which they ask to be kept with it. */
function licences(inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(input);
    if (match) packages.add(match[1]);
  }
  return [...packages]
    .sort()
    .map(licence)
    .join(`\n${'-'.repeat(78)}\n\n`);
}

function licence(name) {
  const folder = inRoot('node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.(md|txt))?$/i.test(entry));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
  return `${name} ${version} (${license})\n\n${text}\n`;
}

/** oclif.manifest.json: what help and the start need to know of each verb without loading it. */
async function writeManifest() {
  const { Plugin } = await import('@oclif/core');
  const plugin = new Plugin({
    root,
    pjson: JSON.parse(readFileSync(inRoot('package.json'), 'utf8')),
    isRoot: true,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
  });
  await plugin.load();
  writeFileSync(inRoot('oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

/** Builds the CLI and the library; ends the script in one line where the sources have an error. */
export async function bundle() {
  const { build } = await import('esbuild');
  const results = await Promise.all([build(cli), build(library)]).catch(() =>
    fail('bundling failed, see above'),
  );
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  writeFileSync(inRoot('dist/THIRD-PARTY-LICENSES.txt'), licences(inputs));
  await writeManifest();
}
