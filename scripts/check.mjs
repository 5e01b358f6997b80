// SPDX-License-Identifier: BSD-2-Clause
// npm run check: types, lint, format, and native code without a warning. All of them run, so that one
// call shows everything there is to mend.
// npm run format (--fix): mends what a tool can mend.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { has, headerPaths, inRoot, root, say } from './lib.mjs';

const node = (script, ...args) => [process.execPath, inRoot('node_modules', script), ...args];

function nativeSources() {
  return readdirSync(inRoot('native'), { recursive: true })
    .filter((file) => /\.(cc|h)$/.test(file))
    .map((file) => join('native', file));
}

// Objects at hand may have been made with a warning, so there is a set without any. CI starts with
// none, and saves one compilation.
const ownObjects = process.env['CI'] ? [] : ['BUILD=../build/check'];

const fixes = [
  ['lint', node('eslint/bin/eslint.js', '--fix', '.')],
  ['format', node('prettier/bin/prettier.cjs', '--write', '--log-level=warn', '.')],
];
const checks = [
  ['types', node('typescript/bin/tsc', '--noEmit', '-p', '.')],
  ['lint', node('eslint/bin/eslint.js', '--max-warnings=0', '.')],
  ['format', node('prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.')],
  [
    'native warnings',
    [
      process.platform === 'freebsd' ? 'gmake' : 'make',
      ...['-s', '-C', 'native', '-k', `-j${availableParallelism()}`, 'WERROR=1', ...ownObjects],
      ...headerPaths(),
      ...['addon', 'preload', 'tests', 'benches'],
    ],
  ],
];

const fix = process.argv.includes('--fix');
const steps = fix ? fixes : checks;
if (has('clang-format')) {
  const how = fix ? ['-i'] : ['--dry-run', '-Werror'];
  steps.push(['native format', ['clang-format', ...how, ...nativeSources()]]);
} else say('native format: skipped, clang-format is not installed');

const failed = steps.filter(([name, [command, ...args]]) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  say(`${name}: ${status === 0 ? 'good' : 'FAILED'}`);
  return status !== 0;
});
process.exit(failed.length === 0 ? 0 : 1);
