// SPDX-License-Identifier: BSD-2-Clause
// What nobody should send, replayed from a capture file into attached interfaces: every frame that the
// kernel puts on the wire enters the switch or is counted as dropped.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Host, Lab } from './lab.js';
import { freshSwitch, Vale } from './vale.js';

const FRAMES = 2000;
const MTU = 3000; // more than a buffer
const GOOD = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5, ...Array<number>(46).fill(7)];
const NO_IPV6 = 'echo 1 >/proc/sys/net/ipv6/conf/"$1"/disable_ipv6';
const TPIDS = [0x8100, 0x88a8];
const TYPES = [0x0800, 0x86dd, 0x0806, 0x88b5, 0x8847, 0x8863, ...TPIDS];

/** The same numbers in every run. */
class Random {
  private state = 20_261_125;
  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
}

/** Runts, oversized and half-tagged frames, headers that lie about what follows them. */
function hostile(random: Random): Buffer {
  const kind = random.below(8);
  const length = [14 + random.below(8), 1515 + random.below(2000), 1 + random.below(13)][kind];
  const frame = Buffer.alloc(length ?? 14 + random.below(1501));
  for (let i = 0; i < frame.length; i += 1) frame[i] = random.below(256);
  if (frame.length < 14) return frame;
  frame[0]! &= ~1;
  let at = 12;
  for (let tags = kind % 2 === 0 ? random.below(9) : 0; tags > 0; tags -= 1, at += 4)
    if (at + 2 <= frame.length) frame.writeUInt16BE(TPIDS[random.below(2)]!, at);
  if (at + 2 <= frame.length) frame.writeUInt16BE(TYPES[random.below(TYPES.length)]!, at);
  if (at + 4 <= frame.length && kind > 4) frame[at + 2] = 0x40 | random.below(16); // half an IP header
  return frame;
}

const frames = (): Buffer[] => {
  const random = new Random();
  return Array.from({ length: FRAMES }, () => hostile(random));
};

/** On its way to a packet socket the kernel throws away, uncounted, what ends within or right behind a VLAN tag. */
const lost = (frame: Buffer) =>
  frame.length >= 14 && frame.length < 20 && TPIDS.includes(frame.readUInt16BE(12));

/** A capture file; every fourth frame is said to have been longer than what was kept of it. */
function capture(frames: Buffer[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20); // Ethernet
  const records = frames.flatMap((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(i, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length + (i % 4 === 0 ? 100 : 0), 12);
    return [record, frame];
  });
  return Buffer.concat([header, ...records]);
}

interface PortJson {
  name: string;
  interface: {
    process_id: number;
    counters: { rx_frames: number; drops: Record<string, number> };
  };
  counters: {
    tx_frames: number;
    tx_copies: number;
    tx_delivered: number;
    drops: Record<string, number>;
  };
}

const sum = (drops: Record<string, number>) => Object.values(drops).reduce((a, b) => a + b, 0);
/** The tests for one backend, in a laboratory of their own; needs tcpreplay. */
export function hostileFrames(backend: string, open: () => Promise<Lab>): void {
  let lab: Lab;
  let directory: string;
  let folder: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'hostile-'));
    folder = mkdtempSync(join(tmpdir(), 'vale-hostile-'));
    lab = await open();
  });
  afterAll(() => {
    lab.close();
    for (const each of [directory, folder]) rmSync(each, { recursive: true, force: true });
  });

  async function ctl(...args: string[]): Promise<string> {
    const one = new Vale(['ctl', ...args], { VALE_DIR: directory }, lab.inside);
    const { code, stdout, stderr } = await one.result();
    expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
    return stdout;
  }
  async function row(name: string): Promise<PortJson> {
    const { ports } = JSON.parse(await ctl('--json')) as { ports: PortJson[] };
    return ports.find((port) => port.name === name)!;
  }
  const seen = ({ interface: { counters } }: PortJson) => counters.rx_frames + sum(counters.drops);
  /** Nothing but the test talks there. */
  async function quietHost(wire: string, address: string): Promise<Host> {
    const host = await lab.host(wire, address);
    await host.run('sh', '-c', NO_IPV6, 'sh', 'eth0');
    await lab.run('sh', '-c', NO_IPV6, 'sh', wire);
    await host.must(`ip link set eth0 mtu ${MTU}`);
    await lab.must(`ip link set ${wire} mtu ${MTU}`);
    return host;
  }
  /** How many frames went out, of those in the file; the sender's kernel refuses some. */
  async function replay(host: Host, path: string): Promise<number> {
    const { stdout, stderr } = await host.run('tcpreplay', '-i', 'eth0', '-p', '8000', path);
    const [, sent] = /Successful packets:\s+(\d+)/.exec(stdout) ?? [];
    expect(Number(sent), stderr).toBeGreaterThan(0);
    return Number(sent);
  }
  /** The port when it has seen that many frames, or what it has become in five seconds. */
  async function settled(name: string, frames: number): Promise<PortJson> {
    let port = await row(name);
    for (let turn = 0; turn < 50 && seen(port) < frames; turn += 1) {
      await sleep(100);
      port = await row(name);
    }
    return port;
  }

  test('all enter the switch or are counted, and the next good one arrives', async () => {
    const host = await quietHost('hostile', '10.12.0.1/24');
    const name = `${freshSwitch()}:hostile`;
    const [sw] = name.split(':');
    await ctl('-a', name, `--backend=${backend}`);
    const { process_id: agent } = (await row(name)).interface;
    const receiver = new Vale(['pkt-gen', '-i', `${sw}:x`, '-f', 'rx', '-w', '0'], {
      VALE_DIR: directory,
    });
    await receiver.says(/Receiving from/);

    const all = frames();
    const path = join(folder, 'hostile.pcap');
    writeFileSync(path, capture(all));
    const sent = await replay(host, path);
    expect(sent).toBeGreaterThan(FRAMES * 0.8);
    const shown = sent - (backend === 'packet' ? all.filter(lost).length : 0);
    const port = await settled(name, shown);
    expect(seen(port)).toBe(shown);
    expect(port.interface.counters.rx_frames).toBeGreaterThan(FRAMES * 0.7);
    // What the agent took from the wire it put into the switch, which counts every frame once.
    expect(port.counters.tx_frames).toBe(port.interface.counters.rx_frames);
    expect(port.counters.tx_delivered + sum(port.counters.drops)).toBe(port.counters.tx_copies);

    const good = join(folder, 'good.pcap');
    writeFileSync(good, capture([Buffer.from(GOOD)]));
    expect(await replay(host, good)).toBe(1);
    const last = await settled(name, shown + 1);
    expect(seen(last)).toBe(shown + 1);
    expect(last.interface).toMatchObject({ process_id: agent, up: true, link: true });
    const { code, stdout } = await receiver.stop();
    expect(code).toBe(0);
    const [, received] = /Received (\d+) packets/.exec(stdout) ?? [];
    expect(Number(received)).toBe(last.counters.tx_delivered);
    await ctl('-d', name);
  }, 60_000);
}
