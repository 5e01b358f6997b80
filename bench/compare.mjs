// SPDX-License-Identifier: BSD-2-Clause
// --compare REV: another revision of the core under the measuring programs of this one, in a checkout
// of its own, so that both builds run in turns and every ratio is of one pair of windows.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';

import { inRoot, say } from '../scripts/lib.mjs';
import { Skip } from './measure.mjs';

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: inRoot(), encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.trim().split('\n').at(-1)}`);
  return stdout.trim();
}

/**
 * Builds revision `rev` under the system's temporary folder.
 * @returns {{root: string, name: string, missing: string[], remove: () => void}} missing: programs that do
 *   not compile there
 * @throws {Error} one line: no such revision, or it does not compile
 */
export function checkout(rev) {
  const commit = git('rev-parse', '--verify', '--quiet', '--short', `${rev}^{commit}`);
  const root = mkdtempSync(join(os.tmpdir(), 'vale-compare-'));
  const remove = () => {
    rmSync(root, { recursive: true, force: true });
    spawnSync('git', ['worktree', 'prune'], { cwd: inRoot() });
  };
  const build = () =>
    spawnSync(
      process.platform === 'freebsd' ? 'gmake' : 'make',
      ['-s', '-C', join(root, 'native'), '-k', `-j${os.availableParallelism()}`, 'benches'],
      { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
    );
  const programs = readdirSync(inRoot('native/bench'))
    .filter((file) => file.endsWith('.cc'))
    .map((file) => file.slice(0, -'.cc'.length));
  const missing = () =>
    programs.filter((program) => !existsSync(join(root, 'build/native/bench', program)));
  try {
    git('worktree', 'add', '--quiet', '--detach', '--force', root, commit);
    say(`compiling ${commit} in ${root}`);
    // The same programs measure both, if the other core has what they ask for; else its own do.
    for (const folder of ['native/bench', 'native/test/support'])
      cpSync(inRoot(folder), join(root, folder), { recursive: true });
    let { stderr } = build();
    const foreign = missing();
    if (foreign.length > 0) {
      for (const program of foreign) {
        const args = ['checkout', '--quiet', commit, '--', `native/bench/${program}.cc`];
        spawnSync('git', args, { cwd: root });
      }
      ({ stderr } = build());
      const own = foreign.filter((program) => !missing().includes(program));
      if (own.length > 0)
        say(`${commit} has programs of its own, today's do not compile there: ${own.join(', ')}`);
    }
    if (missing().length === programs.length)
      throw new Error(`${commit} does not compile: ${stderr.trim().split('\n').at(-1)}`);
  } catch (error) {
    remove();
    throw error;
  }
  return { root, name: commit, missing: missing(), remove };
}

/** Trials as comparisons: the limit is what the other build reaches. Says which it leaves out. */
export function against(trials, { root, name, missing, directory }) {
  const comparable = ({ kind, tool }) =>
    kind === undefined && !['spsc', 'memcpy', 'line'].includes(tool);
  const others = trials.filter((trial) => !comparable(trial));
  if (others.length > 0)
    say(`not compared, no program of our core: ${others.map((trial) => trial.name).join(', ')}`);
  return trials.filter(comparable).map((trial) => ({
    ...trial,
    bar: undefined,
    floor: undefined,
    compared: true,
    check: () => {
      if (missing.includes(trial.tool)) throw new Skip(`${trial.tool} does not compile in ${name}`);
    },
    limit: { name, tool: trial.tool, args: trial.args, root, directory },
  }));
}
