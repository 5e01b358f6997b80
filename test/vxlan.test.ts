// SPDX-License-Identifier: BSD-2-Clause
// Two machines, each with a switch of its own and a guest on it, joined by the kernel's VXLAN: as
// docs/recipes.md has it.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Runtime } from '../src/index.js';
import { Host, Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { transfer } from './support/transfer.js';
import { Vale } from './support/vale.js';

const LONG = 60_000;
const OVERHEAD = 50;

/** An interface as `ip` shows it. */
async function link(host: Host, device: string): Promise<{ mtu: number; address: string }> {
  const { stdout } = await host.run('ip', '-j', 'link', 'show', 'dev', device);
  return (JSON.parse(stdout) as [{ mtu: number; address: string }])[0];
}

needs(...labTools('ping')).describe('switches of two machines', () => {
  needs('user namespaces').describe('joined by VXLAN', () => {
    let lab: Lab;
    let folder: string;
    const machines: Host[] = [];
    const guests: Host[] = [];
    const directories: string[] = [];
    const advice: string[] = [];

    /** What it says on standard error; it must succeed. */
    async function good(machine: number, ...args: string[]): Promise<string> {
      const env = { VALE_DIR: directories[machine]! };
      const run = new Vale(['ctl', ...args], env, machines[machine]!.inside);
      const { code, stderr } = await run.result();
      expect(code, stderr).toBe(0);
      return stderr;
    }

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'vale-vxlan-'));
      lab = await Lab.open();
      for (let i = 0; i < 4; i += 1) (i < 2 ? machines : guests).push(await Host.make(lab));
      const [one, two] = machines;
      await one!.must(`ip link add up0 type veth peer name up0 netns ${two!.pid}`);
      for (const [i, machine] of machines.entries()) {
        const other = `192.0.2.${2 - i}`;
        for (const line of [
          `ip addr add 192.0.2.${i + 1}/24 dev up0`,
          'ip link set up0 up',
          `ip link add vx0 type vxlan id 42 remote ${other} dstport 4789 dev up0`,
          'ip link set vx0 up',
          `ip link add g0 type veth peer name eth0 netns ${guests[i]!.pid}`,
          'ip link set g0 up',
        ])
          await machine.must(line);
        const directory = mkdtempSync('/dev/shm/vale-machine-');
        chmodSync(directory, 0o700);
        directories.push(directory);
        await good(i, '-a', 'vale0:vx0');
        advice.push(await good(i, '-a', 'vale0:g0'));
        await guests[i]!.must('ip link set eth0 up');
        await guests[i]!.must(`ip addr add 10.10.0.${i + 1}/24 dev eth0`);
      }
    }, LONG);

    afterAll(async () => {
      for (const i of directories.keys())
        for (const device of ['vx0', 'g0']) await good(i, '-d', `vale0:${device}`);
      for (const host of [...machines, ...guests]) host.close();
      lab.close();
      for (const path of [folder, ...directories]) rmSync(path, { recursive: true, force: true });
    });

    test('the device says how long a frame may be', async () => {
      const { mtu } = await link(machines[0]!, 'vx0');
      expect(mtu).toBe(1500 - OVERHEAD);
    });

    test('attaching what takes longer ones says what to run, and that mends it', async () => {
      const line =
        /^vale: vale0:vx0 takes packets of 1450 bytes, vale0:g0 of 1500: longer ones will be dropped; run: (ip link set g0 mtu 1450), and the same where they come from\n$/;
      for (const [i, said] of advice.entries()) {
        expect(said).toMatch(line);
        await machines[i]!.must(line.exec(said)![1]!);
        await guests[i]!.must('ip link set eth0 mtu 1450');
        await good(i, '-d', 'vale0:g0');
        expect(await good(i, '-a', 'vale0:g0')).toBe('');
      }
    });

    test('guests reach each other, with the longest packets that fit', async () => {
      const { stdout } = await guests[0]!.run(
        ...['ping', '-n', '-c', '3', '-i', '0.2', '-W', '5', '-M', 'do'],
        ...['-s', String(1500 - OVERHEAD - 28), '10.10.0.2'],
      );
      expect(stdout).toContain('3 received, 0% packet loss');
    });

    test('each switch has learned the other machine’s guest behind the tunnel', async () => {
      for (const [i, directory] of directories.entries()) {
        const { address } = await link(guests[1 - i]!, 'eth0');
        const runtime = new Runtime(directory);
        expect(runtime.fdb('vale0')).toContainEqual(
          expect.objectContaining({ mac: address, port: 'vale0:vx0' }),
        );
        runtime.close();
      }
    });

    test(
      'a file arrives byte for byte, both ways',
      async () => {
        const [a, b] = guests as [Host, Host];
        await transfer(folder, 8 << 20, a, b, '10.10.0.2');
        await transfer(folder, 8 << 20, b, a, '10.10.0.1');
      },
      LONG,
    );
  });
});
