// SPDX-License-Identifier: BSD-2-Clause
// An interface opened by its name is taken from the host's network stack until it is closed.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { onTerminal } from './support/pty.js';
import { Vale } from './support/vale.js';

const here = `vale-to-here-${process.pid}`;
const there = `vale-to-there-${process.pid}`;

needs('root', 'ip', 'ping', 'python3').describe('an interface while a program has it', () => {
  function ip(...args: string[]): void {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  }
  /** Of three pings, how many were answered. */
  function answered(from: string, address: string): number {
    const { stdout } = spawnSync(
      'ip',
      `netns exec ${from} ping -n -c 3 -i 0.1 -W 1 ${address}`.split(' '),
      { encoding: 'utf8' },
    );
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  }
  const both = () => [answered(here, '10.13.0.2'), answered(there, '10.13.0.1')];

  beforeAll(() => {
    for (const name of [here, there]) ip('netns', 'add', name);
    ip(...`link add to0 netns ${here} type veth peer name to1 netns ${there}`.split(' '));
    for (const [name, wire, host] of [
      [here, 'to0', 1],
      [there, 'to1', 2],
    ] as const) {
      ip('-n', name, 'link', 'set', wire, 'up');
      ip('-n', name, 'addr', 'add', `10.13.0.${host}/24`, 'dev', wire);
    }
  });
  afterAll(() => {
    for (const name of [here, there]) spawnSync('ip', ['netns', 'del', name]);
  });

  test.each([
    ['SIGINT', 0],
    ['SIGKILL', null],
  ] as const)('is deaf and mute to its host; after %s, as before', async (signal, expected) => {
    expect(both()).toEqual([3, 3]);
    const receiver = new Vale(['pkt-gen', '-i', 'to0', '-f', 'rx', '-w', '0'], {}, [
      ...['ip', 'netns', 'exec', here],
    ]);
    await receiver.says(/Receiving from netmap:to0/);
    expect(both()).toEqual([0, 0]);
    const { code } = await receiver.stop(signal);
    expect(code).toBe(expected);
    expect(both()).toEqual([3, 3]);
  });

  test('bridged to its host stack, each side has its own name and column', () => {
    const vale = [
      'ip',
      'netns',
      'exec',
      here,
      process.execPath,
      join(packageRoot(), 'bin/vale.js'),
    ];
    const { status, screen } = onTerminal([...vale, 'bridge', '-i', 'to0', '-w', '0'], {
      columns: 100,
      interruptAfter: 2.5,
    });
    expect(status).toBe(0);
    const lines = stripVTControlCharacters(screen).split('\n');
    expect(lines[0]).toBe('Bridging A = to0^ (tap) and B = to0 (packet), copying');
    const heading = lines.findIndex((line) => line.includes('A to B Mpps'));
    expect(lines[heading]).toMatch(/B to A Mpps +Gbit\/s +drops$/);
    expect(lines[heading + 1]).toHaveLength(lines[heading]!.length);
    expect(screen).toMatch(/^to0\^ -> to0 /m);
    expect(screen).toMatch(/^to0 -> to0\^ /m);
  });

  test('the host side alone has a name and one ring', () => {
    const args = ['-i', 'to0^', '-f', 'tx', '-n', '1', '-w', '0'];
    const vale = [process.execPath, join(packageRoot(), 'bin/vale.js'), 'pkt-gen', ...args];
    const { status, stdout } = spawnSync('ip', ['netns', 'exec', here, ...vale], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toContain('Sending on netmap:to0^: 1 queues, 1 threads');
  });
});
