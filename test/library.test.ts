// SPDX-License-Identifier: BSD-2-Clause
// The library as a program uses it: real switches, worker threads and processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { transform } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  bridge,
  formatMac,
  generate,
  isGroup,
  openPort,
  parseMac,
  Runtime,
  type OpenOptions,
  type RxBatch,
  type ValePort,
} from '../src/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'dist/lib/index.js');

let directory: string;
let runtime: Runtime;
let cleanup: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(process.env['VALE_DIR']!, 'library-'));
  runtime = new Runtime(directory);
  cleanup = [];
});

afterEach(() => {
  for (const step of cleanup.reverse()) step();
  runtime.close();
  rmSync(directory, { recursive: true, force: true });
});

async function open(name: string, options?: OpenOptions): Promise<ValePort> {
  const port = await runtime.openPort(name, options);
  cleanup.push(() => port.close());
  return port;
}

/** An Ethernet frame whose payload is a count. */
function frame(destination: string, source: string, payload = 0, size = 60): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, mac] of [parseMac(destination), parseMac(source)].entries()) {
    view.setUint16(at * 6, Math.floor(mac / 2 ** 32));
    view.setUint32(at * 6 + 2, mac % 2 ** 32);
  }
  view.setUint16(12, 0x88b5);
  view.setUint32(14, payload);
  for (let i = 18; i < size; i += 1) bytes[i] = (i * 7) & 0xff;
  return bytes;
}

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const ALL = 'ff:ff:ff:ff:ff:ff';

/** Copies of everything that arrives until `count` frames have, or 3 s have passed. */
async function receive(port: ValePort, count: number): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  while (frames.length < count && (await port.readable(3000)))
    for (let batch; frames.length < count && (batch = port.receive(count - frames.length));)
      for (let i = 0; i < batch.length; i += 1) frames.push(batch.copy(i));
  return frames;
}

async function firstBatch(port: ValePort): Promise<RxBatch> {
  expect(await port.readable(3000)).toBe(true);
  return port.receive()!;
}

/** Runs a program of the repository; lines of its standard output come from next(). */
function start(...args: string[]) {
  const env = { ...process.env, VALE_DIR: directory };
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup.push(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return { child, exit, next: async () => (await lines.next()).value as string | undefined };
}

/** The library's own built form, as a program imports it. */
const program = (body: string) => [
  '--input-type=module',
  '-e',
  `import * as vale from ${JSON.stringify(library)};${body}`,
];

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

describe('waiting', () => {
  test('a loop ends when its port is closed', async () => {
    const b = await open('vale0:b');
    setTimeout(() => b.close(), 20);
    for await (const batch of b) expect(batch).toBeUndefined();
    expect(b.closed).toBe(true);
    expect(b.bytes.length).toBe(0);
    expect(() => b.counters()).toThrow(
      expect.objectContaining({
        code: 'EBADF',
        errno: 9,
        message: expect.stringMatching(/^vale0:b: /),
      }),
    );
    expect(() => b.send(frame(ALL, A))).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('a signal ends a loop with an AbortError, and the port is still good', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    const reason = new Error('enough');
    const loop = async (signal: AbortSignal) => {
      for await (const batch of b.batches({ signal })) expect(batch).toBeUndefined();
    };
    const controller = new AbortController();
    const looping = loop(controller.signal);
    setTimeout(() => controller.abort(reason), 20);
    await expect(looping).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: reason,
    });
    a.send(frame(ALL, A));
    expect(await receive(b, 1)).toHaveLength(1);
  });

  test('only one loop reads a port', async () => {
    const b = await open('vale0:b');
    const first = b[Symbol.asyncIterator]();
    const waiting = first.next();
    await expect(b[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'EBUSY' });
    expect(() => b.receive()).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    b.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('readable() says no after its time', async () => {
    const b = await open('vale0:b');
    expect(await b.readable(0)).toBe(false);
    const started = performance.now();
    expect(await b.readable(50)).toBe(false);
    expect(performance.now() - started).toBeGreaterThan(45);
  });

  test('timers run beside a loop that always finds frames', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    a.send(frame(ALL, A));
    for await (const batch of b.batches()) {
      if (ticks >= 5) break;
      for (let i = 0; i < batch.length; i += 1) a.send(frame(ALL, A));
      await a.flush();
    }
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(5);
  }, 5000);

  test('a receiver in another process wakes up', async () => {
    const a = await open('vale0:a');
    const other = start(
      ...program(`
        const port = await vale.openPort('vale0:b');
        console.log('ready');
        for await (const batch of port) {
          console.log(vale.formatMac(batch.source(0)));
          port.close();
        }`),
    );
    expect(await other.next()).toBe('ready');
    await new Promise((done) => setTimeout(done, 100));
    a.send(frame(ALL, A));
    expect(await other.next()).toBe(A);
    expect(await other.exit).toEqual([0, null]);
  });
});

describe('ends', () => {
  test('leaving the scope closes a port, after what was sent', async () => {
    const b = await open('vale0:b');
    {
      await using a = await runtime.openPort('vale0:a');
      a.send(frame(ALL, A));
      expect(runtime.list().map((row) => row.name)).toEqual(['vale0:b', 'vale0:a']);
    }
    expect(runtime.list().map((row) => row.name)).toEqual(['vale0:b']);
    expect(await receive(b, 1)).toHaveLength(1);
  });

  test.each(['process.exit(3)', 'process.kill(process.pid, "SIGKILL")'])(
    'a process with ports open, waiting and running, ends by %s and leaves none',
    async (end) => {
      const other = start(
        ...program(`
          const [a, b, c] = await Promise.all(['vale0:a', 'vale0:b', 'vale0:c'].map((n) => vale.openPort(n)));
          vale.generate('tx', a, { rate: 1000 });
          vale.generate('rx', b);
          console.log('ready');
          setTimeout(() => ${end}, 50);
          for await (const batch of c);`),
      );
      expect(await other.next()).toBe('ready');
      expect(await other.exit).toEqual(end.includes('exit') ? [3, null] : [null, 'SIGKILL']);
      expect(runtime.list()).toEqual([]);
    },
  );

  test('a worker opens its own ports, and they end with it, whatever it is doing', async () => {
    const a = await open('vale0:a');
    for (let round = 0; round < 5; round += 1) {
      const worker = new Worker(
        `import(${JSON.stringify(library)}).then(async ({ openPort }) => {
          const { parentPort, workerData } = require('node:worker_threads');
          const port = await openPort({ name: 'vale0:w', directory: workerData });
          parentPort.postMessage('ready');
          for await (const batch of port) parentPort.postMessage(batch.copy(0));
        })`,
        { eval: true, workerData: directory },
      );
      expect(await once(worker, 'message')).toEqual(['ready']);
      a.send(frame(ALL, A, round));
      expect(await once(worker, 'message')).toEqual([frame(ALL, A, round)]);
      await worker.terminate();
      expect(runtime.list().map((row) => row.name)).toEqual(['vale0:a']);
    }
  });
});

describe('the runtime directory', () => {
  test('lists switches and ports with their counters', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b', { rxRings: 2, txRings: 2 })];
    a.send(frame(B, A));
    await a.flush();
    expect(runtime.directory).toBe(directory);
    expect(runtime.switches()).toMatchObject([{ name: 'vale0', ports: 2, fdbEntries: 1 }]);
    expect(runtime.list()).toMatchObject([
      { name: 'vale0:a', attached: true, persistent: false, counters: { txFrames: 1n } },
      { name: 'vale0:b', attached: true, info: { rxRings: 2, memId: b.info.memId } },
    ]);
    expect(runtime.info('vale0:b')).toMatchObject({ name: 'vale0:b', txRings: 2 });
    expect(runtime.fdb('vale0')).toMatchObject([{ mac: A, port: 'vale0:a', isStatic: false }]);
    runtime.fdbAdd('vale0:b', B);
    expect(runtime.fdbFlush('vale0')).toBe(1);
    expect(runtime.fdb('vale0')).toMatchObject([{ mac: B, port: 'vale0:b', isStatic: true }]);
    runtime.fdbRemove('vale0', B);
    expect(runtime.fdb('vale0')).toEqual([]);
    runtime.setAgeing('vale0', 60);
    expect(runtime.switches()).toMatchObject([{ ageing: 60 }]);
  });

  test('a persistent port is made, attached, detached and removed', () => {
    expect(runtime.create('p0', { rxSlots: 256 })).toMatchObject({ rxSlots: 256 });
    const index = runtime.attach('vale0:p0');
    expect(runtime.index('vale0:p0').portIndex).toBe(index);
    expect(runtime.list()).toMatchObject([{ name: 'vale0:p0', persistent: true, attached: true }]);
    expect(runtime.detach('vale0:p0')).toBe(index);
    expect(runtime.list()).toMatchObject([{ name: 'p0', persistent: true, attached: false }]);
    runtime.remove('p0');
    expect(runtime.list()).toEqual([]);
  });

  test('failures name what was asked for, and carry a code', async () => {
    await expect(runtime.openPort('vale0:a b')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(runtime.openPort('nosuch0')).rejects.toMatchObject({
      code: 'ENXIO',
      errno: 6,
      message: expect.stringMatching(/nosuch0/),
    });
    await open('vale0:x', { exclusive: true });
    await expect(runtime.openPort('vale0:x')).rejects.toMatchObject({ code: 'EBUSY' });
    expect(() => new Runtime('/dev/null/no')).toThrow(
      expect.objectContaining({ code: 'ENOTDIR', message: expect.stringMatching('/dev/null/no') }),
    );
    await expect(openPort({ name: 'vale0:y', directory, txSlots: -1 })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(/txSlots/),
    });
    runtime.close();
    expect(() => runtime.list()).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

describe('docs/library.md', () => {
  const text = readFileSync(join(root, 'docs/library.md'), 'utf8');
  const blocks = [...text.matchAll(/^```(js|ts)\n(.*?)^```/gms)].map(([, , code]) => code!);

  test.each(blocks.map((code, i) => [i + 1, code] as const))('program %i runs', async (_, code) => {
    const { code: js } = await transform(code, { loader: 'ts', target: 'node20', format: 'esm' });
    const run = start('--input-type=module', '-e', js);
    expect(await run.exit).toEqual([0, null]);
    expect(runtime.list()).toEqual([]);
  });
});

describe('engines', () => {
  test('a generator and a receiver: every frame is accounted for', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale0:b')];
    await using rx = generate('rx', b);
    await using tx = generate('tx', a, { count: 50_000, size: 100, burst: 64 });
    expect(() => a.send(frame(ALL, A))).toThrow(
      expect.objectContaining({
        code: 'EBUSY',
        message: expect.stringMatching(/^vale0:a: an engine/),
      }),
    );
    await tx.done;
    expect(tx.sample()).toMatchObject([{ frames: 50_000n, bytes: 5_000_000n, done: true }]);
    const { txDelivered } = a.counters();
    for (let i = 0; i < 100 && rx.sample()[0]!.frames < txDelivered; i += 1)
      await new Promise((done) => setTimeout(done, 20));
    await rx.stop();
    expect(rx.sample()[0]!.frames).toBe(txDelivered);
    expect(txDelivered + b.counters().drops.ring_full).toBe(50_000n);
  });

  test('a bridge joins two switches, and gives its ports back', async () => {
    const [a, b] = [await open('vale0:a'), await open('vale1:b')];
    const [left, right] = [await open('vale0:l'), await open('vale1:r')];
    const run = bridge(left, right);
    a.send(frame(B, A, 1));
    await a.flush();
    expect(await receive(b, 1)).toEqual([frame(B, A, 1)]);
    b.send(frame(A, B, 2));
    await b.flush();
    expect(await receive(a, 1)).toEqual([frame(A, B, 2)]);
    await run.stop();
    expect(run.sample().map(({ frames }) => frames)).toEqual([1n, 1n]);
    expect(left.send(frame(ALL, B, 3))).toBe(true);
    await left.flush();
    expect(await receive(a, 1)).toEqual([frame(ALL, B, 3)]);
  });

  test('options that make no sense are refused by name', async () => {
    const a = await open('vale0:a');
    expect(() => generate('tx', a, { size: 3 })).toThrow(/size 3/);
    expect(() => generate('tx', a, { source: '10.0.0.300' })).toThrow(
      /^source 10.0.0.300: expected/,
    );
    expect(() => generate('tx', [a, a])).toThrow(/vale0:a: given twice/);
    expect(() => generate('tx', a, { count: 0.5 })).toThrow(/count: expected an integer/);
    expect(() => bridge(a, a)).toThrow(/given twice/);
  });
});
