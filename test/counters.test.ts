// SPDX-License-Identifier: BSD-2-Clause
// Every frame is counted once, with its reason if it is dropped; anybody may look, at any time.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import type { PortCounters } from '../src/index.js';
import { ALL, frame, mac, received, send } from './support/frames.js';
import { open, runtime, sw, useOwnSwitch } from './support/own-switch.js';
import { vale, Vale } from './support/vale.js';

const LONG = 120_000;
useOwnSwitch();

interface Counters {
  tx_frames: number;
  tx_copies: number;
  tx_delivered: number;
  rx_frames: number;
  rx_read: number;
  rx_gone: number;
  drops: Record<string, number>;
}
type Row = { name: string; counters: Counters };

/** `vale ctl stats --json` of the test's switch: its totals, and those of its ports by name. */
async function stats() {
  const { stdout } = await vale('ctl', 'stats', sw, '--json');
  const { switches, ports } = JSON.parse(stdout) as { switches: Row[]; ports: Row[] };
  expect(switches).toHaveLength(1);
  const port = (name: string) => ports.find((row) => row.name === `${sw}:${name}`)!.counters;
  return { total: switches[0]!.counters, port };
}

const sum = (drops: Record<string, number>) => Object.values(drops).reduce((all, n) => all + n, 0);
const total = () => runtime.switches().find(({ name }) => name === sw)!.totals!;

/** Copies that are neither delivered nor dropped yet. */
const inFlight = ({ txCopies, txDelivered, drops }: PortCounters) =>
  txCopies - txDelivered - Object.values(drops).reduce((all, n) => all + n, 0n);

describe('at rest', () => {
  test('every drop has its reason, at the port where it happened', async () => {
    const a = await open('a');
    await send(a, frame(ALL, mac(1)));
    const b = await open('b', { rxSlots: 8 });
    const c = await open('c');
    await send(a, new Uint8Array(13));
    await send(a, frame(mac(1), mac(1)));
    await send(a, ...Array.from({ length: 10 }, (_, i) => frame(ALL, mac(1), i)));
    a.headerLength = 12;
    await send(a, new Uint8Array(100).fill(0xff));
    a.headerLength = 0;
    received(c);
    a.send(frame(ALL, mac(1)), { to: 200 });
    a.send(frame(ALL, mac(1), 0, 20_000), { to: runtime.index(b.name).portIndex });
    await a.flush();

    const { total, port } = await stats();
    expect(port('a')).toMatchObject({ tx_frames: 16, tx_copies: 27, tx_delivered: 17 });
    expect(port('a').drops).toMatchObject({ no_destination: 2, runt: 1, same_port: 1 });
    expect(port('b')).toMatchObject({ rx_frames: 7, rx_read: 0 });
    expect(port('b').drops).toMatchObject({ ring_full: 3, too_big: 1, bad_header: 1 });
    expect(port('c')).toMatchObject({ rx_frames: 10, rx_read: 10 });
    expect(port('c').drops).toMatchObject({ bad_header: 1 });
    expect(total.tx_copies).toBe(total.tx_delivered + sum(total.drops));
    expect(sum(total.drops)).toBe(10);
  }, 20_000);

  test('delivered is read, waiting or gone, also after the receiver', async () => {
    const [a, b] = [await open('a'), await open('b')];
    await send(a, ...Array.from({ length: 10 }, (_, i) => frame(ALL, mac(1), i)));
    expect(b.counters()).toMatchObject({ rxFrames: 10n, rxRead: 0n, rxGone: 0n });
    expect(b.receive(5)!.length).toBe(5);
    b.close();
    expect(total()).toMatchObject({ txDelivered: 10n, rxFrames: 10n, rxRead: 5n, rxGone: 5n });
  });

  test('a switch remembers what left it', async () => {
    const stays = await open('stays');
    for (let i = 0; i < 3; i += 1) {
      const a = await open('a');
      await send(a, frame(ALL, mac(1)), frame(ALL, mac(1), 1));
      a.close();
    }
    expect(received(stays)).toHaveLength(6);
    const { total, port } = await stats();
    expect(total).toMatchObject({ tx_frames: 6, tx_copies: 6, tx_delivered: 6, rx_read: 6 });
    expect(port('stays')).toMatchObject({ tx_frames: 0, rx_frames: 6 });
  });
});

describe('live', () => {
  test(
    'while a generator floods two receivers, nothing is ever lost between the figures',
    async () => {
      const slow = await open('slow', { rxSlots: 64 });
      const rx = new Vale(['pkt-gen', '-i', `${sw}:rx`, '--json']);
      while (!runtime.list().some((row) => row.name === `${sw}:rx`)) await sleep(10);
      const args = ['-n', '0', '-b', '64', '-R', '200k', '--json'];
      const tx = new Vale(['pkt-gen', '-i', `${sw}:tx`, '-f', 'tx', ...args]);
      let before = 0n;
      let moved = 0;
      const deadline = performance.now() + 30_000;
      while (moved < 50 && performance.now() < deadline) {
        await sleep(5);
        const now = total();
        // One sender: at most one run of frames, for each of two receivers.
        expect(inFlight(now)).toBeGreaterThanOrEqual(0n);
        expect(inFlight(now)).toBeLessThanOrEqual(1024n);
        expect(now.txCopies).toBeGreaterThanOrEqual(before);
        if (now.txCopies > before) moved += 1;
        before = now.txCopies;
      }
      expect(moved).toBe(50);
      const sent = JSON.parse((await tx.stop()).stdout) as Record<string, number>;
      const { total: end, port } = await stats();
      expect(end.tx_copies).toBe(2 * sent['accepted']!);
      expect(end.tx_copies).toBe(end.tx_delivered + sum(end.drops));
      expect(port('slow')).toMatchObject({ rx_frames: 63, rx_read: 0 });
      expect(sum(port('slow').drops)).toBe(sent['accepted']! - 63);
      const got = JSON.parse((await rx.stop()).stdout) as Record<string, number>;
      expect(got['received']! + sum(port('rx').drops)).toBe(sent['accepted']);
      expect(end.tx_delivered).toBe(63 + got['received']!);
      slow.close();
    },
    LONG,
  );

  test(
    '--watch shows rates',
    async () => {
      await open('rx');
      const args = ['-f', 'tx', '-R', '1000', '--json'];
      const tx = new Vale(['pkt-gen', '-i', `${sw}:tx`, ...args]);
      const watch = new Vale(['ctl', 'stats', sw, '--watch', '--interval', '0.2', '--json']);
      await watch.says(/"tx_frames_per_second": ?[1-9]|"tx_frames": ?[1-9][^\n]*"rates": ?\{/);
      expect((await watch.stop()).code).toBe(0);
      await tx.stop();
    },
    LONG,
  );
});
