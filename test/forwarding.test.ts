// SPDX-License-Identifier: BSD-2-Clause
// Which port gets a frame, whole and in order.
import { describe, expect, test } from 'vitest';

import { ALL, frame, mac, received, send, texts } from './support/frames.js';
import { open, runtime, sw, useOwnSwitch } from './support/own-switch.js';
import { freshSwitch } from './support/vale.js';

useOwnSwitch();

describe('one ring a port', () => {
  test('a broadcast, a multicast and an unknown address reach every port but the sender', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    const frames = [ALL, '01:00:5e:00:00:01', mac(9)].map((to, i) => frame(to, mac(1), i));
    await send(a, ...frames);
    expect([received(a), received(b), received(c)]).toEqual([[], frames, frames]);
  });

  test('a known address reaches its port only', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    await send(b, frame(ALL, mac(2)));
    for (const port of [a, c]) received(port);
    const frames = Array.from({ length: 300 }, (_, i) => frame(mac(2), mac(1), i, 60 + i));
    await send(a, ...frames);
    expect([a, b, c].map((port) => texts(received(port)))).toEqual([[], texts(frames), []]);
  });

  test('a frame for its own port goes nowhere', async () => {
    const [a, b] = [await open('a'), await open('b')];
    await send(a, frame(ALL, mac(1)));
    received(b);
    await send(a, frame(mac(1), mac(3)));
    expect([received(a), received(b)]).toEqual([[], []]);
    expect(a.counters().drops.same_port).toBe(1n);
  });

  test('switches are apart', async () => {
    const a = await open('a');
    await using other = await runtime.openPort(`${freshSwitch()}:b`);
    await send(a, frame(ALL, mac(1)));
    expect(received(other)).toEqual([]);
  });

  test('tags, types and payload are as they were sent', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const tagged = frame(ALL, mac(1), 0x81000005, 1518);
    tagged.set([0x81, 0x00, 0x00, 0x05], 12);
    await send(a, tagged);
    expect(received(b)).toEqual([tagged]);
  });

  test('destinations in any mixture stay in order', async () => {
    const a = await open('a');
    const others = [await open('b'), await open('c'), await open('d')];
    for (const [i, port] of others.entries()) await send(port, frame(ALL, mac(i)));
    for (const port of [a, ...others]) received(port);
    const wanted: Uint8Array[][] = [[], [], []];
    for (let i = 0; i < 1000; i += 1) {
      const to = (i * i + (i >> 3)) % 4;
      const bytes = frame(to === 3 ? ALL : mac(to), mac(99), i, 60 + (i % 700));
      for (const [k, list] of wanted.entries()) if (to === 3 || to === k) list.push(bytes);
      a.send(bytes);
    }
    await a.flush();
    expect(others.map((port) => texts(received(port)))).toEqual(wanted.map(texts));
  });

  test.each([60, 1514, 2112, 2113, 9000, 65536])('%d bytes arrive whole', async (size) => {
    const [a, b] = [await open('a'), await open('b')];
    const bytes = frame(ALL, mac(1), size, size);
    await send(a, bytes);
    expect(texts(received(b))).toEqual(texts([bytes]));
  });

  test('between buffers of different sizes', async () => {
    const [a, b] = [await open('a'), await open('b', { bufSize: 256 })];
    const big = frame(ALL, mac(1), 5, 5000);
    await send(a, big);
    expect(texts(received(b))).toEqual(texts([big]));
    await send(b, big);
    expect(texts(received(a))).toEqual(texts([big]));
  });

  test('a sender may name the port, whatever the address', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    a.send(frame(ALL, mac(1)), { to: runtime.index(c.name).portIndex });
    await a.flush();
    expect([received(b), received(c)]).toEqual([[], [frame(ALL, mac(1))]]);
  });

  test('a port that is attached but not open receives nothing', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const name = `p${process.pid % 100_000}`;
    runtime.create(name);
    try {
      runtime.attach(`${sw}:${name}`);
      await send(a, frame(ALL, mac(1)));
      expect(received(b)).toHaveLength(1);
      const late = await open(name);
      expect(received(late)).toEqual([]);
      await send(a, frame(ALL, mac(1), 1));
      expect(received(late)).toEqual([frame(ALL, mac(1), 1)]);
      late.close();
      runtime.detach(`${sw}:${name}`);
    } finally {
      runtime.remove(name);
    }
  });

  test('a full ring takes nothing more, and what it has stays', async () => {
    const [a, b, c] = [await open('a'), await open('b', { rxSlots: 8 }), await open('c')];
    const frames = Array.from({ length: 20 }, (_, i) => frame(ALL, mac(1), i));
    await send(a, ...frames);
    expect(received(c)).toEqual(frames);
    expect(received(b)).toEqual(frames.slice(0, 7));
    expect(b.counters().drops.ring_full).toBe(13n);
  });
});

describe('virtio-net headers', () => {
  test('pass between ports of one length and are no part of the address', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    for (const port of [a, b]) port.headerLength = 12;
    const bytes = new Uint8Array(12 + 60).fill(0xee, 0, 12);
    bytes.set(frame(ALL, mac(1)), 12);
    await send(a, bytes);
    expect([received(b), received(c)]).toEqual([[bytes], []]);
    expect(c.counters().drops.bad_header).toBe(1n);
    expect(runtime.fdb(sw)).toMatchObject([{ mac: mac(1), port: a.name }]);
  });

  test('are put on, taken off and made longer or shorter between ports of different lengths', async () => {
    const ports = [await open('none'), await open('ten'), await open('twelve')];
    ports.forEach((port, i) => (port.headerLength = [0, 10, 12][i]!));
    for (const [i, from] of ports.entries()) {
      const body = frame(ALL, mac(1), i);
      const before = from.headerLength;
      await send(from, Buffer.concat([new Uint8Array(before), body]));
      for (const to of ports.filter((port) => port !== from))
        expect(received(to)).toEqual([
          new Uint8Array(Buffer.concat([new Uint8Array(to.headerLength), body])),
        ]);
    }
  });
});

describe('several rings', () => {
  const rings = { txRings: 4, rxRings: 4 };

  test('unicast keeps the number of its ring, floods enter ring 0', async () => {
    const [a, b] = [await open('a', rings), await open('b', rings)];
    await send(b, frame(ALL, mac(2)));
    received(a);
    for (let ring = 0; ring < 4; ring += 1) {
      a.send(frame(mac(2), mac(1), ring), { ring });
      a.send(frame(ALL, mac(1), 10 + ring), { ring });
    }
    await a.flush();
    const seen: [number, number][] = [];
    for (let batch; (batch = b.receive()) !== undefined;)
      for (let i = 0; i < batch.length; i += 1) seen.push([batch.ring, batch.readUint32BE(i, 14)]);
    expect(seen.filter(([ring]) => ring > 0)).toEqual([1, 2, 3].map((ring) => [ring, ring]));
    expect(seen.filter(([ring]) => ring === 0).map(([, number]) => number)).toEqual([
      0, 10, 11, 12, 13,
    ]);
  });

  test('more rings at the sender than at the receiver wrap', async () => {
    const [a, b] = [await open('a', rings), await open('b', { rxRings: 2 })];
    await send(b, frame(ALL, mac(2)));
    received(a);
    for (let ring = 0; ring < 4; ring += 1) a.send(frame(mac(2), mac(1), ring), { ring });
    await a.flush();
    const seen: Record<number, number[]> = { 0: [], 1: [] };
    for (let batch; (batch = b.receive()) !== undefined;)
      for (let i = 0; i < batch.length; i += 1) seen[batch.ring]!.push(batch.readUint32BE(i, 14));
    expect(seen).toEqual({ 0: [0, 2], 1: [1, 3] });
  });

  test('one ring of a port can be opened by itself, exclusively', async () => {
    const a = await open('a');
    const one = await open('b-1', { ...rings, exclusive: true });
    const zero = await open('b-0', { exclusive: true });
    await expect(open('b')).rejects.toMatchObject({ code: 'EBUSY' });
    await send(a, frame(ALL, mac(1)));
    expect([received(zero), received(one)]).toEqual([[frame(ALL, mac(1))], []]);
  });
});
