// SPDX-License-Identifier: BSD-2-Clause
// Two hosts with all their offloads on, each on a wire to one switch, whoever serves the wires: what
// they say to each other arrives as they said it, whatever of it was left to the hardware that is not
// there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Runtime, type ValePort } from '../src/index.js';
import { received } from './support/frames.js';
import { finished, Lab, labTools, type Host } from './support/lab.js';
import { needs } from './support/need.js';
import { transfer } from './support/transfer.js';
import { freshSwitch, Vale } from './support/vale.js';

const LONG = 60_000;
const FILE_BYTES = 8 << 20;

const VLANS =
  spawnSync('unshare', ['-Urn', 'ip', 'link', 'add', 'link', 'lo', 'type', 'vlan', 'id', '5'])
    .status === 0;
const without = VLANS ? '' : ' (skipped: this kernel has no VLAN devices)';

/** The hosts' networks: interface, what makes it from eth0, and the first bytes of its addresses. */
const NETWORKS = [
  { name: 'untagged', device: 'eth0', make: [], v4: '10.8.0', v6: 'fd08:0', tags: [] },
  {
    name: `a VLAN${without}`,
    device: 'v5',
    make: ['ip link add link eth0 name v5 type vlan id 5'],
    v4: '10.8.5',
    v6: 'fd08:5',
    tags: [0x8100, 5],
  },
  {
    name: `a VLAN in a VLAN${without}`,
    device: 'q9',
    make: [
      'ip link add link eth0 name q7 type vlan proto 802.1ad id 7',
      'ip link set q7 up',
      'ip link add link q7 name q9 type vlan id 9',
    ],
    v4: '10.8.9',
    v6: 'fd08:9',
    tags: [0x88a8, 7, 0x8100, 9],
  },
];

type Network = (typeof NETWORKS)[number];

/** A test of each of these networks that the kernel can make. */
const eachOf = (
  networks: Network[],
  name: string,
  body: (of: Network) => Promise<void>,
  timeout?: number,
): void => {
  for (const one of networks)
    test.skipIf(one.tags.length > 0 && !VLANS)(
      name.replace('$name', one.name),
      () => body(one),
      timeout,
    );
};
/** What joins a wire to the switch, until it is undone. The first is given all networks. */
const JOINS: {
  by: string;
  networks: Network[];
  join: (sw: string, wire: string, inside: string[]) => Promise<() => Promise<void>>;
}[] = [
  {
    by: 'vale bridge',
    networks: NETWORKS,
    join: async (sw, wire, inside) => {
      const args = ['bridge', '-w', '0', '-i', wire, '-i', `${sw}:p${wire}`];
      const bridge = await new Vale(args, {}, inside).says(/Ready to go/);
      return async () => void (await bridge.stop());
    },
  },
  {
    by: 'vale ctl -a',
    networks: NETWORKS.filter(({ tags }) => tags.length !== 2),
    join: async (sw, wire, inside) => {
      const ctl = async (option: string) => {
        const { code, stderr } = await new Vale(
          ['ctl', option, `${sw}:${wire}`],
          {},
          inside,
        ).result();
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      };
      await ctl('-a');
      return () => ctl('-d');
    },
  },
];
const CASES = JOINS.flatMap((how) => [1500, 9000].map((mtu) => ({ ...how, mtu })));

type Report = { end: { sum_received: { bytes: number }; sum: { lost_packets: number } } };

/** One run of iperf3 from `from` to the address; what its client reports. */
async function iperf(from: Host, to: Host, address: string, ...args: string[]): Promise<Report> {
  const server = to.start('iperf3', '-s', '-1', '--forceflush');
  const served = finished(server);
  await new Promise((listening) => server.stdout?.once('data', listening));
  const client = await from.run('iperf3', '-c', address, '--json', ...args);
  expect(client.code, client.stdout + client.stderr).toBe(0);
  expect((await served).code).toBe(0);
  return JSON.parse(client.stdout) as Report;
}

/** How often a host's stack has met a wrong checksum. */
async function wrongChecksums(host: Host): Promise<number> {
  const { stdout } = await host.run('cat', '/proc/net/snmp', '/proc/net/snmp6');
  let sum = 0;
  const lines = stdout.split('\n');
  for (const [i, line] of lines.entries()) {
    const [protocol = '', ...names] = line.split(/\s+/);
    const values = lines[i + 1]?.split(/\s+/).slice(1) ?? [];
    const at = names.indexOf('InCsumErrors');
    if (at >= 0) sum += Number(values[at]);
    else if (protocol.endsWith('InCsumErrors')) sum += Number(names[0]);
  }
  return sum;
}

needs(...labTools('ping', 'iperf3', 'ethtool')).describe('two hosts and a switch', () => {
  needs('user namespaces').describe('in namespaces', () => {
    describe.each(CASES)('joined by $by, MTU $mtu', ({ networks, join, mtu }) => {
      const each = (...args: [string, (of: Network) => Promise<void>, number?]) =>
        eachOf(networks, ...args);
      let lab: Lab;
      let folder: string;
      let first: Host;
      let second: Host;
      let undo: (() => Promise<void>)[];
      let runtime: Runtime;
      let spy: ValePort;

      beforeAll(async () => {
        folder = mkdtempSync(path(tmpdir(), 'vale-hosts-'));
        lab = await Lab.open();
        first = await lab.host('w1', '10.8.0.1/24');
        second = await lab.host('w2', '10.8.0.2/24');
        for (const wire of ['w1', 'w2']) await lab.must(`ip link set ${wire} mtu ${mtu}`);
        for (const [i, host] of [first, second].entries()) {
          await host.must(`ip link set eth0 mtu ${mtu}`);
          for (const { device, make, v4, v6, tags } of networks) {
            if (tags.length > 0 && !VLANS) continue;
            for (const line of make) await host.must(line);
            await host.must(`ip link set ${device} up`);
            if (device !== 'eth0') await host.must(`ip addr add ${v4}.${i + 1}/24 dev ${device}`);
            await host.must(`ip addr add ${v6}::${i + 1}/64 dev ${device} nodad`);
          }
        }
        const sw = freshSwitch();
        undo = await Promise.all(['w1', 'w2'].map((wire) => join(sw, wire, lab.inside)));
        runtime = new Runtime();
        spy = await runtime.openPort(`${sw}:spy`);
      }, LONG);

      afterAll(async () => {
        spy.close();
        runtime.close();
        for (const one of undo) await one();
        lab.close();
        rmSync(folder, { recursive: true });
      });

      test('their offloads are on', async () => {
        const { stdout } = await first.run('ethtool', '-k', 'eth0');
        for (const feature of ['tx-checksumming', 'tcp-segmentation-offload', 'tx-vlan-offload'])
          expect(stdout).toContain(`${feature}: on`);
      });

      each(
        '$name: a file arrives byte for byte, over IPv4 and back over IPv6',
        async ({ v4, v6 }) => {
          await transfer(folder, FILE_BYTES, first, second, `${v4}.2`);
          await transfer(folder, FILE_BYTES, second, first, `${v6}::1`);
        },
        LONG,
      );

      each(
        '$name: iperf3 moves its bytes over TCP, and datagrams of any size over UDP',
        async ({ v4, v6 }) => {
          // What was under way when the client ended, megabytes between busy hosts, is not in its report.
          const tcp = await iperf(first, second, `${v4}.2`, '-n', '32M');
          expect(tcp.end.sum_received.bytes).toBeGreaterThan(24 << 20);
          const back = await iperf(first, second, `${v6}::2`, '-n', '32M', '-R');
          expect(back.end.sum_received.bytes).toBeGreaterThan(24 << 20);
          // Longer than the MTU: the stack cuts them into fragments itself.
          for (const length of ['100', '1400', '20000']) {
            const args = ['-u', '-b', '10M', '-l', length, '-k', '50'];
            const udp = await iperf(first, second, `${v6}::2`, ...args);
            expect(udp.end.sum.lost_packets).toBe(0);
          }
        },
        LONG,
      );

      test('no host has met a wrong checksum', async () => {
        expect(await wrongChecksums(first)).toBe(0);
        expect(await wrongChecksums(second)).toBe(0);
      });

      each('$name: the switch sees the tags', async ({ v4, tags }) => {
        await first.run('ping', '-n', '-c', '1', '-W', '1', '-b', `${v4}.77`); // ARP, flooded
        const types = received(spy).map((bytes) => {
          const view = new DataView(bytes.buffer, bytes.byteOffset);
          const seen: number[] = [];
          let at = 12;
          for (; [0x8100, 0x88a8].includes(view.getUint16(at)); at += 4)
            seen.push(view.getUint16(at), view.getUint16(at + 2) & 0xfff);
          return view.getUint16(at) === 0x0806 ? seen : undefined;
        });
        expect(types).toContainEqual(tags);
      });

      test('nothing the switch took was dropped but by a full ring', () => {
        const rows = runtime.list().filter(({ name }) => /:p?w\d$/.test(name));
        expect(rows).toHaveLength(2);
        for (const { counters } of rows) {
          const { ring_full, no_destination, ...others } = counters!.drops;
          expect(ring_full).toBeLessThan(1_000_000n);
          expect(no_destination).toBeLessThan(100n); // what a host says before anybody else is there
          expect(Object.values(others).reduce((sum, n) => sum + n, 0n)).toBe(0n);
        }
      });
    });
  });
});
