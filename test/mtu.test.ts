// SPDX-License-Identifier: BSD-2-Clause
// Attached interfaces of one switch that take packets of unequal length: one line, and what to run.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { unequalOnSwitch } from '../src/session/mtu.js';
import { agent } from './support/ctl-sample.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

needs(...labTools()).describe('attached interfaces of unequal MTU', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    let lab: Lab;
    let directory: string;
    const attached: string[] = [];

    /** What it says on standard error. */
    async function attach(port: string, ...more: string[]): Promise<string> {
      const { code, stderr } = await ctl('attach', port, ...more);
      expect(code, stderr).toBe(0);
      attached.push(port);
      return stderr;
    }
    const ctl = (...args: string[]) =>
      new Vale(['ctl', ...args], { VALE_DIR: directory }, lab.inside).result();
    const commands = (said: string) => /run: (.*), and the same/.exec(said)![1]!;
    const wire = async (name: string, mtu: number) => {
      await lab.must(`ip link add ${name} mtu ${mtu} type veth peer name ${name}p`);
      await lab.must(`ip link set ${name} up`);
    };

    beforeAll(async () => {
      directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'mtu-'));
      lab = await Lab.open();
      for (const [name, mtu] of [
        ['wide', 9000],
        ['wider', 9100],
        ['thin', 1450],
      ] as const)
        await wire(name, mtu);
    });
    afterAll(async () => {
      for (const port of attached) await ctl('-d', port);
      lab.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test('the widest is told what the others take, the narrowest what to set at all others', async () => {
      expect(await attach('vale0:wide')).toBe('');
      expect(await attach('vale0:wider')).toBe(
        'vale: vale0:wide takes packets of 9000 bytes, vale0:wider of 9100: longer ones will be dropped; run: ip link set wider mtu 9000, and the same where they come from\n',
      );
      const said = await attach('vale0:thin');
      expect(said).toContain(
        'vale: vale0:thin takes packets of 1450 bytes, vale0:wider of 9100: longer ones will be dropped; run: ip link set wide mtu 1450 && ip link set wider mtu 1450, and',
      );
      const { code, stderr } = await lab.run('sh', '-ec', commands(said));
      expect(code, stderr).toBe(0);
    });

    test('set as it says, there is nothing more to say; other switches do not matter', async () => {
      await wire('last', 1450);
      expect(await attach('vale0:last')).toBe('');
      await wire('other', 1500);
      expect(await attach('vale1:other')).toBe('');
    });

    test('of one in another namespace, the command is for there', async () => {
      const host = await lab.host('away', '10.8.0.1/24');
      expect(await attach('vale2:away')).toBe('');
      await host.must('ip link add in0 mtu 4000 type veth peer name in1');
      const said = await attach('vale2:in0', '--netns', host.pid);
      expect(commands(said)).toBe(`nsenter -t ${host.pid} -n ip link set in0 mtu 1500`);
      expect((await lab.run('sh', '-ec', commands(said))).code).toBe(0);
      const { stdout } = await host.run('ip', 'link', 'show', 'in0');
      expect(stdout).toContain('mtu 1500');
    });
  });
});

test('what a virtual machine takes is set inside it', () => {
  const of = (port: string, mtu: number, socket = '') => {
    const row = agent(port, { socket });
    return { ...row, state: { ...row.state, mtu } };
  };
  const machine = of('vale0:vm1', 9000, '/run/vm1.sock');
  const wire = of('vale0:em0', 1500);
  expect(unequalOnSwitch(wire, [machine, wire])).toContain(
    'run: ip link set INTERFACE mtu 1500 (in that virtual machine), and the same',
  );
});
