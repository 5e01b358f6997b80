// SPDX-License-Identifier: BSD-2-Clause
// The library as a program uses it: waiting, ends, the runtime directory, engines; real processes and workers.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { transform } from 'esbuild';
import { describe, expect, test } from 'vitest';

import { bridge, generate, openPort, Runtime } from '../src/index.js';
import {
  A,
  ALL,
  B,
  directory,
  frame,
  library,
  open,
  program,
  receive,
  root,
  runtime,
  start,
} from './support/library.js';

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
