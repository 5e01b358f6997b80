// SPDX-License-Identifier: BSD-2-Clause
// Where the runtime directory is, for who only wants to look.

/** The runtime directory by the rule of vale(4), without making it. */
export function runtimeDirectory(env: NodeJS.ProcessEnv, uid: number): string {
  if (env['VALE_DIR']) return env['VALE_DIR'];
  if (uid === 0) return '/run/vale';
  if (env['XDG_RUNTIME_DIR']) return `${env['XDG_RUNTIME_DIR']}/vale`;
  return `/dev/shm/vale-${uid}`;
}
