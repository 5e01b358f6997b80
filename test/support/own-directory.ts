// SPDX-License-Identifier: BSD-2-Clause
/** A runtime directory that only the test at hand uses, ports in it that end with the test, and vale ctl on it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';

import { openPort, type OpenPortOptions } from '../../src/port/open.js';
import type { ValePort } from '../../src/port/port.js';
import { cli } from './vale.js';

export let directory: string;
let ports: ValePort[] = [];

/** Call once at the top of a test file. */
export function useOwnDirectory(): void {
  beforeEach(() => {
    directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'ctl-'));
    ports = [];
  });
  afterEach(() => {
    for (const port of ports) port.close();
    rmSync(directory, { recursive: true, force: true });
  });
}

export const env = (): NodeJS.ProcessEnv => ({ ...process.env, VALE_DIR: directory });

export function ctl(...args: string[]) {
  const [program = '', ...words] = cli;
  const { status, stdout, stderr } = spawnSync(program, [...words, 'ctl', ...args], {
    encoding: 'utf8',
    env: env(),
  });
  return { status, stdout, stderr };
}

/** Of a call that must succeed quietly. */
export function output(...args: string[]): string {
  const { status, stdout, stderr } = ctl(...args);
  expect({ status, stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' });
  return stdout;
}

export async function open(
  name: string,
  options: Omit<OpenPortOptions, 'name'> = {},
): Promise<ValePort> {
  const port = await openPort({ name, directory, ...options });
  ports.push(port);
  return port;
}
