// SPDX-License-Identifier: BSD-2-Clause
// --compare REV: another revision of the core under the measuring programs of this one, in a checkout
// of its own, so that both builds run in turns and every ratio is of one pair of windows.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';

import { inRoot, say } from '../scripts/lib.mjs';

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: inRoot(), encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.trim().split('\n').at(-1)}`);
  return stdout.trim();
}

/**
 * Builds revision `rev` under the system's temporary folder.
 * @returns {{root: string, name: string, remove: () => void}}
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
  try {
    git('worktree', 'add', '--quiet', '--detach', '--force', root, commit);
    say(`compiling ${commit} in ${root}`);
    // The same programs measure both, if the other core has what they ask for; else its own do.
    cpSync(inRoot('native/bench'), join(root, 'native/bench'), { recursive: true });
    if (build().status !== 0) {
      say(`${commit} is measured by programs of its own: today's do not compile there`);
      spawnSync('git', ['checkout', '--quiet', '--', '.'], { cwd: root });
      spawnSync('git', ['clean', '-fdq', 'native/bench'], { cwd: root });
      const { status, stderr } = build();
      if (status !== 0)
        throw new Error(`${commit} does not compile: ${stderr.trim().split('\n').at(-1)}`);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { root, name: commit, remove };
}

/** Trials as comparisons: the limit is what the other build reaches. */
export function against(trials, { root, name, directory }) {
  return trials
    .filter(({ kind, tool }) => kind === undefined && !['spsc', 'memcpy', 'line'].includes(tool))
    .map((trial) => ({
      ...trial,
      bar: undefined,
      floor: undefined,
      limit: { name, tool: trial.tool, args: trial.args, root, directory },
    }));
}
