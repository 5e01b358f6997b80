// SPDX-License-Identifier: BSD-2-Clause
// A container with the runtime directory mounted is a full citizen: namespaces of users, processes,
// mounts and networks change nothing for its ports, not even for who notices its death.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Runtime, type ValePort } from '../src/index.js';
import { ALL, frame, mac, received, send, texts } from './support/frames.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { freshSwitch, Vale } from './support/vale.js';

const allowed =
  spawnSync('unshare', ['-Urnpfm', '--mount-proc', 'true']).status === 0
    ? ''
    : ' (skipped: user namespaces are not permitted here)';

/** A time that began long before the machine's. */
const LATER = ['unshare', '-UrT', '--monotonic', '1000000', '--'];
const timeless =
  spawnSync('unshare', [...LATER.slice(1), 'true']).status === 0
    ? ''
    : ' (skipped: time namespaces are not permitted here)';

/** Users, processes, mounts and network of its own, as a container without root outside has it. */
const CONTAINER = ['unshare', '-Urnpfm', '--mount-proc', '--kill-child', '--'];

needs(...labTools()).describe('containers', () => {
  describe.skipIf(allowed !== '')(`without root${allowed}`, () => {
    let runtime: Runtime;
    let sw: string;
    let port: ValePort;
    let running: Vale[];
    let folder: string;

    beforeEach(async () => {
      runtime = new Runtime();
      sw = freshSwitch();
      port = await runtime.openPort(`${sw}:outside`);
      running = [];
      folder = mkdtempSync(join(tmpdir(), 'vale-container-'));
    });
    afterEach(async () => {
      for (const run of running) if (run.process.exitCode === null) await run.stop('SIGKILL');
      port.close();
      runtime.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const names = () =>
      runtime
        .list()
        .map(({ name }) => name)
        .filter((name) => name.startsWith(`${sw}:`));
    const appears = (name: string) =>
      expect.poll(names, { timeout: 15_000 }).toContain(`${sw}:${name}`);
    const counters = (name: string) =>
      runtime.list().find((row) => row.name === `${sw}:${name}`)?.counters;

    /** A command in a container of its own, which has the directory where `place` is, or where it is. */
    function contained(args: string[], place?: string): Vale {
      const inside = [...CONTAINER];
      const env: NodeJS.ProcessEnv = {};
      if (place !== undefined) {
        mkdirSync(place);
        const mount = 'mount --bind "$VALE_DIR" "$0" && VALE_DIR="$0" exec "$@"';
        inside.push('sh', '-c', mount, place);
      }
      const run = new Vale(args, env, inside);
      running.push(run);
      return run;
    }

    test('sends to the host and receives from it, with the directory mounted elsewhere', async () => {
      const rx = contained(['pkt-gen', '-i', `${sw}:rx`, '-n', '100', '--json'], join(folder, 'v'));
      await appears('rx');
      contained(['pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', '-n', '50', '-l', '100']);
      await expect.poll(() => counters('rx')?.rxFrames, { timeout: 15_000 }).toBe(50n);
      expect(received(port)).toHaveLength(50);
      await send(port, ...Array.from({ length: 50 }, (_, i) => frame(ALL, mac(1), i)));
      const { code, stdout, stderr } = await rx.result();
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ received: 100 });
    }, 40_000);

    test('lists what the host has, by the same names', async () => {
      const { code, stdout } = await contained(['ctl']).result();
      expect(code).toBe(0);
      expect(stdout).toContain(`${sw}:outside`);
    });

    test('killed inside, its port vanishes outside, and its memory; frames go on', async () => {
      const other = await runtime.openPort(`${sw}:other`);
      contained(['pkt-gen', '-i', `${sw}:victim`, '-f', 'tx', '-R', '50k', '-n', '0']);
      await appears('victim');
      await expect.poll(() => received(port).length).toBeGreaterThan(0);
      const [victim] = running;
      // The first process of the container: the kernel kills the others in it.
      victim!.process.kill('SIGKILL');
      await victim!.result();
      await expect.poll(names).toEqual([`${sw}:outside`, `${sw}:other`]);
      received(other);
      await send(port, frame(ALL, mac(1), 7));
      expect(texts(received(other))).toEqual(texts([frame(ALL, mac(1), 7)]));
      const totals = runtime.switches().find(({ name }) => name === sw)!.totals!;
      const drops = Object.values(totals.drops).reduce((sum, n) => sum + n, 0n);
      expect(totals.txCopies).toBe(totals.rxFrames + drops);
      other.close();
    }, 40_000);

    test('whose root is an ordinary user outside has the runtime directory of that user', async () => {
      const user = process.geteuid!() || 65534;
      const become = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
      const inside = [...(process.geteuid!() === 0 ? become : []), 'unshare', '-Urn', '--'];
      const found = async (XDG_RUNTIME_DIR: string) => {
        const env = { VALE_DIR: undefined, XDG_RUNTIME_DIR };
        const { stdout } = await new Vale(['doctor', '--plain'], env, inside).result();
        return /^\w+ directory ([^;,]*)/m.exec(stdout)?.[1];
      };
      const own = `/dev/shm/vale-${user}`;
      if (process.geteuid!() === 0) chownSync(folder, user, user);
      expect(await found('')).toBe(own);
      expect(await found('relative')).toBe(own);
      expect(await found(folder)).toBe(join(folder, 'vale'));
    });

    test.skipIf(timeless !== '')(
      `a time of its own changes nothing${timeless}`,
      async () => {
        const env = { VALE_DIR: mkdtempSync('/dev/shm/vale-container-') };
        const ctl = (inside: string[], ...args: string[]) =>
          new Vale(['ctl', ...args], env, inside).result();
        for (const [one, other] of [
          [LATER, []],
          [[], LATER],
        ] as const) {
          const attach = ['-a', 'vale0:vm', '--vhost-user', join(folder, 's')];
          expect(await ctl([...one], ...attach)).toMatchObject({ code: 0, stderr: '' });
          const args = ['-f', 'tx', '-R', '100', '-S', '02:00:00:00:00:07'];
          const from = new Vale(['pkt-gen', '-i', 'vale0:x', ...args], env, [...one]);
          running.push(from);
          await from.says(/main_thread/);
          expect((await ctl([...other], 'fdb', 'show', 'vale0')).stdout).toMatch(
            /^vale0 02:00:00:00:00:07 vale0:x [0-9]\n$/,
          );
          expect(await ctl([...other], '-d', 'vale0:vm')).toMatchObject({ code: 0, stderr: '' });
          await from.stop();
        }
        rmSync(env.VALE_DIR, { recursive: true });
      },
      40_000,
    );

    test('a death outside is seen inside, where its process id means nothing', async () => {
      const outside = new Vale(['pkt-gen', '-i', `${sw}:mortal`, '-w', '0']);
      await appears('mortal');
      outside.process.kill('SIGKILL');
      await outside.result();
      const { stdout } = await contained(['ctl']).result();
      expect(stdout).toContain(`${sw}:outside`);
      expect(stdout).not.toContain('mortal');
    }, 40_000);

    needs('user namespaces').test(
      'an interface of the container is joined to the switch from inside',
      async () => {
        const lab = await Lab.open(); // as the container's network is
        const host = await lab.host('c0', '10.9.0.1/24');
        const args = ['bridge', '-w', '0', '-i', 'c0', '-i', `${sw}:inside`];
        const bridge = new Vale(args, {}, [...lab.inside, 'unshare', '-pfm', '--kill-child', '--']);
        running.push(bridge);
        await bridge.says(/Ready to go/);
        await host.run('ping', '-n', '-c', '1', '-W', '1', '10.9.0.2');
        const arp = received(port).filter((bytes) => bytes[12] === 8 && bytes[13] === 6);
        expect(arp.length).toBeGreaterThan(0);
        lab.close();
      },
      40_000,
    );

    needs('user namespaces').test(
      'one attached from inside is a port outside, until it is detached or the container ends',
      async () => {
        // Not the other tests' directory: they would be told of this agent's death.
        const directory = mkdtempSync('/dev/shm/vale-container-');
        const own = new Runtime(directory);
        const outside = await own.openPort('vale0:outside');
        const there = () => own.list().map(({ name }) => name);
        const lab = await Lab.open();
        const host = await lab.host('c0', '10.9.0.1/24');
        const env = { VALE_DIR: directory };
        const ctl = (...args: string[]) => new Vale(['ctl', ...args], env).result();
        const place = join(folder, 'v');
        mkdirSync(place);
        const script =
          'mount --bind "$VALE_DIR" "$0" && export VALE_DIR="$0" && "$@" && echo attached && exec sleep 60';
        const inside = [
          ...lab.inside,
          ...['unshare', '-pfm', '--mount-proc', '--kill-child', 'sh', '-c', script, place],
        ];
        const start = async () => {
          const run = new Vale(['ctl', '-a', 'vale0:c0'], env, inside);
          running.push(run);
          return run.says(/attached/);
        };
        /** Whether what the host asks of an address that nobody has arrives outside. */
        const speaks = async (address: string) => {
          received(outside);
          await host.run('ping', '-n', '-c', '1', '-W', '1', address);
          return received(outside).some((bytes) => bytes[12] === 8 && bytes[13] === 6);
        };
        const first = await start();
        expect(await speaks('10.9.0.2')).toBe(true);
        expect((await ctl('log', 'vale0:c0')).stdout).toContain('serving interface c0');
        expect(await ctl('-d', 'vale0:c0')).toMatchObject({ code: 0, stderr: '' });
        expect(there()).toEqual(['vale0:outside']);
        await first.stop('SIGKILL');

        const second = await start();
        expect(await speaks('10.9.0.3')).toBe(true);
        // Its process id is the container's, and so is what is to be run about its MTU.
        await lab.must('ip link add thin mtu 1400 type veth peer name thinner');
        await lab.must('ip link set thin up');
        const near = new Vale(['ctl', '-a', 'vale0:thin'], env, lab.inside);
        expect((await near.result()).stderr).toContain('run: ip link set c0 mtu 1400, and');
        expect((await ctl('-d', 'vale0:thin')).code).toBe(0);
        const children = (pid: number) =>
          readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
        const agent = children(children(second.process.pid!)[0]!).find((pid) =>
          readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('vale-agent'),
        )!;
        process.kill(agent, 'SIGSTOP');
        expect((await ctl('-d', 'vale0:c0')).stderr).toMatch(
          /Device or resource busy \(its agent, process \d+ of another container, does not answer, and nothing was done; run there: kill -CONT \d+, or/,
        );
        await second.stop('SIGKILL');
        await expect.poll(there).toEqual(['vale0:outside']);
        const { code, stderr } = await ctl();
        expect(code).toBe(0);
        expect(stderr).toContain('vale: vale0:c0: its agent was killed');
        lab.close();
        outside.close();
        own.close();
        rmSync(directory, { recursive: true });
      },
      40_000,
    );
  });
});
