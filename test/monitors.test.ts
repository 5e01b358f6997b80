// SPDX-License-Identifier: BSD-2-Clause
// Monitors between real processes: they see everything, and who is watched loses nothing.
import { describe, expect, test } from 'vitest';

import { openPort } from '../src/index.js';
import { freshSwitch, Vale, vale } from './support/vale.js';

describe('a monitor', () => {
  test('sees what another process sends, and ends with it', async () => {
    const sw = freshSwitch();
    const rx = await new Vale(['pkt-gen', '-i', `${sw}:b`]).says(/Receiving from/);
    const tx = await new Vale(['pkt-gen', '-i', `${sw}:a`, '-f', 'tx', '-R', '1000']).says(
      /Sending on/,
    );
    const watcher = await new Vale(['pkt-gen', '-i', `${sw}:a/t`]).says(/\d pps|\d Kpps/);
    const sent = /Sent (\d+) packets/.exec((await tx.stop()).stdout)?.[1];
    const { code, stdout, stderr } = await watcher.result();
    expect(stderr).toContain('what it watches has closed');
    expect(stdout).toMatch(/Received \d+ packets/);
    expect(code).toBe(0);
    expect((await rx.stop()).stdout).toContain(`Received ${sent} packets`);
  });

  test('is listed after its port, by a name that ctl takes', async () => {
    const sw = freshSwitch();
    await using a = await openPort(`${sw}:a`);
    await using m = await openPort(`${sw}:a/rt`);
    a.send(new Uint8Array(60));
    expect(await m.readable(5000)).toBe(true);
    expect(m.receive()).toHaveLength(1);
    const { stdout } = await vale('ctl', 'list', '--json');
    const ports = (JSON.parse(stdout).ports as { name: string }[]).filter(({ name }) =>
      name.startsWith(sw),
    );
    expect(ports).toMatchObject([
      { name: `${sw}:a`, kind: 'port' },
      { name: `${sw}:a/rt#0`, kind: 'monitor', counters: { rx_frames: 1 } },
    ]);
    expect((await vale('ctl', 'stats', `${sw}:a/rt#0`, '--plain')).stdout).toContain(
      'rx_frames 1\n',
    );
    a.close();
    const drained = async (): Promise<void> => {
      while (m.receive() !== undefined || (await m.readable(1000)));
    };
    await expect(drained()).rejects.toThrow('what it watches has closed');
  });

  test('of nothing is refused in one line', async () => {
    const result = await vale('pkt-gen', '-i', 'vale0:nobody/rt');
    expect(result.stderr).toContain('nobody has this port open; a monitor watches an open port');
    expect(result.code).toBe(1);
  });
});
