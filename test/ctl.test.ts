// SPDX-License-Identifier: BSD-2-Clause
// vale ctl on real switches, as its own process: what it does and shows.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { violations } from './support/json-schema.js';
import { needs } from './support/need.js';
import { ctl, directory, env, open, output, useOwnDirectory } from './support/own-directory.js';
import { onTerminal, type TerminalOptions } from './support/pty.js';
import { cli, counted, onKernel } from './support/vale.js';

/** Where what was found was looked for. */
const place = (): string => (onKernel ? '/dev/netmap' : directory);
const [program = '', ...words] = cli;
const schema = JSON.parse(
  readFileSync(join(packageRoot(), 'docs', 'schema', 'ctl.json'), 'utf8'),
) as Parameters<typeof violations>[1];

useOwnDirectory();

function terminal(args: string[], options: TerminalOptions = {}) {
  return onTerminal([...cli, 'ctl', ...args], {
    ...options,
    env: { VALE_DIR: directory, ...options.env },
  });
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

function frame(destination: string, source: string, length = 60): Uint8Array {
  const bytes = (mac: string): number[] => mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const data = new Uint8Array(length);
  data.set([...bytes(destination), ...bytes(source), 0x88, 0xb5]);
  return data;
}

describe('the listing', () => {
  test('of nothing is nothing, and exit code 0', () => {
    expect(output()).toBe('');
    expect(output('--plain')).toBe('');
    expect(output('list')).toBe('');
  });

  test("is the reference's lines when piped, by switch and index", async () => {
    await open('vale0:a');
    await open('vale1:x');
    await open('vale0:b');
    await open('vale-foo');
    const lines =
      'vale0:a bridge_idx 0 port_idx 0\nvale0:b bridge_idx 0 port_idx 1\n' +
      'vale1:x bridge_idx 1 port_idx 0\nvale:vale-foo bridge_idx 2 port_idx 0\n';
    expect(output()).toBe(lines);
    expect(output('--plain')).toBe(lines);
    expect(output('list')).toBe(lines);
    expect(output('list', 'vale1')).toBe('vale1:x bridge_idx 1 port_idx 0\n');
    expect(output('list', 'vale0:b')).toBe('vale0:b bridge_idx 0 port_idx 1\n');
  });

  test('prints no name that ctl does not take back', async () => {
    for (const name of ['vale-3', 'vale0', 'vale9:b-c']) await open(name);
    output('-n', 'p0');
    output('-a', 'vale0:p0');
    const names = output()
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '');
    expect(names).toContain('vale:vale-3');
    for (const name of names) {
      expect(output('list', name)).toContain(`${name} bridge_idx`);
      expect(output('-g', name)).toContain('mem_id:');
    }
  });

  test('as JSON is as its schema says, and knows who is there', async () => {
    await open('vale0:a');
    await open('vale0:a');
    const found = JSON.parse(output('--json'));
    expect(violations(found, schema, 'snapshot')).toEqual([]);
    expect(found).toMatchObject({
      device: counted('user', 'kernel'),
      directory: place(),
      switches: [{ name: 'vale0', index: 0, ports: 1, ageing_seconds: counted(300) }],
    });
    expect(found.ports).toContainEqual(
      expect.objectContaining({
        name: 'vale0:a',
        attached: true,
        port_index: 0,
        registrations: counted(2),
      }),
    );
  });

  needs('listing of what is detached').test('has persistent ports that are detached', () => {
    output('-n', 'p0');
    const found = JSON.parse(output('--json'));
    expect(violations(found, schema, 'snapshot')).toEqual([]);
    expect(found.ports).toContainEqual(
      expect.objectContaining({ name: 'p0', persistent: true, port_index: null, registrations: 0 }),
    );
  });

  test('with --watch is appended when piped, until SIGINT', async () => {
    await open('vale0:a');
    const child = spawn(program, [...words, 'ctl', '--watch', '--interval', '0.1', '--json'], {
      env: env(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    while (text.split('\n').length < 4) await sleep(20);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    const looks = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const look of looks) expect(violations(look, schema, 'snapshot')).toEqual([]);
    expect(looks[0].ports[0].rates).toBeNull();
    expect(looks[1].ports[0].rates?.rx_frames_per_second ?? null).toBe(counted(0));
  });
});

describe('a persistent port', () => {
  test('is created, attached, found, detached and removed by the flags of the reference', () => {
    expect(output('-n', 'p0', '-v', '-C', '512,256,2')).toMatch(
      /^tx_slots: {3}512\nrx_slots: {3}256\ntx_rings: {3}2\nrx_ring: {4}2\nmem_id: {5}\d+\n$/,
    );
    expect(output('-a', 'vale0:p0', '-v')).toBe('port_index: 0\n');
    expect(output()).toBe('vale0:p0 bridge_idx 0 port_idx 0\n');
    expect(output('-l', 'vale0:p0')).toBe('bridge_idx: 0\nport_idx:   0\n');
    expect(output('-l', 'vale0:nobody')).toBe('bridge_idx: 0\nport_idx:   255\n');
    expect(output('-g', 'vale0:p0')).toMatch(
      /^memsize: {4}\d+\ntx_slots: {3}512\nrx_slots: {3}256\ntx_rings: {3}2\nrx_rings {4}2\nmem_id: {5}\d+\n$/,
    );
    expect(output('-d', 'vale0:p0', '-v')).toBe('port_index: 0\n');
    expect(output()).toBe('');
    expect(output('-r', 'p0')).toBe('');
    expect(ctl('-r', 'p0').status).toBe(1);
  });

  test('goes the same way by the actions', () => {
    expect(output('create', 'p0', '-v')).toContain('rx_ring:    1\n');
    expect(output('attach', 'vale0:p0', '-v')).toBe('port_index: 0\n');
    expect(output('index', 'vale0:p0')).toBe('bridge_idx: 0\nport_idx:   0\n');
    expect(output('info', 'vale0:p0')).toContain('rx_rings    1\n');
    expect(violations(JSON.parse(output('info', 'vale0:p0', '--json')), schema, 'info')).toEqual(
      [],
    );
    expect(violations(JSON.parse(output('index', 'vale0:p0', '--json')), schema, 'index')).toEqual(
      [],
    );
    expect(output('detach', 'vale0:p0')).toBe('');
    expect(output('remove', 'p0')).toBe('');
  });

  test('shares the memory of the port that -m names', async () => {
    const { memId } = (await open('vale0:a')).info;
    expect(output('-n', 'p1', '-v', '-m', 'vale0:a')).toContain(`mem_id:     ${memId}\n`);
    expect(output('-n', 'p2', '-v', '-m', String(memId))).toContain(`mem_id:     ${memId}\n`);
    expect((await open('p1')).info.memId).toBe(memId);
  });

  test('can be opened and used, attached or not', async () => {
    output('-n', 'p0');
    output('-a', 'vale0:p0');
    const p0 = await open('vale0:p0');
    const peer = await open('vale0:peer');
    peer.send(frame(BROADCAST, '02:00:00:00:00:01'));
    await peer.flush();
    expect(p0.receive()).toHaveLength(1);
  });
});

needs('counters').describe('statistics', () => {
  test('count frames, bytes and each drop with its reason', async () => {
    const a = await open('vale0:a');
    a.send(frame(BROADCAST, '02:00:00:00:00:01', 100));
    await a.flush();
    const b = await open('vale0:b');
    a.send(frame(BROADCAST, '02:00:00:00:00:01', 100));
    a.send(new Uint8Array(10));
    await a.flush();
    expect(b.receive()).toHaveLength(1);
    const lines = output('stats', 'vale0:a').trim().split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'vale0:a tx_frames 3',
        'vale0:a tx_bytes 210',
        'vale0:a tx_delivered 1',
        'vale0:a drop_no_destination 1',
        'vale0:a drop_runt 1',
        'vale0:a drop_ring_full 0',
      ]),
    );
    expect(output('stats', 'vale0')).toContain('vale0:b rx_frames 1\n');
    expect(output('stats', 'vale0')).toContain('vale0: tx_frames 3\n');
    const found = JSON.parse(output('stats', '--json'));
    expect(violations(found, schema, 'snapshot')).toEqual([]);
  });
});

needs('addresses').describe('the forwarding database', () => {
  test('is shown, flushed, added to and removed from', async () => {
    const a = await open('vale0:a');
    await open('vale0:b');
    a.send(frame(BROADCAST, '02:00:00:00:00:0a'));
    await a.flush();
    expect(output('fdb')).toMatch(/^vale0 02:00:00:00:00:0a vale0:a \d\n$/);
    output('fdb', 'add', 'vale0:b', '2:0:0:0:0:b');
    expect(output('fdb', 'show', 'vale0').trim().split('\n').sort()).toEqual([
      expect.stringMatching(/^vale0 02:00:00:00:00:0a vale0:a \d$/),
      'vale0 02:00:00:00:00:0b vale0:b static',
    ]);
    const found = JSON.parse(output('fdb', '--json'));
    expect(violations(found, schema, 'fdb')).toEqual([]);
    expect(output('fdb', 'flush', 'vale0')).toBe('flushed: 1\n');
    expect(output('fdb')).toBe('vale0 02:00:00:00:00:0b vale0:b static\n');
    output('fdb', 'remove', 'vale0', '02:00:00:00:00:0b');
    expect(output('fdb', 'show')).toBe('');
  });

  test('has an ageing time that can be changed', async () => {
    await open('vale0:a');
    expect(output('fdb', 'ageing', 'vale0')).toBe('ageing: 300\n');
    output('fdb', 'ageing', 'vale0', '60');
    expect(output('fdb', 'ageing', 'vale0:')).toBe('ageing: 60\n');
  });
});

needs('python3').describe('on a terminal', () => {
  test('the listing is an aligned table, and colour obeys NO_COLOR', async () => {
    await open('vale0:a');
    await open('vale0:b');
    const { status, screen } = terminal([], { columns: 100, env: { NO_COLOR: '1' } });
    expect(status).toBe(0);
    const lines = screen.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^SWITCH +INDEX +PORTS/);
    expect(lines[1]).toMatch(/^vale0 +0 +2 /);
    expect(lines[3]).toMatch(/^PORT +INDEX +OPEN +MEMORY +RINGS +RX FRAMES +TX FRAMES +DROPS$/);
    const [open1, none] = [counted(1, '-'), counted(0, '-')];
    expect(lines[4]).toMatch(
      new RegExp(`^vale0:a +0/0 +${open1} +\\d+ \\(.*\\) +1x1024 +${none} +${none} +${none}$`),
    );
    expect(screen).not.toContain('\x1b');
    expect(terminal([]).screen).toContain('\x1b[1m');
    expect(terminal(['--plain']).screen).toBe(output());
  });

  test('COLUMNS narrows it', async () => {
    await open('vale0:a');
    const { screen } = terminal([], { columns: 120, env: { NO_COLOR: '1', COLUMNS: '50' } });
    expect(Math.max(...screen.split('\n').map((line) => line.length))).toBeLessThanOrEqual(50);
  });

  test('an empty listing says so', () => {
    expect(terminal([]).screen).toContain(`no ports in ${place()}`);
  });

  needs('counters').test('--watch redraws with rates until Ctrl-C', async () => {
    await open('vale0:a');
    const { status, screen } = terminal(['--watch', '--interval', '0.2'], {
      columns: 120,
      interruptAfter: 2,
      env: { NO_COLOR: '1' },
    });
    expect(status).toBe(0);
    const frames = screen.split('\x1b[H').slice(1);
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.at(-1)).toMatch(/vale0:a.*0\.000 pps/);
  });

  needs('counters').test('statistics and addresses are tables too', async () => {
    const a = await open('vale0:a');
    a.send(frame(BROADCAST, '02:00:00:00:00:0a'));
    await a.flush();
    const quiet = { env: { NO_COLOR: '1' } };
    expect(terminal(['stats'], quiet).screen).toMatch(/^drop no destination +1 +1$/m);
    expect(terminal(['info', 'vale0:a'], quiet).screen).toMatch(/^tx rings +1 of 1024 slots$/m);
  });
});
