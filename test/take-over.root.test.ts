// SPDX-License-Identifier: BSD-2-Clause
// An interface opened by its name is taken from the host's network stack until it is closed.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

const here = `vale-to-here-${process.pid}`;
const there = `vale-to-there-${process.pid}`;

needs('root', 'ip', 'ping').describe('an interface while a program has it', () => {
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
});
