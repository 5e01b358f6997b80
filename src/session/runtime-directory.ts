// SPDX-License-Identifier: BSD-2-Clause
// Where the runtime directory is, for who only wants to look.
import { isAbsolute } from 'node:path';

import { read } from './doctor-caller.js';

/** Who root is outside of this user namespace. */
function rootOutside(): number {
  const lines = read('/proc/self/uid_map').trim().split('\n');
  const map = lines.map((line) => line.trim().split(/\s+/).map(Number));
  return map.find(([inside]) => inside === 0)?.[1] ?? 0;
}

/** The runtime directory by the rule of vale(4), without making it. */
export function runtimeDirectory(env: NodeJS.ProcessEnv, uid: number): string {
  if (env['VALE_DIR']) return env['VALE_DIR'];
  const user = uid === 0 ? rootOutside() : uid;
  if (user === 0) return '/run/vale';
  const run = env['XDG_RUNTIME_DIR'] ?? '';
  return isAbsolute(run) ? `${run}/vale` : `/dev/shm/vale-${user}`;
}
