// SPDX-License-Identifier: BSD-2-Clause
// A runtime directory of a test's own, ports in it, frames and programs: for tests of the library.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';

import {
  parseMac,
  Runtime,
  type OpenOptions,
  type RxBatch,
  type ValePort,
} from '../../src/index.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const library = join(root, 'dist/lib/index.js');

export let directory: string;
export let runtime: Runtime;
export let cleanup: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(process.env['VALE_DIR']!, 'library-'));
  runtime = new Runtime(directory);
  cleanup = [];
});

afterEach(() => {
  for (const step of cleanup.reverse()) step();
  runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

export async function open(name: string, options?: OpenOptions): Promise<ValePort> {
  const port = await runtime.openPort(name, options);
  cleanup.push(() => port.close());
  return port;
}

/** An Ethernet frame whose payload is a count. */
export function frame(destination: string, source: string, payload = 0, size = 60): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, mac] of [parseMac(destination), parseMac(source)].entries()) {
    view.setUint16(at * 6, Math.floor(mac / 2 ** 32));
    view.setUint32(at * 6 + 2, mac % 2 ** 32);
  }
  view.setUint16(12, 0x88b5);
  view.setUint32(14, payload);
  for (let i = 18; i < size; i += 1) bytes[i] = (i * 7) & 0xff;
  return bytes;
}

export const A = '02:00:00:00:00:0a';
export const B = '02:00:00:00:00:0b';
export const ALL = 'ff:ff:ff:ff:ff:ff';

/** Copies of everything that arrives until `count` frames have, or 3 s have passed. */
export async function receive(port: ValePort, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  while (frames.length < count && (await port.readable(3000)))
    for (let batch; frames.length < count && (batch = port.receive(count - frames.length));)
      for (let i = 0; i < batch.length; i += 1) frames.push(batch.copy(i));
  return frames;
}

export async function firstBatch(port: ValePort): Promise<RxBatch> {
  expect(await port.readable(3000)).toBe(true);
  return port.receive()!;
}

/** Runs a program of the repository; lines of its standard output come from next(). */
export function start(...args: string[]) {
  const env = { ...process.env, VALE_DIR: directory };
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup.push(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return { child, exit, next: async () => (await lines.next()).value as string | undefined };
}

/** The library's own built form, as a program imports it. */
export const program = (body: string) => [
  '--input-type=module',
  '-e',
  `import * as vale from ${JSON.stringify(library)};${body}`,
];
