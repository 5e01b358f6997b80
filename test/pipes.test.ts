// SPDX-License-Identifier: BSD-2-Clause
// Pipes between real processes and from the library: nothing is lost, whoever is slow.
import { describe, expect, test } from 'vitest';

import { openPort } from '../src/index.js';
import { freshSwitch, Vale, vale } from './support/vale.js';

const receiver = (port: string, count: number) =>
  new Vale(['pkt-gen', '-i', port, '-n', String(count)]).says(/Receiving from/);
const send = (port: string, count: number) =>
  vale('pkt-gen', '-i', port, '-f', 'tx', '-n', String(count));

describe('a pipe', () => {
  test('carries what pkt-gen sends, all of it', async () => {
    const sw = freshSwitch();
    const rx = await receiver(`${sw}:a}1`, 200_000);
    const tx = await send(`${sw}:a{1`, 200_000);
    expect(tx.stdout).toContain('Sent 200000 packets');
    const { code, stdout } = await rx.result();
    expect(code).toBe(0);
    expect(stdout).toContain('Received 200000 packets');
  });

  test('without a reader keeps what was sent, and the sender says whom it waits for', async () => {
    const sw = freshSwitch();
    const tx = new Vale(['pkt-gen', '-i', `${sw}:a{1`, '-f', 'tx', '-n', '5', '--json']);
    await tx.says(new RegExp(`${sw}:a}1 has not read what waits in the pipe, 5 slots`));
    const waiting = await tx.stop();
    expect(waiting.code).toBe(0);
    expect(JSON.parse(waiting.stdout)).toMatchObject({ offered: 5, accepted: 5, delivered: 5 });

    const other = new Vale(['pkt-gen', '-i', `${sw}:a{1`, '-f', 'tx', '-n', '5']);
    await other.says(/has not read/);
    expect((await (await receiver(`${sw}:a}1`, 5)).result()).stdout).toContain(
      'Received 5 packets',
    );
    expect((await other.result()).code).toBe(0);
  });

  test('a bridge between two pipes loses nothing', async () => {
    const sw = freshSwitch();
    const bridge = await new Vale(['bridge', '-i', `${sw}:a}in`, '-i', `${sw}:a{out`]).says(
      /Ready/,
    );
    const rx = await receiver(`${sw}:a}out`, 100_000);
    await send(`${sw}:a{in`, 100_000);
    expect((await rx.result()).stdout).toContain('Received 100000 packets');
    const { stdout, stderr } = await bridge.stop();
    expect(stderr).toContain('zerocopy supported');
    expect(stdout).toContain('forwarded 100000 packets');
  });

  test('is listed with its port, and counts', async () => {
    const sw = freshSwitch();
    await using a = await openPort(`${sw}:a{x`);
    await using b = await openPort(`${sw}:a}x`);
    a.send(new Uint8Array(60));
    a.send(new Uint8Array(61));
    expect(await b.readable(5000)).toBe(true);
    expect(b.receive()).toHaveLength(2);
    const { stdout } = await vale('ctl', 'list', '--json');
    const ports = (JSON.parse(stdout).ports as { name: string }[]).filter(({ name }) =>
      name.startsWith(sw),
    );
    expect(ports).toMatchObject([
      { name: `${sw}:a`, kind: 'port', registrations: 0 },
      { name: `${sw}:a{x`, kind: 'pipe', attached: false, counters: { tx_frames: 2 } },
      { name: `${sw}:a}x`, kind: 'pipe', registrations: 1, counters: { rx_frames: 2 } },
    ]);
    expect((await vale('ctl', '-g', `${sw}:a}x`)).stdout).toContain(`mem_id:     ${a.info.memId}`);
    expect((await vale('ctl', 'stats', `${sw}:a{x`, '--plain')).stdout).toContain('tx_frames 2\n');
    // The reference's lines name ports of switches alone.
    expect((await vale('ctl')).stdout).not.toContain('{x');
  });

  test.each([
    [`vale0:a{`, 2, 'no pipe id after "{"; give one, as in {1'],
    [`vale0:a{1^`, 1, 'a pipe has no host rings; drop the ^ or *'],
  ])('%s is refused in one line', async (name, code, line) => {
    const result = await vale('pkt-gen', '-i', name, '-f', 'tx');
    expect(result.stderr).toContain(line);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.code).toBe(code);
  });
});
