// SPDX-License-Identifier: BSD-2-Clause
// What the scripts share. Only Node's own modules: this runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const inRoot = (...parts) => join(root, ...parts);

/** Progress, on stderr: stdout belongs to what the script was called for. */
export function say(text) {
  process.stderr.write(`vale-switch: ${text}\n`);
}

/** One line, exit 1. */
export function fail(text) {
  say(text);
  process.exit(1);
}

export function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Runs a command in the package's root, its stdout shown on stderr; ends the script if it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
    child.on('error', (error) => fail(`cannot run ${command}: ${error.message}`));
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else fail(`failed (${signal ?? code}): ${command} ${args.join(' ')}`);
    });
  });
}

/** Are the modules that package-lock.json asks for there, in these versions? */
function modulesAreCurrent() {
  try {
    const read = (file) => JSON.parse(readFileSync(inRoot(file), 'utf8')).packages;
    const have = read('node_modules/.package-lock.json');
    return Object.entries(read('package-lock.json')).every(
      ([path, { version, optional }]) =>
        path === '' || have[path]?.version === version || (optional && !have[path]),
    );
  } catch {
    return false;
  }
}

/** `npm ci` if node_modules is missing or not what package-lock.json says. */
export async function ensureModules() {
  if (modulesAreCurrent()) return;
  say('installing development packages (npm ci)');
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

const gnuMake = process.platform === 'freebsd' ? 'gmake' : 'make';

/** Ends the script in one line if native code cannot be compiled here. */
function checkToolchain() {
  const compiler = process.env['CXX'] ?? 'c++';
  const install =
    process.platform === 'freebsd'
      ? 'pkg install gmake'
      : "apt-get install g++ make (or your system's)";
  if (!has(gnuMake)) fail(`${gnuMake} is missing: ${install}`);
  if (!has(compiler)) fail(`no C++ compiler (${compiler}): ${install}`);
  const cxx20 = spawnSync(compiler, ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], {
    input:
      '#include <concepts>\n#include <bit>\ntemplate <std::integral T> T f(T x) { return x; }\n',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (cxx20.status !== 0)
    fail(`${compiler} cannot compile C++20: install g++ 10 or clang++ 14 or newer, or set CXX`);
}

/** Where the addon's headers are, wherever npm has put them. */
export function headerPaths() {
  const require = createRequire(import.meta.url);
  const folder = (name) => dirname(require.resolve(`${name}/package.json`));
  try {
    return [
      `NODE_API=${join(folder('node-api-headers'), 'include')}`,
      `NODE_ADDON_API=${folder('node-addon-api')}`,
    ];
  } catch {
    return []; // not installed yet: the core needs none
  }
}

/**
 * Runs native/Makefile; it rebuilds only what changed. Two at a time would write the same files, so
 * they take turns where flock(1) exists.
 */
export async function make(goals) {
  const args = [
    '-C',
    inRoot('native'),
    `-j${availableParallelism()}`,
    '--no-print-directory',
    ...headerPaths(),
    ...goals,
  ];
  if (spawnSync(gnuMake, ['-q', ...args], { stdio: 'ignore' }).status === 0) return;
  checkToolchain();
  say(`compiling native code (${goals.filter((goal) => !goal.includes('=')).join(', ')})`);
  mkdirSync(inRoot('build'), { recursive: true });
  const quiet = ['-s', ...args];
  if (has('flock')) await run('flock', [inRoot('build/.lock'), gnuMake, ...quiet]);
  else await run(gnuMake, quiet);
}

export const exists = (...parts) => existsSync(inRoot(...parts));
