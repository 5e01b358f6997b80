// SPDX-License-Identifier: BSD-2-Clause
// Where folders are, and making them.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, isAbsolute } from 'node:path';

/** $HOME, or where that is no absolute path the home of whoever runs this. */
export function homeFolder(home = process.env['HOME'] ?? ''): string {
  return isAbsolute(home) ? home : userInfo().homedir;
}

/**
 * Makes a folder and those that it is in. Node's own way of that never returns in /proc, which says of every name
 * that it is not there and cannot be made.
 * @throws the system's error, of the folder that cannot be made
 */
export function makeFolders(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const parent = dirname(path);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || parent === path || existsSync(parent)) throw error;
    makeFolders(parent);
    mkdirSync(path);
  }
}
