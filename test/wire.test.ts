// SPDX-License-Identifier: BSD-2-Clause
// Interfaces as ports: two hosts joined by wires and a switch, and what goes wrong with a wire.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { Lab, labTools, withCapabilities, type Host } from './support/lab.js';
import { needs } from './support/need.js';
import { transfer } from './support/transfer.js';
import { freshSwitch, Vale } from './support/vale.js';

const FILE_BYTES = 20 << 20;

/** $1 a folder, $2 and $3 the program. */
const CAPTURE = `
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
tcpdump -n -e -l -c 200 -i v1 udp port 1234 2>"$1/tcpdump" &
until grep -q listening "$1/tcpdump"; do sleep 0.02; done
"$2" "$3" pkt-gen -i v0 -f tx -n 200 -w 0 -l 100 >"$1/sent"
grep -q 'Sent 200 packets 20000 bytes' "$1/sent"
wait`;

needs(...labTools('ping', 'tcpdump')).describe('wires', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    let lab: Lab;
    let folder: string;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'vale-wire-'));
      lab = await Lab.open();
    });
    afterAll(() => {
      lab.close();
      rmSync(folder, { recursive: true });
    });

    const vale = (...args: string[]) => new Vale(args, {}, lab.inside);
    const bridge = (...args: string[]) => vale('bridge', '-w', '0', ...args).says(/Ready to go/);

    describe('two hosts, each joined by a bridge to one switch', () => {
      let first: Host;
      let second: Host;
      let bridges: Vale[];
      beforeAll(async () => {
        first = await lab.host('w1', '10.7.0.1/24');
        second = await lab.host('w2', '10.7.0.2/24');
        const sw = freshSwitch();
        bridges = await Promise.all([
          bridge('-i', 'w1', '-i', `${sw}:h1`),
          bridge('-i', `${sw}:h2`, '-i', 'w2'),
        ]);
      });

      test('ping each other', async () => {
        const { code, stdout } = await first.run(
          ...['ping', '-n', '-c', '5', '-i', '0.2', '-W', '5', '10.7.0.2'],
        );
        expect(stdout).toContain('5 packets transmitted, 5 received, 0% packet loss');
        expect(code).toBe(0);
      });

      test('ping each other with packets in fragments', async () => {
        const { stdout } = await second.run(
          ...['ping', '-n', '-c', '3', '-i', '0.2', '-W', '5', '-s', '20000', '10.7.0.1'],
        );
        expect(stdout).toContain('3 received, 0% packet loss');
      });

      test.each([
        ['there', () => [first, second, '10.7.0.2'] as const],
        ['and back', () => [second, first, '10.7.0.1'] as const],
      ])(
        'move a file, %s, byte for byte',
        async (_, ends) => {
          const [from, to, address] = ends();
          await transfer(folder, FILE_BYTES, from, to, address);
        },
        60_000,
      );

      test('and the bridges count what went through, losing nothing they took', async () => {
        for (const one of bridges) {
          const { code, stdout, stderr } = await one.stop();
          expect(code, stderr).toBe(0);
          const ways = [...stdout.matchAll(/forwarded (\d+) packets (\d+) bytes, accepted (\d+)/g)];
          expect(ways).toHaveLength(2);
          for (const [, forwarded, bytes, accepted] of ways) {
            expect(accepted).toBe(forwarded);
            expect(Number(bytes)).toBeGreaterThan(FILE_BYTES);
          }
        }
      });
    });

    test('what the generator sends into an interface, tcpdump sees at the other end', async () => {
      const { code, stdout, stderr } = await withCapabilities(
        CAPTURE,
        ...[folder, process.execPath, join(packageRoot(), 'bin', 'vale.js')],
      );
      expect(code, stderr).toBe(0);
      const lines = stdout.trim().split('\n');
      expect(lines).toHaveLength(200);
      for (const line of lines)
        expect(line).toMatch(
          /> ff:ff:ff:ff:ff:ff, .* length 100: 10\.0\.0\.1\.1234 > 10\.1\.0\.1\.1234: UDP, length 58$/,
        );
    });

    test('a receiver on an interface counts what a host sends', async () => {
      const host = await lab.host('w4', '10.7.4.1/24');
      await host.must('ip neigh add 10.7.4.2 lladdr 02:00:00:00:00:99 dev eth0');
      const receiver = await vale('pkt-gen', '-i', 'w4', '-w', '0').says(/Receiving from/);
      await host.run('ping', '-n', '-c', '20', '-i', '0.01', '-W', '1', '10.7.4.2');
      const { code, stdout } = await receiver.stop();
      expect(code).toBe(0);
      const [, packets] = /Received (\d+) packets/.exec(stdout) ?? [];
      expect(Number(packets)).toBeGreaterThanOrEqual(20);
    });

    test('an interface that does not exist: the nearest name, exit code 1', async () => {
      await lab.must('ip link add wire0 type veth peer name other');
      const { code, stdout, stderr } = await vale('pkt-gen', '-i', 'wire9').result();
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^vale: no interface "wire9" .*did you mean "wire0"\?\n$/);
    });

    test('interfaces of unequal MTU: one line that says what to run', async () => {
      for (const [name, mtu] of [
        ['wide', 9000],
        ['thin', 1450],
      ]) {
        await lab.must(`ip link add ${name} mtu ${mtu} type veth peer name ${name}1`);
        await lab.must(`ip link set ${name} up`);
      }
      const one = await bridge('-i', 'wide', '-i', 'thin');
      const { code, stderr } = await one.stop();
      expect(code).toBe(0);
      expect(stderr).toContain(
        'vale: thin takes packets of 1450 bytes, wide of 9000: longer ones will be dropped; run: ip link set wide mtu 1450, and the same where they come from\n',
      );
    });

    test.each([
      ['a bridge', () => bridge('-i', 'gone0', '-i', `${freshSwitch()}:a`)],
      ['a receiver', () => vale('pkt-gen', '-w', '0', '-i', 'gone0').says(/Receiving from/)],
    ])('an interface removed under %s ends it with one line', async (_, start) => {
      await lab.must('ip link add gone0 type veth peer name gone1');
      await lab.must('ip link set gone0 up');
      const one = await start();
      await lab.must('ip link del gone0');
      const { code, stderr } = await one.result();
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /\nvale: gone0 is gone: its runtime directory or interface was removed\n$/,
      );
    });
  });
});
