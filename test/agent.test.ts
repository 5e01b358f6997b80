// SPDX-License-Identifier: BSD-2-Clause
// Attached network interfaces: what a user sees of them and of the processes that serve them.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { labTools, type Host } from './support/lab.js';
import { needs } from './support/need.js';
import {
  ctl,
  directory,
  failure,
  folder,
  gone,
  good,
  lab,
  look,
  pid,
  ping,
  row,
  useOwnLab,
  vale,
} from './support/own-lab.js';
import { transfer } from './support/transfer.js';
import { freshSwitch, Vale } from './support/vale.js';

const FILE_BYTES = 8 << 20;

needs(...labTools('ping', 'tc', 'flock')).describe('attached interfaces', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    const cores = availableParallelism();
    useOwnLab();

    describe('of two hosts, on one switch', () => {
      let first: Host;
      let second: Host;
      const sw = freshSwitch();
      beforeAll(async () => {
        first = await lab.host('ag1', '10.8.0.1/24');
        second = await lab.host('ag2', '10.8.0.2/24');
        expect(await good('-a', `${sw}:ag1`, '-v')).toBe('port_index: 0\n');
        expect(await good('attach', `${sw}:ag2`, '-v')).toBe('port_index: 1\n');
      });

      test("are listed in the reference's lines", async () => {
        expect(await good('list', sw)).toBe(
          `${sw}:ag1 bridge_idx 0 port_idx 0\n${sw}:ag2 bridge_idx 0 port_idx 1\n`,
        );
      });

      test('join them: they ping each other', async () => {
        const { code, stdout } = await ping(first, '10.8.0.2', 5);
        expect(stdout).toContain('5 packets transmitted, 5 received, 0% packet loss');
        expect(code).toBe(0);
      });

      test('move a file, byte for byte', async () => {
        await transfer(folder, FILE_BYTES, first, second, '10.8.0.2');
      }, 60_000);

      test('count on both sides: what came from the wire entered the switch', async () => {
        // The hosts go on talking meanwhile: once nothing is on its way, both agree.
        const both = async () => {
          const { counters, interface: wire } = (await row(`${sw}:ag1`))!;
          return [
            wire!.counters.rx_frames,
            counters.tx_frames,
            wire!.counters.tx_frames,
            counters.rx_frames,
          ];
        };
        await expect
          .poll(async () => {
            const [heard, entered, sent, left] = await both();
            return heard === entered && sent === left;
          })
          .toBe(true);
        const port = (await row(`${sw}:ag1`))!;
        expect(port.counters.tx_frames).toBeGreaterThan(5);
        const [, later] = /interface_rx_frames (\d+)\n/.exec(await good('stats', `${sw}:ag1`))!;
        expect(Number(later)).toBeGreaterThanOrEqual(port.interface!.counters.rx_frames);
      });

      test('are nobody else’s to open or to attach', async () => {
        const { code, stderr } = await vale('pkt-gen', '-i', `${sw}:ag1`).result();
        expect(code).toBe(1);
        expect(stderr).toMatch(/ag1 is attached, and served by its agent/);
        expect(await failure('-a', `${sw}:ag1`)).toContain('Device or resource busy');
        expect(await failure('-a', `${freshSwitch()}:ag1`)).toContain(
          `Device or resource busy (ag1 is attached as ${sw}:ag1; first run: vale ctl -d ${sw}:ag1)`,
        );
      });

      test('nor of another runtime directory, unless they are shared', async () => {
        const elsewhere = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'agent-other-'));
        const other = (...args: string[]) =>
          new Vale(args, { VALE_DIR: elsewhere }, lab.inside).result();
        try {
          const held = `interface "ag1" is attached as ${sw}:ag1 by process ${await pid(`${sw}:ag1`)}, `;
          const attach = ['ctl', '-a', `${sw}:ag1`];
          for (const args of [attach, ['pkt-gen', '-i', 'ag1', '-f', 'tx', '-n', '1', '-w', '0']]) {
            const { code, stderr } = await other(...args);
            expect({ code, held: stderr.includes(held) }, stderr).toEqual({ code: 1, held: true });
            expect(stderr).toContain('or use --shared to get its frames too');
          }
          expect(await other(...attach, '--shared')).toMatchObject({ code: 0, stderr: '' });
          expect(await other('ctl', '-d', `${sw}:ag1`)).toMatchObject({ code: 0, stderr: '' });
        } finally {
          rmSync(elsewhere, { recursive: true, force: true });
        }
      });

      test('are not attached while a program has them open', async () => {
        await lab.must('ip link add ag8 up type veth peer name ag9');
        const receiver = vale('pkt-gen', '-i', 'ag8', '-f', 'rx', '-w', '0');
        await receiver.says(/Receiving from netmap:ag8/);
        expect(await failure('-a', `${sw}:ag8`)).toMatch(
          /interface "ag8" is open in process \d+, which takes its frames; end that first, or use --shared/,
        );
        await receiver.stop('SIGINT');
        const listener = vale('pkt-gen', '-i', 'ag8', '-f', 'rx', '-w', '0', '--shared');
        await listener.says(/Receiving from netmap:ag8/);
        const { code, stderr } = await ctl('-a', `${sw}:ag8@conf:host-rings=3`);
        expect(code, stderr).toBe(0);
        await listener.stop('SIGINT');
        expect(stderr).toMatch(/^vale: .*host-rings does nothing here: .* attached with -h\n$/);
        await good('-d', `${sw}:ag8`);
        await lab.must('ip link del ag8');
      });

      test('are polled by two cores at most, and not left alone before', async () => {
        const name = `${sw}:ag1`;
        expect(await failure('-P', name)).toContain('Bad address (it is not being polled)');
        expect(await failure('-p', name, '-C', '1,0,3')).toMatch(
          /Operation not supported \(3 cores: .*; use -C 1,0,2 or -C 0,0\)/,
        );
      });

      const polled = `are polled and left alone again, live${cores < 2 ? ' (skipped: needs two cores)' : ''}`;
      test.skipIf(cores < 2)(polled, async () => {
        const name = `${sw}:ag1`;
        expect(await failure('-p', name, '-C', '0,4095')).toMatch(
          /\(there is no core 4095; this machine has cores 0 to \d+\)/,
        );
        await good('-p', name, '-C', '0,0');
        expect((await row(name))!.interface!.polling).toEqual({ first_core: 0, cores: 1 });
        expect(await failure('-p', name)).toContain('Bad address (it is being polled already');
        expect(await failure('-d', name)).toContain('Device or resource busy (it is being polled');
        expect((await ping(first, '10.8.0.2')).stdout).toContain('3 received, 0% packet loss');
        await good('-P', name);
        await good('-p', name, '-C', '1,0,2');
        expect((await row(name))!.interface!.polling).toEqual({ first_core: 0, cores: 2 });
        expect((await ping(first, '10.8.0.2')).stdout).toContain('3 received, 0% packet loss');
        await transfer(folder, FILE_BYTES, first, second, '10.8.0.2');
        await good('-P', name);
        expect((await row(name))!.interface!.polling).toBeNull();
        expect((await ping(second, '10.8.0.1')).stdout).toContain('3 received, 0% packet loss');
      });

      test('have a log, which can be followed until they are detached', async () => {
        const name = `${sw}:ag2`;
        expect(await good('log', name)).toMatch(/^[-\d]+ [:.\d]+ \S+:ag2: serving interface ag2 /);
        const follow = await vale('ctl', 'log', name, '--follow').says(/serving/);
        const unread = await vale('ctl', 'log', name, '--follow').says(/serving/);
        unread.process.stdout?.destroy(); // nothing is added that it could fail to write
        expect(await unread.result()).toMatchObject({ code: 0, stderr: '' });
        await good('-d', name);
        const { code, stdout } = await follow.result();
        expect(code).toBe(0);
        expect(stdout).toMatch(/asked to detach\n$/);
      });
    });

    test('a listing has its address, and its present name', async () => {
      await lab.must('ip link add ag9 address 02:00:00:00:99:01 type veth peer name ag9peer');
      await lab.must('ip link set ag9 up');
      const name = `${freshSwitch()}:ag9`;
      await good('-a', name);
      expect((await row(name))!.mac).toBe('02:00:00:00:99:01');
      await lab.must('ip link set ag9 down');
      await lab.must('ip link set ag9 name ag9new');
      await lab.must('ip link set ag9new address 02:00:00:00:99:02');
      const { mac, interface: wire } = (await row(name))!;
      expect({ mac, name: wire?.name }).toEqual({ mac: '02:00:00:00:99:02', name: 'ag9new' });
      expect(await failure('-d', name.replace('ag9', 'ag9new'))).toContain(
        `but attached as ${name}; run: vale ctl -d ${name})`,
      );
      await good('-d', name);
      expect(await look('ag9new')).toContain('ag9new');
    });

    const polling = cores < 2 ? ' (without polling: skipped, needs two cores)' : '';
    test(`a stopped agent is called stalled; nothing waits for it${polling}`, async () => {
      await lab.host('aga', '10.8.10.1/24');
      const name = `${freshSwitch()}:aga`;
      await good('-a', name);
      expect((await row(name))!.interface?.stalled).toBe(false);
      const process_ = await pid(name);
      process.kill(process_, 'SIGSTOP');
      expect((await row(name))!.interface?.stalled).toBe(true);
      const unanswered = `process ${process_}, does not answer, and nothing was done`;
      expect(await failure('-d', name)).toContain(unanswered);
      if (cores > 1) expect(await failure('-p', name, '-C', '0,0')).toContain(unanswered);
      process.kill(process_, 'SIGCONT');
      const stalled = async () => (await row(name))!.interface?.stalled;
      await expect.poll(stalled, { timeout: 10_000 }).toBe(false);
      expect((await row(name))!.interface?.polling).toBeNull();
      expect(await failure('-P', name)).toContain('it is not being polled');
      await good('-d', name);
      await gone(process_);
    });

    test('what cannot be attached says why', async () => {
      await lab.must('ip link add ag7 type veth peer name ag7peer');
      const sw = freshSwitch();
      expect(await failure('-a', `${sw}:nosuch7`)).toContain(
        'Invalid argument (no persistent port',
      );
      expect(await failure('-a', `${sw}:lo`)).toContain('Invalid argument (lo is');
      const { code, stderr } = await vale('pkt-gen', '-i', `${sw}:ag7`).result();
      expect(code).toBe(1);
      expect(stderr).toContain(`the network interface ag7 is not attached to ${sw}; run: vale ctl`);
      expect(await failure('attach', `${sw}:ag7`, '--netns', 'nosuch7')).toContain(
        'Invalid argument (--netns nosuch7: no network namespace has this name',
      );
      expect(await good('list')).not.toContain(sw);
    });

    test('rings other than those asked for are told, and two slots are the least', async () => {
      const name = `${freshSwitch()}:ag7`;
      const { code, stderr } = await ctl('-a', name, '-C', '1');
      expect(code).toBe(0);
      expect(stderr).toBe(
        `vale: -C: ${name} has 2,2,1,1 (tx slots, rx slots, tx rings, rx rings)\n`,
      );
      await good('-d', name);
    });

    test('an agent keeps nothing of what its caller had open, nor forgets the login', async () => {
      await lab.must('ip addr add 10.8.7.1/24 dev ag7');
      const name = `${freshSwitch()}:ag7`;
      const program = `'${process.execPath}' '${join(packageRoot(), 'bin/vale.js')}'`;
      const shell = (script: string) =>
        lab.run('env', `VALE_DIR=${directory}`, 'sh', '-euc', script, name, join(folder, 'lock'));
      const held = await shell(
        `(exec 7>"$1"; flock 7; ${program} ctl -a "$0"); flock -n "$1" true; ${program} ctl -d "$0"`,
      );
      expect(held).toEqual({ code: 0, stdout: '', stderr: '' });
      // As sudo does: the variable is only in the environment of a parent.
      const login = await shell(
        `SSH_CONNECTION='10.8.7.2 5 10.8.7.1 22' sh -c '! env -u SSH_CONNECTION "$@"' sh ${program} ctl -a "$0"`,
      );
      expect(login.stderr).toContain('but your login came in over it; use --force');
      expect(login.code).toBe(0);
    });

    test('an interface inside another namespace is attached by the id of a process there', async () => {
      const outside = await lab.host('ag8', '10.8.8.1/24');
      const files = readdirSync(directory);
      const sw = freshSwitch();
      await good('-a', `${sw}:ag8`);
      const inner = await lab.host('ag8b', '10.8.8.2/24');
      await inner.must('ip link add in0.7 type veth peer name in1');
      await inner.must('ip addr del 10.8.8.2/24 dev eth0');
      await inner.must('ip addr add 10.8.8.2/24 dev in1');
      await inner.must('ip link set in0.7 up');
      await inner.must('ip link set in1 up');
      await good('attach', `${sw}:in0.7`, '--netns', inner.pid);
      expect(await failure('attach', `${sw}:nosuch9`, '--netns', inner.pid)).toMatch(
        /\(no interface "nosuch9" in that network namespace, which has [^;]*\)$/m,
      );
      expect((await ping(outside, '10.8.8.2')).stdout).toContain('3 received, 0% packet loss');
      await good('detach', `${sw}:in0.7`);
      await good('detach', `${sw}:ag8`);
      expect(readdirSync(directory)).toEqual(files);
    });
  });
});
