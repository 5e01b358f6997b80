// SPDX-License-Identifier: BSD-2-Clause
// Finding a program as a shell would, and why /dev/netmap would not be there in it.
import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { delimiter, join } from 'node:path';

import { ValeError } from '../errors.js';
import { native } from '../native.js';
import { inspect, ownMachine, type Program } from './elf.js';

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statOf(path)?.isFile() ?? false;
  } catch {
    return false;
  }
}

/** The file that a shell would run. Throws a ValeError that says what is wrong with the word. */
export function findProgram(word: string, path = process.env['PATH'] ?? '/usr/bin:/bin'): string {
  if (word.includes('/')) {
    const stat = statOf(word);
    if (!stat) throw new ValeError(`${word}: no such program`);
    if (!stat.isFile()) throw new ValeError(`${word}: not a program but a directory or device`);
    if (!isExecutable(word)) throw new ValeError(`${word}: you may not execute it; see chmod(1)`);
    return word;
  }
  const found = path
    .split(delimiter)
    .map((folder) => join(folder === '' ? '.' : folder, word))
    .find((file) => isExecutable(file));
  if (found === undefined)
    throw new ValeError(`${word}: not found in $PATH; give its path, as in ./${word}`);
  return found;
}

/** Programs into which nothing can be loaded because they run with more rights than their caller. */
function privileged(file: string): string | undefined {
  const stat = statSync(file);
  const gains = (bit: number, own: number | undefined, owner: number): boolean =>
    (stat.mode & bit) !== 0 && own !== owner;
  if (gains(0o4000, process.geteuid?.(), stat.uid)) return 'is setuid';
  if (gains(0o2000, process.getegid?.(), stat.gid)) return 'is setgid';
  if (process.geteuid?.() !== 0 && native().hasFileCapabilities(file))
    return 'has file capabilities';
  return undefined;
}

function misfit(program: Program): string | undefined {
  if (program.kind !== 'elf') return undefined;
  if (program.bits !== 64 || program.machine !== ownMachine)
    return `is a program for another machine than ${process.arch}, which the library is for`;
  if (program.go)
    return 'is written in Go, whose runtime makes system calls itself, past any library';
  if (program.loader === undefined)
    return 'is statically linked, so that no library can be loaded into it: get one that is not';
  if (program.loader.includes('musl'))
    return 'is linked with musl, and the library with glibc: build it for glibc';
  return undefined;
}

/**
 * Throws a ValeError when the program cannot work with the library: one line that says why. Follows
 * scripts to their interpreters.
 */
export function checkProgram(file: string): void {
  let at = file;
  for (let depth = 0; depth < 4; depth++) {
    const rights = privileged(at);
    if (rights !== undefined)
      throw new ValeError(
        `${at} ${rights}, so that the system loads no library into it: run a copy of it ` +
          '(cp makes one without these rights)',
      );
    let program: Program;
    try {
      program = inspect(at);
    } catch {
      return; // executable but not readable: it may well work
    }
    const reason = misfit(program);
    if (reason !== undefined) throw new ValeError(`${at} ${reason}`);
    if (program.kind !== 'script') return;
    // #!/usr/bin/env and the like start another program in turn, which is loaded as any other.
    if (!statOf(program.interpreter)) return;
    at = program.interpreter;
  }
}
