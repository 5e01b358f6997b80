// SPDX-License-Identifier: BSD-2-Clause
/** Real `vale` processes: start, wait for what they say, stop, look at what they said. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packageRoot } from '../../src/native.js';

const bin = join(packageRoot(), 'bin', 'vale.js');
const own = [process.execPath, bin];

/** Whether what is tested drives /dev/netmap, in the project "kernel". */
export const onKernel = process.env['VALE_DEVICE'] === 'kernel';

/** A figure that only a device of our own tells; the kernel's says `unknown` (in JSON null). */
export function counted<T, U = null>(value: T, unknown: U = null as U): T | U {
  return onKernel ? unknown : value;
}

/** The words that run this program: where it drives /dev/netmap, under itself, whose that is. */
export const cli: readonly string[] = onKernel ? [...own, 'run', ...own] : own;

export interface Result {
  /** null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** From stop() to the end, ms; 0 if it ended by itself. */
  stopTime: number;
}

export class Vale {
  stdout = '';
  stderr = '';
  readonly process: ChildProcess;
  private readonly ended: Promise<number | null>;
  private stopped = 0;
  private end = 0;

  /** inside: a command that runs it elsewhere, such as in a network namespace. */
  constructor(args: string[], env: NodeJS.ProcessEnv = {}, inside: string[] = []) {
    const [command = '', ...rest] = [...inside, ...cli, ...args];
    this.process = spawn(command, rest, {
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.on('data', (data: Buffer) => (this.stdout += data.toString()));
    this.process.stderr?.on('data', (data: Buffer) => (this.stderr += data.toString()));
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => {
        this.end = performance.now();
        resolve(code);
      });
    });
  }

  /** Waits until it has said something on either stream. Fails when it ends, or 10 s pass. */
  async says(what: RegExp): Promise<this> {
    const deadline = performance.now() + 10_000;
    while (!what.test(this.stdout) && !what.test(this.stderr)) {
      if (this.process.exitCode !== null || performance.now() > deadline)
        throw new Error(`never said ${what}:\n${this.stdout}${this.stderr}`);
      await sleep(5);
    }
    return this;
  }

  async result(): Promise<Result> {
    const code = await this.ended;
    const stopTime = this.stopped === 0 ? 0 : this.end - this.stopped;
    return { code, stdout: this.stdout, stderr: this.stderr, stopTime };
  }

  stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Result> {
    this.stopped = performance.now();
    this.process.kill(signal);
    return this.result();
  }
}

/** Runs to the end. */
export function vale(...args: string[]): Promise<Result> {
  return new Vale(args).result();
}

let names = 0;

/** A switch that no other test uses. */
export function freshSwitch(): string {
  names += 1;
  return `vale${process.pid % 100_000}_${names}`;
}
