// SPDX-License-Identifier: BSD-2-Clause
// Shows an agent's log: two files, the older half first. When the newer one is full the agent makes it
// the older half and begins a new one.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import type { AgentRow } from '../native-types.js';
import type { Control } from './control.js';
import { pause } from './supervise.js';

/** How often a log that is followed is looked at, s. */
const LOOK = 0.2;

/** What has been shown of one file. */
class Tail {
  private file: number | undefined;

  /** @param path opened now, and read as this file whatever becomes of its name */
  constructor(path: string) {
    try {
      this.file = openSync(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** undefined when there is none */
  get inode(): number | undefined {
    return this.file === undefined ? undefined : fstatSync(this.file).ino;
  }

  /** Prints what was added since. */
  print(): void {
    if (this.file === undefined) return;
    const part = Buffer.alloc(65_536);
    for (let n: number; (n = readSync(this.file, part)) > 0;)
      process.stdout.write(Buffer.from(part.subarray(0, n)));
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }
}

/** @param stop given: goes on until it fires or the agent is gone */
export async function showLog(control: Control, name: string, stop?: AbortSignal): Promise<void> {
  const agent = control.agent(name);
  const older = new Tail(agent.olderLog);
  older.print();
  older.close();
  let tail = new Tail(agent.log);
  tail.print();
  while (stop !== undefined && !stop.aborted && lives(control, agent)) {
    await pause(LOOK, stop);
    tail.print();
    const next = new Tail(agent.log);
    if (next.inode === undefined || next.inode === tail.inode) {
      next.close();
      continue;
    }
    tail.print();
    tail.close();
    tail = next;
    tail.print();
  }
  tail.print();
  tail.close();
  if (!agent.alive) control.forget(agent.port);
  else if (!lives(control, agent)) control.tellDeaths();
}

function lives(control: Control, { port, pid, started }: AgentRow): boolean {
  return control.alive(port, pid, started);
}
