// SPDX-License-Identifier: BSD-2-Clause
// What a switch knows about addresses, as seen by `vale ctl fdb` and by who gets the frames.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { ALL, frame, mac, received, send } from './support/frames.js';
import { open, runtime, sw, useOwnSwitch } from './support/own-switch.js';
import { vale, Vale } from './support/vale.js';

const LONG = 120_000;
useOwnSwitch();

/** The table as `vale ctl fdb show` prints it, without ages. */
async function table(): Promise<string[]> {
  const { code, stdout } = await vale('ctl', 'fdb', 'show', sw);
  expect(code).toBe(0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/ \d+$/, ''));
}

/** A receiver that is ready; stop() says how many frames it got. */
async function receiver(name: string) {
  const run = await new Vale(['pkt-gen', '-i', `${sw}:${name}`, '--json']).says(/^$/);
  while (!runtime.list().some((row) => row.name === `${sw}:${name}`)) await sleep(10);
  return {
    run,
    stop: async () => (JSON.parse((await run.stop()).stdout) as { received: number }).received,
  };
}

const generate = (name: string, ...args: string[]) =>
  vale('pkt-gen', '-i', `${sw}:${name}`, '-f', 'tx', ...args);

describe('between processes', () => {
  test(
    'a source address is learned, shown, and from then on its frames go to that port only',
    async () => {
      const [b, c] = [await receiver('b'), await receiver('c')];
      // A second program on the receiver's port speaks for it.
      await generate('b', '-n', '1', '-S', mac(2), '-D', ALL);
      expect(await table()).toEqual([`${sw} ${mac(2)} ${sw}:b`]);
      await generate('a', '-n', '500', '-S', mac(1), '-D', mac(2));
      expect(runtime.list().find((row) => row.name === `${sw}:b`)!.counters!.rxFrames).toBe(500n);
      expect([await b.stop(), await c.stop()]).toEqual([500, 1]);
    },
    LONG,
  );

  test(
    'a process that dies takes what was learned on its ports with it',
    async () => {
      const c = await receiver('c');
      const args = ['pkt-gen', '-i', `${sw}:a`, '-f', 'tx', '-R', '100', '-T', '100', '-S', mac(1)];
      const sender = await new Vale(args).says(/avg_batch/);
      expect(await table()).toEqual([`${sw} ${mac(1)} ${sw}:a`]);
      await sender.stop('SIGKILL');
      expect(await table()).toEqual([]);
      await c.stop();
    },
    LONG,
  );

  test(
    'a static entry neither moves nor goes with a flush; removed, it is learned again',
    async () => {
      const [a, b, c] = [await open('a'), await open('b'), await open('c')];
      await vale('ctl', 'fdb', 'add', b.name, mac(7));
      await send(c, frame(ALL, mac(7)), frame(ALL, mac(3)));
      for (const port of [a, b]) received(port);
      await send(a, frame(mac(7), mac(1)));
      expect([received(b).length, received(c).length]).toEqual([1, 0]);
      expect((await table()).sort()).toEqual(
        [
          `${sw} ${mac(1)} ${a.name}`,
          `${sw} ${mac(3)} ${c.name}`,
          `${sw} ${mac(7)} ${b.name} static`,
        ].sort(),
      );
      await vale('ctl', 'fdb', 'flush', sw);
      expect(await table()).toEqual([`${sw} ${mac(7)} ${b.name} static`]);
      await vale('ctl', 'fdb', 'remove', sw, mac(7));
      expect(await table()).toEqual([]);
      await send(c, frame(ALL, mac(7)));
      expect(await table()).toEqual([`${sw} ${mac(7)} ${c.name}`]);
    },
    LONG,
  );

  test(
    'an address that is silent for long enough is forgotten, and flooded again',
    async () => {
      const [a, b, c] = [await open('a'), await open('b'), await open('c')];
      expect(runtime.switches().find(({ name }) => name === sw)!.ageing).toBe(300);
      expect((await vale('ctl', 'fdb', 'ageing', sw, '1')).code).toBe(0);
      await send(b, frame(ALL, mac(2)));
      for (const port of [a, c]) received(port);
      const deadline = performance.now() + 20_000;
      while (runtime.fdb(sw).length > 0 && performance.now() < deadline) await sleep(200);
      expect(await table()).toEqual([]);
      await send(a, frame(mac(2), mac(1)));
      expect([received(b).length, received(c).length]).toEqual([1, 1]);
    },
    LONG,
  );
});

describe('in one process', () => {
  test('an address moves with its frames, and moves back', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    for (const port of [a, b, a]) {
      await send(port, frame(ALL, mac(9)));
      expect(runtime.fdb(sw)).toMatchObject([{ mac: mac(9), port: port.name, isStatic: false }]);
      for (const other of [a, b, c]) received(other);
      await send(c, frame(mac(9), ALL, 1));
      expect([a, b].map((other) => received(other).length)).toEqual([
        Number(port === a),
        Number(port === b),
      ]);
    }
  });

  test('a port that leaves is forgotten, also when another takes its index', async () => {
    const [a, c] = [await open('a'), await open('c')];
    const b = await open('b');
    await send(b, frame(ALL, mac(2)));
    const { portIndex } = runtime.index(b.name);
    b.close();
    const d = await open('d');
    expect(runtime.index(d.name).portIndex).toBe(portIndex);
    received(c);
    await send(a, frame(mac(2), mac(1)));
    expect([received(c).length, received(d).length]).toEqual([1, 1]);
  });

  test('group addresses, and frames that ask not to be, are not learned', async () => {
    const [a] = [await open('a'), await open('b')];
    a.send(frame(ALL, '03:00:00:00:00:01'));
    a.send(frame(ALL, mac(1)), { noLearn: true });
    await a.flush();
    expect(runtime.fdb(sw)).toEqual([]);
  });

  test('a port learns while it is alone', async () => {
    const a = await open('a');
    await send(a, frame(ALL, mac(1)));
    const [b, c] = [await open('b'), await open('c')];
    await send(b, frame(mac(1), mac(2)));
    expect([received(a).length, received(c).length]).toEqual([1, 0]);
  });

  // One after another, so that they fall where a table by their low bits would be crowded.
  test('thousands of addresses are known at once', async () => {
    const [a, b, c] = [await open('a'), await open('b'), await open('c')];
    const address = (i: number) =>
      `02:00:00:00:${[i >> 8, i & 255].map((n) => n.toString(16).padStart(2, '0')).join(':')}`;
    for (let i = 0; i < 8000; i += 1) {
      b.send(frame(ALL, address(i)));
      if (i % 500 === 499) {
        await b.flush();
        for (const port of [a, c]) received(port);
      }
    }
    expect(runtime.fdb(sw)).toHaveLength(8000);
    for (let i = 0; i < 8000; i += 80) a.send(frame(address(i), mac(1), i));
    await a.flush();
    expect([received(b).length, received(c).length]).toEqual([100, 0]);
  });
});
