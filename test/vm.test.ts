// SPDX-License-Identifier: BSD-2-Clause
// Real guests: Debian's kernel in QEMU, two on one switch, each behind an agent's vhost-user socket.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { Runtime } from '../src/index.js';
import { accelerator, dgram, Guest, nextMac, stream, vhostUser } from '../src/vm/guest.js';
import { builtImage, buildImage, type Image } from '../src/vm/image.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

const BYTES = 32 << 20;
/** Pairs of queues of the two guests. */
const PAIRS = [4, 2] as const;
const RECEIVED = '/sys/class/net/eth0/statistics/rx_packets';
/** Prints the sum of what is there. */
const DOWNLOAD = `
const hash = require('node:crypto').createHash('sha256');
require('node:http').get(process.argv[1], (answer) => {
  answer.on('data', (data) => hash.update(data));
  answer.on('end', () => process.stdout.write(hash.digest('hex')));
});`;
const tools = needs('qemu-system-x86_64', 'apt-get', 'dpkg-deb');

/** The command lines of all processes that put their files there. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return environment.includes(`TMPDIR=${folder}`) ? [line] : [];
      } catch {
        return []; // gone, or somebody else's
      }
    });
}

/** Without a network nothing can be built; CI has one. */
async function imageOrWhy(): Promise<Image | string> {
  if (!tools.met) return '';
  try {
    return builtImage() ?? (await buildImage(() => undefined));
  } catch (error) {
    if (process.env['CI']) throw error;
    return ` (skipped: ${(error as Error).message})`;
  }
}
const image = await imageOrWhy();

tools.describe('two guests on one switch', () => {
  describe.skipIf(typeof image === 'string')(
    `of Debian's packages${typeof image === 'string' ? image : ''}`,
    () => {
      let directory: string;
      let folder: string;
      let guests: [Guest, Guest];
      let runtime: Runtime;

      const ctl = (...args: string[]) =>
        new Vale(['ctl', ...args], { VALE_DIR: directory }).result();
      async function good(...args: string[]): Promise<string> {
        const { code, stdout, stderr } = await ctl(...args);
        expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
        return stdout;
      }
      async function inside(guest: Guest, line: string): Promise<string> {
        const { code, output } = await guest.run(line);
        expect(code, `${line}: ${output}`).toBe(0);
        return output;
      }
      const socket = (i: number) => join(folder, `${i}.sock`);
      interface Row {
        name: string;
        interface: { process_id: number; link: boolean };
        counters: { tx_frames: number; tx_bytes: number; drops: Record<string, number> };
      }
      async function port(i: number): Promise<Row> {
        const { ports } = JSON.parse(await good('--json')) as { ports: Row[] };
        return ports.find(({ name }) => name === `vale0:vm${i}`)!;
      }

      /** One of the two guests, with as many rings as it has pairs of queues. */
      const serve = (i: number) =>
        good(
          ...['-a', `vale0:vm${i}`, '--vhost-user', socket(i)],
          ...['-C', `1024,1024,${PAIRS[i - 1]}`],
        );

      /** Of the first guest, since its agent began. */
      const sentBytes = () =>
        Number(runtime.list().find(({ name }) => name === 'vale0:vm1')?.counters?.txBytes ?? 0);

      beforeAll(async () => {
        directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'vm-'));
        runtime = new Runtime(directory);
        folder = mkdtempSync(join(tmpdir(), 'vale-vm-'));
        for (const i of [1, 2]) await serve(i);
        const how = accelerator();
        guests = (await Promise.all(
          PAIRS.map((pairs, at) => {
            // One with split rings, one with packed ones.
            const device = at === 1 ? 'packed=on' : '';
            return Guest.boot({
              image: image as Image,
              accelerator: how,
              cpus: 2,
              address: `10.7.1.${at + 1}/24`,
              network: vhostUser(socket(at + 1), how, device, nextMac(), pairs),
            });
          }),
        )) as [Guest, Guest];
      }, 120_000);
      afterAll(async () => {
        await Promise.all(guests?.map((guest) => guest.close()) ?? []);
        for (const i of [1, 2]) await ctl('-d', `vale0:vm${i}`);
        runtime.close();
        rmSync(directory, { recursive: true, force: true });
        rmSync(folder, { recursive: true, force: true });
      });

      test('reach each other, and are told of as connected', async () => {
        const features = await inside(guests[1], 'cat /sys/bus/virtio/devices/*/features');
        expect(features.split('\n').some((line) => line.length > 40 && line[34] === '1')).toBe(
          true,
        );
        for (const guest of guests) {
          // A pair for each of its processors.
          const queues = await inside(guest, 'ls /sys/class/net/eth0/queues');
          expect(queues.match(/rx-/g)).toHaveLength(2);
        }
        const said = await inside(guests[0], 'ping -c 3 -i 0.2 10.7.1.2');
        expect(said).toContain('3 packets received');
        expect((await port(1)).interface.link && (await port(2)).interface.link).toBe(true);
      });

      test('send TCP both ways, as super-frames', async () => {
        await inside(guests[1], 'iperf3 -s -D >/dev/null; sleep 0.5');
        const before = await port(1);
        await inside(guests[0], 'iperf3 -c 10.7.1.2 -n 64M');
        const after = await port(1);
        const frames = after.counters.tx_frames - before.counters.tx_frames;
        const bytes = after.counters.tx_bytes - before.counters.tx_bytes;
        expect(bytes).toBeGreaterThan(60 << 20);
        expect(bytes / frames).toBeGreaterThan(3000);
        await inside(guests[0], 'iperf3 -c 10.7.1.2 -n 64M -R');
      }, 60_000);

      test('a file arrives byte for byte while both agents are killed, twice, and attached again', async () => {
        const [from, to] = guests;
        await inside(from, `dd if=/dev/urandom of=/tmp/file bs=65536 count=${BYTES / 65536} 2>&1`);
        const sum = await inside(from, 'httpd -h /tmp; sha256sum </tmp/file');
        // In parts: where guests are fast it would be over before the last of them is killed.
        const part = 'dd bs=65536 count=64 iflag=fullblock 2>/dev/null; sleep 0.2;';
        const parts = `wget -q -O - http://10.7.1.1/file | (${part.repeat(6)} cat)`;
        let done = false;
        const got = to.run(`${parts} | sha256sum`, 60_000).finally(() => (done = true));
        for (const i of [1, 2, 1, 2]) {
          const { interface: served } = await port(i);
          const began = sentBytes();
          while (!done && sentBytes() - began < BYTES / 16) await sleep(5);
          expect(done).toBe(false);
          process.kill(served.process_id, 'SIGKILL');
          await ctl();
          await serve(i);
        }
        expect(await got).toEqual({ code: 0, output: sum });
        for (const i of [1, 2]) expect((await port(i)).interface.link).toBe(true);
      }, 120_000);

      needs(...labTools('tcpdump', 'ping'), 'user namespaces').test(
        'a program, guests, a host behind a network interface, and tcpdump on one switch',
        async () => {
          const env = { VALE_DIR: directory };
          const lab = await Lab.open();
          try {
            const host = await lab.host('w1', '10.7.1.20/24');
            const attach = new Vale(['ctl', '-a', 'vale0:w1'], env, lab.inside).result();
            expect(await attach).toMatchObject({ code: 0, stderr: '' });
            const dump = await new Vale(
              ['run', 'tcpdump', '-i', 'vale0:watch', '-n', '-c', '2', 'arp and ether broadcast'],
              env,
            ).says(/listening on/);
            expect(await inside(guests[0], 'ping -c 2 -i 0.2 10.7.1.20')).toContain(
              '2 packets rec',
            );
            const said = await host.run('ping', '-n', '-c', '2', '-i', '0.2', '10.7.1.2');
            expect(said.stdout).toContain('2 received');
            const { stdout } = await dump.result();
            expect(stdout).toContain('who-has 10.7.1.20 tell 10.7.1.1');
            expect(stdout).toContain('who-has 10.7.1.2 tell 10.7.1.20');
            // A guest leaves checksums and segments to the hardware, and here that is a wire's other end.
            const got = await host.run(process.execPath, '-e', DOWNLOAD, 'http://10.7.1.1/file');
            const sum = await inside(guests[0], 'sha256sum </tmp/file');
            expect(got).toMatchObject({ code: 0, stdout: sum.slice(0, 64) });
            const counts = async () => {
              const { stdout: links } = await host.run('ip', '-s', '-j', 'link', 'show', 'eth0');
              const [link] = JSON.parse(links) as [{ stats64: { rx: { packets: number } } }];
              return [Number(await inside(guests[0], `cat ${RECEIVED}`)), link.stats64.rx.packets];
            };
            const before = await counts();
            const sent = new Vale('pkt-gen -i vale0:x -f tx -n 1000 -R 2000'.split(' '), env);
            expect(await sent.result()).toMatchObject({ code: 0 });
            // A guest takes its time.
            const arrived = async () => (await counts()).map((count, i) => count - before[i]!);
            const all = expect.poll(async () => Math.min(...(await arrived())), {
              timeout: 10_000,
            });
            await all.toBeGreaterThanOrEqual(1000);
          } finally {
            await ctl('-d', 'vale0:w1');
            lab.close();
          }
        },
        60_000,
      );

      // Emulated guests do not outlive it: QEMU 7.2's emulator loses pages that the guest writes meanwhile, also of
      // one whose frames come by a stream, where nobody else writes its memory.
      const moves = needs('KVM');
      moves.test(
        'one moves to another process, and port, while it downloads and is pinged',
        async () => {
          const [how, mac, way] = [accelerator(), nextMac(), socket(9)];
          const sum = await inside(guests[0], 'md5sum </tmp/file');
          const boot = (i: number, more: { address?: string; incoming?: string }) =>
            Guest.boot({
              image: image as Image,
              accelerator: how,
              network: vhostUser(socket(i), how, '', mac),
              ...more,
            });
          for (const i of [4, 5]) await good('-a', `vale0:vm${i}`, '--vhost-user', socket(i));
          const from = await boot(4, { address: '10.7.1.4/24' });
          const to = await boot(5, { incoming: way });
          try {
            const line = 'for i in 1 2 3 4; do wget -q -O /tmp/got http://10.7.1.1/file;';
            await inside(
              from,
              `(${line} md5sum </tmp/got; done >/tmp/sums 2>&1; touch /tmp/done) &`,
            );
            const pings = guests[1].run('ping -c 40 -i 0.2 10.7.1.4');
            await from.move(way);
            await from.close();
            const sums = await inside(
              to,
              'while [ ! -e /tmp/done ]; do sleep 0.1; done; cat /tmp/sums',
            );
            expect(sums.split('\n')).toEqual([sum, sum, sum, sum]);
            const received = /(\d+) packets received/.exec((await pings).output)?.[1];
            expect(Number(received)).toBeGreaterThan(20);
            expect(await inside(to, 'ping -c 2 -i 0.2 10.7.1.2')).toContain('2 packets received');
            expect((await port(5)).counters.tx_frames).toBeGreaterThan(0);
          } finally {
            await from.close();
            await to.close();
            for (const i of [4, 5]) await good('-d', `vale0:vm${i}`);
          }
        },
        120_000,
      );

      test.each([
        ['a stream', '--stream', (path: string) => stream(path)],
        ['datagrams', '--dgram', (path: string) => dgram(path, `${path}.own`)],
      ])(
        'and one without shared memory, by %s',
        async (_, option, network) => {
          await good('-a', 'vale0:vm3', option, socket(3));
          const guest = await Guest.boot({
            image: image as Image,
            accelerator: 'tcg',
            address: '10.7.1.3/24',
            network: network(socket(3)),
          });
          try {
            expect(await inside(guest, 'ping -c 3 -i 0.2 10.7.1.2')).toContain(
              '3 packets received',
            );
            const sum = await inside(guest, 'wget -q -O - http://10.7.1.1/file | md5sum');
            expect(sum).toBe(await inside(guests[0], 'md5sum </tmp/file'));
            if (option === '--dgram') {
              process.kill((await port(3)).interface.process_id, 'SIGKILL');
              await ctl();
              await good('-a', 'vale0:vm3', option, socket(3));
              expect(await inside(guest, 'ping -c 3 -i 0.5 10.7.1.2')).toContain(
                '3 packets received',
              );
            }
          } finally {
            await guest.close();
            await good('-d', 'vale0:vm3');
          }
        },
        120_000,
      );

      test('the demonstration shows a ping and rates, and leaves nothing', async () => {
        const demo = new Vale(['demo', 'vm', '--seconds', '1'], { TMPDIR: folder });
        const { code, stdout, stderr } = await demo.result();
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(stdout).toContain('4 packets received');
        expect(stdout).toMatch(/TCP from vm1 to vm2\n(vm1 sends .* vm2 sends .*\n)+.* receiver/);
        expect(stdout).toMatch(/TCP from vm2 to vm1\n(vm1 sends .* vm2 sends .*\n)+.* receiver/);
        expect(processesOf(folder)).toEqual([]);
      }, 120_000);

      test('nor does one whose reader goes', async () => {
        const demo = new Vale(['demo', 'vm'], { TMPDIR: folder });
        await demo.says(/booting/);
        demo.process.stdout?.destroy();
        expect((await demo.result()).code).toBe(0);
        await vi.waitFor(() => expect(processesOf(folder)).toEqual([]), 5000);
      }, 120_000);
    },
  );
});
