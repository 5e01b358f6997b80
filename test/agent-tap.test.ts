// SPDX-License-Identifier: BSD-2-Clause
// Attached TAP devices: with one end, and as they were once they are left.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { ctl, failure, gone, good, lab, pid, useOwnLab } from './support/own-lab.js';
import { freshSwitch, Vale } from './support/vale.js';

needs(...labTools('ethtool')).describe('attached TAP devices', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    useOwnLab();

    test('a TAP device is on one switch, and its removal is noticed', async () => {
      const sw = freshSwitch();
      await good('-a', `${sw}:agt0`, '--backend', 'tap');
      await lab.must('ip link set agt0 name agt1');
      expect(await failure('-a', `${sw}x:agt1`)).toContain(`agt1 is attached as ${sw}:agt0; first`);
      const process_ = await pid(`${sw}:agt0`);
      await lab.must('ip link del agt1');
      await gone(process_);
      expect((await ctl('list')).stderr).toContain(
        `${sw}:agt0: its agent ended: its interface agt1 was removed`,
      );
    });

    test.each(['one_queue', 'pi', 'multi_queue vnet_hdr'])(
      'a TAP device that was there (%s) is as it was, also after its agent was killed',
      async (made) => {
        const name = `${freshSwitch()}:agt2`;
        await lab.must(`ip tuntap add dev agt2 mode tap ${made}`);
        const offloads = 'ethtool -k agt2 | sed "s/ .requested on.//"';
        const facts = async () =>
          (await lab.run('sh', '-c', `ip -d link show agt2; ${offloads}`)).stdout;
        const before = await facts();
        const attach = async () => {
          const { stderr } = await ctl('-a', name, '--backend', 'tap');
          expect(stderr).toBe('vale: TAP device "agt2" is down; run: ip link set agt2 up\n');
          const meanwhile = await facts();
          expect(meanwhile).toMatch(/ vnet_hdr on /);
          expect(meanwhile).toMatch(/^tx-checksumming: on$/m);
        };
        await attach();
        await good('-d', name);
        expect(await facts()).toBe(before);
        await attach();
        const process_ = await pid(name);
        process.kill(process_, 'SIGKILL');
        await gone(process_);
        expect((await ctl('list')).stderr).toContain(`${name}: its agent was killed`);
        expect(await facts()).toBe(before);
        await lab.must('ip link del agt2');
      },
    );

    test('a TAP device has one end for all runtime directories', async () => {
      const name = `${freshSwitch()}:agt3`;
      const elsewhere = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'agent-other-'));
      const other = (...args: string[]) =>
        new Vale(args, { VALE_DIR: elsewhere }, lab.inside).result();
      try {
        await good('-a', name, '--backend', 'tap');
        const held = `is attached as ${name} by process ${await pid(name)}, of another runtime`;
        for (const args of [
          ['ctl', '-a', name, '--backend', 'tap'],
          ['ctl', '-a', name],
          ['pkt-gen', '-i', 'tap:agt3', '-f', 'tx', '-n', '1', '-w', '0'],
        ]) {
          const { code, stderr } = await other(...args);
          expect({ code, held: stderr.includes(`interface "agt3" ${held}`) }, stderr).toEqual({
            code: 1,
            held: true,
          });
        }
        await good('-d', name);
        expect(await other('ctl', '-a', name, '--backend', 'tap')).toMatchObject({ code: 0 });
        expect(await other('ctl', '-d', name)).toMatchObject({ code: 0 });
      } finally {
        rmSync(elsewhere, { recursive: true, force: true });
      }
    });
  });
});
