// SPDX-License-Identifier: BSD-2-Clause
// Making folders.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

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
