// SPDX-License-Identifier: BSD-2-Clause
/** A switch that only the test at hand uses, and ports on it that end with the test. */
import { afterEach, beforeEach } from 'vitest';

import { Runtime, type OpenOptions, type ValePort } from '../../src/index.js';
import { freshSwitch } from './vale.js';

export let runtime: Runtime;
/** The switch's name. */
export let sw: string;
let ports: ValePort[] = [];

/** Call once at the top of a test file. */
export function useOwnSwitch(): void {
  beforeEach(() => {
    runtime = new Runtime();
    sw = freshSwitch();
    ports = [];
  });
  afterEach(() => {
    for (const port of ports) port.close();
    runtime.close();
  });
}

export async function open(name: string, options?: OpenOptions): Promise<ValePort> {
  const port = await runtime.openPort(`${sw}:${name}`, options);
  ports.push(port);
  return port;
}
