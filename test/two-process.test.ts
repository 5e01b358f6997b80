// SPDX-License-Identifier: BSD-2-Clause
// Traffic between processes, as people run it: the announcement's lines, numbered frames, round trips,
// several senders, several rings, and a sender that is killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Runtime } from '../src/index.js';
import { mac } from './support/frames.js';
import { freshSwitch, vale, Vale } from './support/vale.js';

// A machine under load takes its time; a ring of 4096 slots holds 4095 frames meanwhile.
const LONG = 120_000;
const DEEP = ['-C', '4096'];
const FITS = 4000;

let runtime: Runtime;
let sw: string;
let running: Vale[];

beforeEach(() => {
  runtime = new Runtime();
  sw = freshSwitch();
  running = [];
});

afterEach(async () => {
  for (const run of running) if (run.process.exitCode === null) await run.stop('SIGKILL');
  runtime.close();
});

/** A `vale pkt-gen` whose port is open. */
async function start(port: string, ...args: string[]): Promise<Vale> {
  const run = new Vale(['pkt-gen', '-i', port, ...args]);
  running.push(run);
  const name = port.replace(/^vale-/, 'vale:vale-');
  const deadline = performance.now() + 20_000;
  while (!runtime.list().some((row) => row.name === name)) {
    if (run.process.exitCode !== null || performance.now() > deadline)
      throw new Error(`${port} did not open: ${run.stderr}`);
    await sleep(10);
  }
  return run;
}

const generate = (port: string, ...args: string[]) =>
  vale('pkt-gen', '-i', port, '-f', 'tx', ...args);

type Final = Record<string, number> & { drops: Record<string, number> };
const final = (stdout: string) => JSON.parse(stdout.trim().split('\n').at(-1)!) as Final;

describe('the lines of the announcement', () => {
  test(
    'vale pkt-gen -i vale-foo, and -i vale-bar -f tx',
    async () => {
      const foo = await start('vale-foo');
      const bar = await start('vale-bar', '-f', 'tx', '-R', '5000', ...DEEP);
      await bar.says(/avg_batch/);
      await foo.says(/ [1-9][\d.]* [KM]?pps /);
      expect((await vale('ctl')).stdout).toMatch(
        /^vale:vale-foo bridge_idx (\d+) port_idx 0\nvale:vale-bar bridge_idx \1 port_idx 1\n/m,
      );
      const sent = await bar.stop();
      const got = await foo.stop();
      expect([sent.code, got.code]).toEqual([0, 0]);
      expect(sent.stdout).toMatch(/^Sent \d+ packets \d+ bytes \d+ events 60 bytes each in/m);
      expect(got.stdout).toMatch(/^Received \d+ packets \d+ bytes \d+ events 60 bytes each in/m);
      expect(runtime.list().filter(({ name }) => name.startsWith('vale:vale-'))).toEqual([]);
    },
    LONG,
  );
});

describe('one sender, one receiver', () => {
  test(
    'of 100,000 frames each is received or counted as dropped',
    async () => {
      const rx = await start(`${sw}:rx`, '--json', ...DEEP);
      const sent = final(
        (await generate(`${sw}:tx`, '-n', '100000', '-R', '200k', '--json')).stdout,
      );
      expect(sent).toMatchObject({ offered: 100_000, accepted: 100_000, copies: 100_000 });
      const got = final((await rx.stop()).stdout);
      expect(got['received']).toBe(sent['delivered']);
      expect(got['received']! + sent['dropped']!).toBe(100_000);
      expect(got.drops['ring_full'] ?? 0).toBe(sent['dropped']);
      expect(got['bytes']).toBe(60 * got['received']!);
    },
    LONG,
  );

  test(
    'what fits into the ring arrives in order, without a gap',
    async () => {
      const rx = await start(`${sw}:rx`, '-f', 'rxseq', '-n', String(FITS), '--json', ...DEEP);
      const tx = await vale(
        'pkt-gen',
        '-i',
        `${sw}:tx`,
        '-f',
        'txseq',
        '-n',
        String(FITS),
        '--json',
      );
      expect(final(tx.stdout)).toMatchObject({ delivered: FITS, dropped: 0 });
      const { code, stdout, stderr } = await rx.result();
      expect(code).toBe(0);
      expect(final(stdout)).toMatchObject({ received: FITS });
      expect(stdout + stderr).not.toMatch(/GAP|OUT OF ORDER/);
    },
    LONG,
  );

  test(
    'frames of many slots and of random sizes arrive as many bytes as were sent',
    async () => {
      const rx = await start(`${sw}:rx`, '--json', ...DEEP);
      const sent = [
        ['-n', '500', '-l', '1500', '-F', '5'],
        ['-n', '20', '-l', '65536'],
        ['-n', '500', '-l', '9000', '-l', '60', '-R', '2000'],
      ];
      let frames = 0;
      let bytes = 0;
      for (const args of sent) {
        const all = final((await generate(`${sw}:tx`, ...args, '--json')).stdout);
        expect(all['dropped']).toBe(0);
        frames += all['offered']!;
        bytes += all['bytes']!;
        const port = () => runtime.list().find(({ name }) => name === `${sw}:rx`)!.counters!;
        while (port().rxRead < frames) await sleep(20);
      }
      expect(final((await rx.stop()).stdout)).toMatchObject({ received: frames, bytes });
    },
    LONG,
  );

  test(
    'ping and pong: lines of round trips',
    async () => {
      const pong = await start(`${sw}:pong`, '-f', 'pong', '-S', mac(2));
      const args = ['-f', 'ping', '-n', '50', '-S', mac(1), '-D', mac(2)];
      const { code, stdout, stderr } = await vale('pkt-gen', '-i', `${sw}:ping`, ...args);
      expect(code).toBe(0);
      const line = /RTT over 50 packets: min (\d+) av (\d+) ns/.exec(stdout + stderr)!;
      expect(Number(line[1])).toBeGreaterThan(0);
      expect(Number(line[2])).toBeGreaterThanOrEqual(Number(line[1]));
      await pong.stop();
    },
    LONG,
  );
});

describe('more than two', () => {
  test(
    'three senders at once into one receiver: all copies are accounted for',
    async () => {
      const rx = await start(`${sw}:rx`, '--json', ...DEEP);
      const senders = await Promise.all(
        [1, 2, 3].map((n) =>
          generate(`${sw}:tx${n}`, '-n', '1000', '-S', mac(n), '-D', mac(9), '-b', '32', '--json'),
        ),
      );
      // The senders see each other's floods as well, for as long as they live.
      const all = senders.map(({ stdout }) => final(stdout));
      for (const one of all) {
        expect(one).toMatchObject({ offered: 1000, accepted: 1000 });
        expect(one['copies']).toBe(one['delivered']! + one['dropped']!);
      }
      const total = runtime.switches().find(({ name }) => name === sw)!.totals!;
      expect(total.txFrames).toBe(3000n);
      expect(final((await rx.stop()).stdout)).toMatchObject({ received: 3000 });
    },
    LONG,
  );

  test(
    'four threads on four rings on both sides',
    async () => {
      const rings = ['-p', '4', '-C', '1024,1024,4,4'];
      const rx = await start(`${sw}:rx`, ...rings, '--json');
      // Learned first, so that frames keep the number of their ring.
      await generate(`${sw}:rx`, '-n', '1', '-S', mac(2), '-D', mac(1));
      const sent = final(
        (await generate(`${sw}:tx`, ...rings, '-n', '4000', '-D', mac(2), '--json')).stdout,
      );
      expect(sent).toMatchObject({ threads: 4, queues: 4, offered: 4000, copies: 4000 });
      // Each ring of the receiver has room for its thread's thousand.
      expect(sent).toMatchObject({ delivered: 4000, dropped: 0 });
      const got = await rx.stop();
      expect(final(got.stdout)).toMatchObject({ received: 4000, threads: 4 });
    },
    LONG,
  );

  test(
    'senders are killed in full flight: another flow loses nothing, and the sums hold',
    async () => {
      const other = await start(`${sw}:other`, '--json');
      await generate(`${sw}:other`, '-n', '1', '-S', mac(4), '-D', mac(1));
      const rx = await start(`${sw}:rx`, '-f', 'rxseq', '-n', '1500', '--json', ...DEEP);
      await generate(`${sw}:rx`, '-n', '1', '-S', mac(2), '-D', mac(1));
      const args = ['-n', '1500', '-R', '500', '-D', mac(2), '--json'];
      const tx = vale('pkt-gen', '-i', `${sw}:tx`, '-f', 'txseq', ...args);
      for (let n = 0; n < 3; n += 1) {
        const to = ['-S', mac(3), '-D', mac(4), '-T', '100'];
        const doomed = await start(`${sw}:doomed`, '-f', 'tx', ...to);
        await doomed.says(/[1-9][\d.]* [KMG]?pkts/);
        await doomed.stop('SIGKILL');
        expect(runtime.list().map(({ name }) => name)).not.toContain(`${sw}:doomed`);
      }
      expect(final((await tx).stdout)).toMatchObject({ offered: 1500, delivered: 1500 });
      const got = await rx.result();
      expect(final(got.stdout)).toMatchObject({ received: 1500 });
      expect(got.stdout + got.stderr).not.toMatch(/GAP|OUT OF ORDER/);
      const totals = runtime.switches().find(({ name }) => name === sw)!.totals!;
      const dropped = Object.values(totals.drops).reduce((all, n) => all + n, 0n);
      expect(totals.txFrames).toBeGreaterThan(10_000n);
      expect(totals.txCopies).toBe(totals.txDelivered + dropped);
      await other.stop();
      const last = await runtime.openPort(`${sw}:last`);
      expect(runtime.switches().find(({ name }) => name === sw)!.ports).toBe(1);
      last.close();
    },
    LONG,
  );
});

describe('virtio-net headers of different lengths', () => {
  test.each([
    ['12', '0'],
    ['0', '10'],
    ['10', '12'],
  ])(
    '-H %s to -H %s: frames arrive as the receiver wants them',
    async (theirs, mine) => {
      const rx = await start(`${sw}:rx`, '-H', mine, '--json', ...DEEP);
      const header = () => runtime.list().find(({ name }) => name === `${sw}:rx`)?.headerLength;
      await expect.poll(header).toBe(Number(mine));
      const sent = await generate(`${sw}:tx`, '-H', theirs, '-n', '1000', '-l', '100', '--json');
      expect(final(sent.stdout)).toMatchObject({ accepted: 1000, delivered: 1000 });
      const port = runtime.list().find(({ name }) => name === `${sw}:rx`);
      expect(port?.counters?.rxBytes).toBe(1000n * BigInt(100 + Number(mine)));
      expect(final((await rx.stop()).stdout)).toMatchObject({ received: 1000, bytes: 100_000 });
    },
    LONG,
  );
});
