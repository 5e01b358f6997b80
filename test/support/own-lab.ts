// SPDX-License-Identifier: BSD-2-Clause
/** A laboratory and a runtime directory that only the test file at hand uses, and vale on what is attached there. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';

import { packageRoot } from '../../src/native.js';
import { violations } from './json-schema.js';
import { Lab, type Finished, type Host } from './lab.js';
import { Vale } from './vale.js';

const schema = JSON.parse(
  readFileSync(join(packageRoot(), 'docs', 'schema', 'ctl.json'), 'utf8'),
) as Parameters<typeof violations>[1];

interface PortJson {
  name: string;
  mac: string;
  interface: {
    name: string;
    stalled: boolean;
    process_id: number;
    polling: unknown;
    counters: { rx_frames: number; tx_frames: number };
  } | null;
  counters: { tx_frames: number; rx_frames: number };
}

export let lab: Lab;
/** The runtime directory. */
export let directory: string;
/** For other files. */
export let folder: string;

/** Call once, where the tests are described that use it. */
export function useOwnLab(): void {
  beforeAll(async () => {
    directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'agent-'));
    folder = mkdtempSync(join(tmpdir(), 'vale-agent-'));
    lab = await Lab.open();
    await good('list');
  });
  afterAll(async () => {
    for (const { name, interface: served } of await list())
      if (served !== null && !name.endsWith('^')) {
        await ctl('-P', name);
        await ctl('-d', name);
      }
    lab.close();
    rmSync(directory, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  });
}

export const vale = (...args: string[]) => new Vale(args, { VALE_DIR: directory }, lab.inside);
export const ctl = (...args: string[]) => vale('ctl', ...args).result();

/** Of a call that must succeed quietly. */
export async function good(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ctl(...args);
  expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** Of a call that must fail, saying so in one line. */
export async function failure(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ctl(...args);
  expect({ code, stdout }, args.join(' ')).toEqual({ code: 1, stdout: '' });
  expect(stderr.trim()).not.toContain('\n');
  return stderr;
}

async function list(): Promise<PortJson[]> {
  const found = JSON.parse(await good('--json')) as { ports: PortJson[] };
  expect(violations(found, schema, 'snapshot')).toEqual([]);
  return found.ports;
}
export const row = async (name: string) => (await list()).find((port) => port.name === name);
/** Of the process that serves a port. */
export const pid = async (name: string) => (await row(name))!.interface!.process_id;

export const ping = (host: Host, address: string, count = 3): Promise<Finished> =>
  host.run('ping', '-n', '-c', String(count), '-i', '0.05', '-W', '5', address);

/** An interface's facts that attaching may change: flags, promiscuity, programs, qdiscs, routes. */
export async function look(name: string): Promise<string> {
  const script = 'ip -d link show "$1"; tc qdisc show; ip -4 route show table all';
  return (await lab.run('sh', '-c', script, 'sh', name)).stdout;
}

/** Resolves when a process has ended. */
export async function gone(process_: number): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    try {
      if (readFileSync(`/proc/${process_}/stat`, 'utf8').includes(') Z ')) return;
    } catch {
      return;
    }
    await sleep(10);
  }
  throw new Error(`process ${process_} does not end`);
}
