// SPDX-License-Identifier: BSD-2-Clause
// Under sudo the runtime directory is root's. When what was named is in the directory of the user
// who typed sudo, the exact line that reaches it says more than "no such port".
import { existsSync } from 'node:fs';

import type { NativeBinding, NativeRuntime } from '../native-types.js';
import { typed } from '../shell.js';

/** The process as far as it matters here; replaced in tests. */
export interface Caller {
  uid: number | undefined;
  env: NodeJS.ProcessEnv;
  /** Words after `vale`. */
  argv: readonly string[];
  exists(path: string): boolean;
}

const thisProcess = (): Caller => ({
  uid: process.getuid?.(),
  env: process.env,
  argv: process.argv.slice(2),
  exists: existsSync,
});

/** Where a user's runtime directory is by default; we do not see that user's environment. */
function directoriesOf(uid: string): string[] {
  return [`/run/user/${uid}/vale`, `/dev/shm/vale-${uid}`];
}

/**
 * One line when the switch (or persistent port) that `name` names is in the invoking user's
 * directory and not in `runtime`; undefined otherwise, and whenever there is no sudo.
 */
export function elsewhere(
  name: string,
  binding: NativeBinding,
  runtime: NativeRuntime,
  caller: Caller = thisProcess(),
): string | undefined {
  const { env } = caller;
  const uid = env['SUDO_UID'];
  if (runtime.device === 'kernel') return undefined;
  if (caller.uid !== 0 || !/^[1-9]\d*$/.test(uid ?? '') || env['VALE_DIR']) return undefined;
  const what = subject(name);
  if (holds(runtime, what)) return undefined;
  const directory = directoriesOf(uid ?? '').find(
    (path) => caller.exists(path) && holdsAt(binding, path, what),
  );
  if (directory === undefined) return undefined;
  const user = env['SUDO_USER'] ?? `user ${uid}`;
  const line = ['sudo', `VALE_DIR=${directory}`, 'vale', ...caller.argv].map(typed).join(' ');
  return `${what} is in ${user}'s directory, not in root's; run: ${line}`;
}

/** The switch of a name, or the name itself where it has none. */
function subject(name: string): string {
  const bare = name.replace(/^netmap:/, '').replace(/[{}*^/@].*$/s, '');
  return bare.startsWith('vale') ? bare.replace(/:.*$/s, '') : bare;
}

function holds(runtime: NativeRuntime, what: string): boolean {
  return (
    runtime.switches().some((row) => row.name === what) ||
    runtime.list().some((row) => row.name === what || row.name === `vale:${what}`)
  );
}

function holdsAt(binding: NativeBinding, directory: string, what: string): boolean {
  let runtime: NativeRuntime | undefined;
  try {
    runtime = binding.openRuntime(directory);
    return holds(runtime, what);
  } catch {
    // It was only a guess where to look: the failure the user asked about is reported instead.
    return false;
  } finally {
    runtime?.close();
  }
}
