// SPDX-License-Identifier: BSD-2-Clause
// The library as a program uses it: frames sent, received and forwarded between real ports.
import { describe, expect, test } from 'vitest';

import { formatMac, isGroup, parseMac, type ValePort } from '../src/index.js';
import { A, ALL, B, firstBatch, frame, open, receive, runtime, start } from './support/library.js';

describe('sending and receiving', () => {
  test('a frame arrives as it was sent, and its header reads', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    const sent = frame(ALL, A, 7);
    expect(a.send(sent)).toBe(true);
    await a.flush();
    const batch = await firstBatch(b);
    expect(batch.length).toBe(1);
    expect(batch.port).toBe(b);
    expect(formatMac(batch.source(0))).toBe(A);
    expect(formatMac(batch.destination(0))).toBe(ALL);
    expect(isGroup(batch.destination(0))).toBe(true);
    expect(batch.etherType(0)).toBe(0x88b5);
    expect(batch.readUint32BE(0, 14)).toBe(7);
    expect(batch.readUint8(0, 59)).toBe((59 * 7) & 0xff);
    const { offset, length } = batch.frame(0);
    expect(b.bytes.subarray(offset, offset + length)).toEqual(sent);
    expect(() => batch.readUint16BE(0, 59)).toThrow(/frame 0 has 60 bytes/);
    expect(() => batch.size(1)).toThrow(/has 1 frames/);
  });

  test('a frame that nobody flushes leaves at the end of the turn', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    a.send(frame(ALL, A));
    expect(b.receive()).toBeUndefined();
    expect(await receive(b, 1)).toEqual([frame(ALL, A)]);
  });

  test('a loop sees 20,000 frames of two senders, each in order, and gives them back', async () => {
    const [a, b, c] = [await open('vale0:a'), await open('vale0:b'), await open('vale0:c')];
    const each = 10_000;
    let read = 0;
    const send = async (port: ValePort, mac: string) => {
      for (let i = 0; i < each; i += 1) {
        // Never more on the way than the receiver's ring holds.
        while (2 * i - read > 500) await new Promise(setImmediate);
        port.send(frame(B, mac, i));
      }
    };
    const next = new Map([
      [parseMac(A), 0],
      [parseMac('02:00:00:00:00:0c'), 0],
    ]);
    const reading = (async () => {
      for await (const batch of b.batches({ most: 64 })) {
        expect(batch.length).toBeLessThanOrEqual(64);
        for (let i = 0; i < batch.length; i += 1) {
          expect(batch.readUint32BE(i, 14)).toBe(next.get(batch.source(i)));
          next.set(batch.source(i), batch.readUint32BE(i, 14) + 1);
        }
        read += batch.length;
        if (read === 2 * each) break;
      }
    })();
    await Promise.all([send(a, A), send(c, '02:00:00:00:00:0c'), reading]);
    expect([...next.values()]).toEqual([each, each]);
    b.receive();
    expect(b.counters()).toMatchObject({ rxFrames: 20_000n, rxRead: 20_000n });
  });

  test('a frame longer than a buffer takes several slots and is read across them', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    const sent = frame(ALL, A, 1, 9000);
    a.send(sent);
    await a.flush();
    const batch = await firstBatch(b);
    const slots = Math.ceil(9000 / b.info.bufSize);
    expect([batch.length, batch.size(0), batch.fragments(0)]).toEqual([1, 9000, slots]);
    const edge = b.info.bufSize;
    const view = new DataView(sent.buffer);
    for (const at of [edge - 3, edge - 2, edge - 1, edge])
      expect([batch.readUint16BE(0, at), batch.readUint32BE(0, at)]).toEqual([
        view.getUint16(at),
        view.getUint32(at),
      ]);
    expect(batch.copy(0)).toEqual(sent);
  });

  test('frames read one by one make room, whatever else waits in the ring', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    const { rxSlots } = b.info;
    const send = async (count: number) => {
      for (let i = 0; i < count; i += 1) expect(a.send(frame(ALL, A, i))).toBe(true);
      await a.flush();
    };
    await send(rxSlots - 1);
    for (let i = 0; i < rxSlots / 2; i += 1) expect(b.receive(1)?.length).toBe(1);
    await send(rxSlots / 4);
    expect(b.counters().drops.ring_full).toBe(0n);
    expect((await receive(b, rxSlots)).length).toBe(rxSlots / 2 - 1 + rxSlots / 4);
  });

  test('what a receiver has no room for is dropped and counted, and the sender never waits', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b', { rxSlots: 64 })];
    for (let i = 0; i < 200; i += 1) expect(a.send(frame(ALL, A, i))).toBe(true);
    await a.flush();
    await a.writable();
    expect(a.counters()).toMatchObject({ txFrames: 200n, txCopies: 200n, txDelivered: 63n });
    expect(b.counters().drops.ring_full).toBe(137n);
    const frames = await receive(b, 63);
    expect(frames.map((bytes) => new DataView(bytes.buffer).getUint32(14))).toEqual(
      Array.from({ length: 63 }, (_, i) => i),
    );
  });

  test('`to` names the receiver, `noLearn` keeps the sender unknown', async () => {
    const [a, b, c] = [await open('vale0:a'), await open('vale0:b'), await open('vale0:c')];
    a.send(frame(ALL, A), { to: runtime.index('vale0:c').portIndex, noLearn: true });
    await a.flush();
    expect(await receive(c, 1)).toHaveLength(1);
    expect(b.receive()).toBeUndefined();
    expect(runtime.fdb('vale0')).toEqual([]);
  });

  test('addresses are read behind the virtio-net header, also when another process sets it', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    for (const name of ['vale0:a', 'vale0:b']) runtime.setHeaderLength(name, 12);
    expect([a.headerLength, b.headerLength]).toEqual([12, 12]);
    const sent = new Uint8Array(72);
    sent.set(frame(ALL, A), 12);
    a.send(sent);
    await a.flush();
    const batch = await firstBatch(b);
    expect([formatMac(batch.source(0)), batch.size(0)]).toEqual([A, 72]);
    expect(() => (a.headerLength = 11)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test('too long, empty and misplaced frames are refused before they reach the ring', async () => {
    const a = await open('vale0:a');
    expect(() => a.send(new Uint8Array(70_000))).toThrow(
      expect.objectContaining({ code: 'EMSGSIZE', message: expect.stringMatching(/70000 bytes/) }),
    );
    expect(() => a.send(new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => a.send({ offset: a.bytes.length - 10, length: 60 })).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    );
    expect(() => a.send(frame(ALL, A), { ring: 3 })).toThrow(/tx ring 3 is not open/);
  });
});

describe('forwarding', () => {
  test.each([
    ['copies between ports of their own memory', undefined],
    ['swaps buffers where they share it', 'vale0:b'],
  ])('%s, and a frame may go out twice', async (_, share) => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    const [c, d] = [await open('vale1:c', share ? { share } : {}), await open('vale1:d')];
    for (let round = 0; round < 3; round += 1) {
      a.send(frame(ALL, A, round));
      a.send(frame(ALL, A, round, 5000));
    }
    await a.flush();
    const batch = await firstBatch(b);
    const before = batch.offset(0);
    for (let i = 0; i < batch.length; i += 1) {
      c.forward(batch, i);
      c.forward(batch, i);
    }
    await c.flush();
    const frames = await receive(d, 12);
    expect(frames).toEqual(
      [0, 1, 2].flatMap((round) => {
        const [short, long] = [frame(ALL, A, round), frame(ALL, A, round, 5000)];
        return [short, short, long, long];
      }),
    );
    expect(batch.offset(0)).toBe(before);
    expect(c.info.memId === b.info.memId).toBe(share !== undefined);
  });

  test('the example: a learning MAC filter in 30 lines, in a process of its own', async () => {
    const [h1, h2, h3] = [await open('vale0:h1'), await open('vale0:h2'), await open('vale1:h3')];
    const filter = start('examples/mac-filter.mjs', 'vale0:f', 'vale1:f');
    expect(await filter.next()).toBe('filtering between vale0:f and vale1:f');
    const M = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03'] as const;
    const say = async (from: ValePort, to: string, source: string) => {
      from.send(frame(to, source));
      await from.flush();
    };

    await say(h1, M[2], M[0]); // unknown: crosses
    expect(await receive(h3, 1)).toEqual([frame(M[2], M[0])]);
    await say(h3, M[0], M[2]); // and the answer finds its way back
    expect((await receive(h1, 1))[0]).toEqual(frame(M[0], M[2]));
    await say(h2, ALL, M[1]);
    expect(await receive(h3, 1)).toEqual([frame(ALL, M[1])]);

    // The switch forgets, so it floods the next frame to the filter too; the filter knows better.
    runtime.fdbFlush('vale0');
    await say(h1, M[1], M[0]);
    await say(h1, ALL, M[0]);
    expect(await receive(h3, 1)).toEqual([frame(ALL, M[0])]);

    filter.child.kill('SIGTERM');
    const learned = [await filter.next(), await filter.next(), await filter.next()].sort();
    expect(learned).toEqual([`${M[0]} vale0:f`, `${M[1]} vale0:f`, `${M[2]} vale1:f`]);
    expect(await filter.exit).toEqual([0, null]);
  });
});
