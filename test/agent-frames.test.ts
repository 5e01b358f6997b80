// SPDX-License-Identifier: BSD-2-Clause
// Frames on the way wire, switch, wire, both wires attached: tags and lengths as they were sent. What
// hosts send and receive is seen through a bridge to a switch of the test's own at either end.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Runtime, type ValePort } from '../src/index.js';
import { ALL, frame, mac, received, send, texts } from './support/frames.js';
import { Lab, labTools, type Host } from './support/lab.js';
import { needs } from './support/need.js';
import { freshSwitch, Vale } from './support/vale.js';

const MTU = 9000;
const TAG = 4;

/** A broadcast frame of a station with these tags: type, then priority and VLAN. */
function tagged(number: number, size: number, ...tags: [number, number][]): Uint8Array {
  const plain = frame(ALL, mac(1), number, size - tags.length * TAG);
  const inserted = tags.flatMap((words) => words.flatMap((word) => [word >> 8, word & 0xff]));
  return Uint8Array.from([...plain.subarray(0, 12), ...inserted, ...plain.subarray(12)]);
}

needs(...labTools()).describe('frames between two attached wires', () => {
  needs('user namespaces').describe('in namespaces', () => {
    let lab: Lab;
    let hosts: Host[];
    const ends = [freshSwitch(), freshSwitch()];
    const sw = freshSwitch();
    const bridges: Vale[] = [];
    let runtime: Runtime;
    let ports: ValePort[];

    const ctl = async (...args: string[]) => {
      const { code, stderr } = await new Vale(['ctl', ...args], {}, lab.inside).result();
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    };

    beforeAll(async () => {
      lab = await Lab.open();
      hosts = [await lab.host('f1', '10.8.0.1/24'), await lab.host('f2', '10.8.0.2/24')];
      runtime = new Runtime();
      ports = await Promise.all(ends.map((end) => runtime.openPort(`${end}:test`)));
      for (const [i, host] of hosts.entries()) {
        await lab.must(`ip link set f${i + 1} mtu ${MTU}`);
        await host.must(`ip link set eth0 mtu ${MTU}`);
        await ctl('-a', `${sw}:f${i + 1}`);
        const args = ['bridge', '-w', '0', '-i', 'eth0', '-i', `${ends[i]}:wire`];
        bridges.push(await new Vale(args, {}, host.inside).says(/Ready to go/));
      }
    });

    afterAll(async () => {
      for (const bridge of bridges) await bridge.stop();
      for (const wire of ['f1', 'f2']) await ctl('-d', `${sw}:${wire}`);
      for (const port of ports) port.close();
      runtime.close();
      lab.close();
    });

    test('keep their tags, priorities and lengths, both ways, in order', async () => {
      const frames = [
        tagged(1, 60),
        tagged(2, 64, [0x8100, 0x6005]), // priority 3, VLAN 5
        tagged(3, 64, [0x8100, 0xe000]), // priority 7 alone
        tagged(4, 100, [0x88a8, 7], [0x8100, 0x2009]),
        tagged(5, 1514),
        tagged(6, 1518, [0x8100, 0xfff]),
        tagged(7, MTU + 14),
        tagged(8, MTU + 14 + TAG, [0x8100, 5]),
        // The kernel grants the length of a tag to 802.1Q alone.
        tagged(9, MTU + 14, [0x88a8, 7], [0x8100, 9]),
      ];
      for (const [from, to] of [ports, ports.toReversed()] as [ValePort, ValePort][]) {
        const arrived: Uint8Array[] = [];
        await send(from, ...frames);
        await expect
          .poll(() => {
            const sent = received(to).filter((bytes) => bytes[6] === 2 && bytes[11] === 1);
            return arrived.push(...sent);
          })
          .toBe(frames.length);
        expect(texts(arrived)).toEqual(texts(frames));
      }
    });
  });
});
