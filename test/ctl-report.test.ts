// SPDX-License-Identifier: BSD-2-Clause
// What vale ctl shows and how it fails, on made-up rows; ctl.test.ts runs it on real switches.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { ExitCode, ValeError } from '../src/errors.js';
import { packageRoot } from '../src/native.js';
import type { NativeRuntime } from '../src/native-types.js';
import { fdbJson, indexJson, infoJson, snapshotJson } from '../src/report/ctl-json.js';
import { createdLines, infoLines, listLines, statsLines } from '../src/report/ctl-plain.js';
import { fdbTable, listTables, statsTables } from '../src/report/ctl-tables.js';
import { toJson } from '../src/report/json.js';
import { Control, type Snapshot } from '../src/session/control.js';
import { ratesBetween } from '../src/session/rates.js';
import { elsewhere, type Caller } from '../src/session/sudo.js';
import {
  agent,
  attached,
  binding,
  busy,
  counters,
  DROP_REASONS,
  info,
  nativeError,
  port,
  runtime,
  snapshot,
  sw,
} from './support/ctl-sample.js';
import { violations } from './support/json-schema.js';

const look = (width: number) => ({ width, paint: (_style: string, text: string) => text });

describe("the reference's lines", () => {
  test('are a port a line, and no detached port', () => {
    expect(listLines(busy)).toEqual([
      'vale0:a bridge_idx 0 port_idx 0',
      'vale0:receiver bridge_idx 0 port_idx 1',
    ]);
  });

  test('of -g have its missing colon, those of -n -v its missing s', () => {
    expect(infoLines(info('vale0:a'))).toEqual([
      'memsize:    42369024',
      'tx_slots:   1024',
      'rx_slots:   1024',
      'tx_rings:   1',
      'rx_rings    1',
      'mem_id:     2',
    ]);
    expect(createdLines(info('p0'))).toEqual([
      'tx_slots:   1024',
      'rx_slots:   1024',
      'tx_rings:   1',
      'rx_ring:    1',
      'mem_id:     2',
    ]);
  });

  test('of statistics are exact and name every reason', () => {
    const lines = statsLines(busy);
    expect(lines).toContain('vale0:a tx_bytes 9223372036854775809');
    expect(lines).toContain('vale0:a drop_runt 1');
    expect(lines).toContain('vale0: rx_frames 4999999999');
    for (const reason of DROP_REASONS) expect(lines).toContain(`vale0:receiver drop_${reason} 0`);
  });
});

describe('tables', () => {
  test('align switches and ports, with index, memory, rings, frames and drops', () => {
    expect(listTables(busy, look(100))).toEqual([
      'SWITCH  INDEX  PORTS  MACS  AGEING      RX FRAMES      TX FRAMES  DROPS',
      'vale0       0      2    12   300 s  4,999,999,999  5,000,000,000      1',
      '',
      'PORT            INDEX  OPEN       MEMORY         RINGS      RX FRAMES      TX FRAMES  DROPS',
      'vale0:a           0/0     1  2 (42.4 MB)        1x1024              0  5,000,000,000      1',
      'vale0:receiver    0/1     1  3 (42.4 MB)  1x1024/4x512  4,999,999,999              0      0',
      'p0                  -  kept  2 (42.4 MB)        1x1024              0              0      0',
    ]);
  });

  test('say of attached interfaces how they are driven, taken over, and linked', () => {
    const [heading = '', ...rows] = listTables(attached, look(140)).slice(3);
    const to = heading.indexOf('INDEX');
    expect([heading, ...rows].map((line) => line.slice(0, to).trimEnd())).toEqual([
      'PORT        BACKEND             TAKE-OVER   MTU  LINK',
      'vale0:em0   packet              tcx        1500  up 10.000 Gbit/s',
      'vale0:em0^  host stack          tcx        1500  up 10.000 Gbit/s',
      'vale0:em1   xdp-native, polled  tcx        9000  up',
      'vale0:em2   packet              none       1500  no carrier',
      'vale0:em3   packet              nftables   1500  down',
      'vale0:a     -                   -             -  -',
    ]);
  });

  test('leave those columns out where nothing is attached, some where there is no room', () => {
    const heading = (rows: Snapshot, width: number) => listTables(rows, look(width))[3];
    expect(heading(busy, 200)).not.toMatch(/BACKEND|TAKE-OVER|MTU|LINK/);
    expect(heading(attached, 60)).toContain('LINK');
    expect(heading(attached, 60)).not.toContain('TAKE-OVER');
  });

  test('say that an agent is stalled, what an interface is called now, and what it lost', () => {
    const [heading = '', row = ''] = listTables(
      snapshot({
        ports: [port('vale0:em0', { counters: counters({ rxFrames: 5n }) })],
        agents: [
          agent('vale0:em0', {
            interface: 'em9',
            stalled: true,
            wire: counters({ drops: { ...counters().drops, ring_full: 7n } }),
          }),
        ],
      }),
      look(140),
    );
    expect(row.slice(0, heading.indexOf('INDEX')).trimEnd()).toBe(
      'vale0:em0  packet of em9  tcx        1500  agent stalled',
    );
    expect(row).toMatch(/ 7$/);
  });

  test('say in which network namespace an interface is', () => {
    const [heading = '', ...rows] = listTables(
      snapshot({
        ports: [port('vale0:em0'), port('vale0:em1')],
        agents: [agent('vale0:em0', { netns: 'c1' }), agent('vale0:em1', { netns: '4711' })],
      }),
      look(140),
    );
    const to = heading.indexOf('TAKE-OVER');
    expect(rows.map((row) => row.slice(0, to).trimEnd())).toEqual([
      'vale0:em0  packet in c1',
      'vale0:em1  packet in process 4711',
    ]);
  });

  test('say of virtual machines whether they are there, and what is wrong', () => {
    const states = [
      { link: true },
      { link: true, anotherWaits: true },
      { link: false },
      { link: true, unreachable: true },
      { link: false, up: false },
    ];
    const agents = states.map((state, i) => {
      const one = agent(`vale0:vm${i}`, { socket: '/run/vm' });
      return { ...one, state: { ...one.state, ...state } };
    });
    const ports = agents.map((one) => port(one.port));
    const [heading = '', ...rows] = listTables(snapshot({ ports, agents }), look(140));
    const [from, to] = [heading.indexOf('LINK'), heading.indexOf('INDEX')];
    expect(rows.map((row) => row.slice(from, to).trimEnd())).toEqual([
      'connected',
      'connected, another waits',
      'waiting',
      'socket lost',
      'broken',
    ]);
  });

  test('alert to an interface that is down', () => {
    const alerts: string[] = [];
    listTables(attached, {
      width: 140,
      paint: (style, text) => {
        if (style === 'alert') alerts.push(text);
        return text;
      },
    });
    expect(alerts).toEqual(['3', 'no carrier', 'down']); // 3: what em0 has dropped
  });

  test("of statistics have a column for the interface's own side, its drops named", () => {
    const lines = statsTables({ ...attached, ports: attached.ports.slice(0, 2) }, look(140));
    expect(lines.join('\n')).toMatch(
      /vale0:em0 \(interface\) +vale0:em0\^ +vale0:em0\^ \(interface\)/,
    );
    const ring = lines.find((line) => line.startsWith('drop ring full'));
    expect(ring?.split(/ +/)).toEqual(['drop', 'ring', 'full', '0', '0', '3', '0', '0']);
  });

  test.each([60, 80, 100, 132])('fit %i columns', (width) => {
    const later = { ...busy, time: busy.time + 1 };
    const lines = [
      ...listTables(attached, look(width)),
      ...listTables(busy, look(width)),
      ...listTables(later, look(width), ratesBetween(busy, later)),
      ...statsTables(busy, look(width)),
    ];
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  });

  test('of statistics show every reason of every port, in as many columns as fit', () => {
    const text = statsTables(busy, look(80)).join('\n');
    for (const reason of DROP_REASONS)
      expect(text).toMatch(new RegExp(`^drop ${reason.replaceAll('_', ' ')} +\\d`, 'm'));
    expect(text).toContain('9,223,372,036,854,775,809');
    expect(text).toMatch(/ p0$/m);
  });

  test('of addresses tell static ones from learned ones', () => {
    const rows = [
      { mac: '02:00:00:00:00:01', portIndex: 0, port: 'vale0:a', isStatic: false, age: 3 },
      { mac: '02:00:00:00:00:02', portIndex: 1, port: 'vale0:b', isStatic: true, age: 0 },
    ];
    expect(fdbTable([{ switch: 'vale0', rows }], look(80))).toEqual([
      'SWITCH  MAC                PORT     INDEX     AGE',
      'vale0   02:00:00:00:00:01  vale0:a      0     3 s',
      'vale0   02:00:00:00:00:02  vale0:b      1  static',
    ]);
  });

  test('paint only headings, names and drops that happened', () => {
    const painted: string[] = [];
    listTables(busy, {
      width: 120,
      paint: (style, text) => {
        painted.push(`${style} ${text}`);
        return `\x1b[1m${text}\x1b[22m`;
      },
    });
    expect(painted).toContain('strong vale0:a');
    expect(painted.filter((text) => text.startsWith('alert'))).toEqual(['alert 1', 'alert 1']);
  });
});

describe('rates', () => {
  const at = (time: number, frames: bigint, bytes: bigint): Snapshot =>
    snapshot({
      time,
      ports: [port('vale0:a', { counters: counters({ rxFrames: frames, rxBytes: bytes }) })],
    });

  test('are what was counted between two looks, by the time between them', () => {
    const rates = ratesBetween(at(10, 1000n, 60_000n), at(12, 3000n, 180_000n));
    expect(rates.get('vale0:a')).toMatchObject({ rxFrames: 1000, rxBits: 480_000, txFrames: 0 });
  });

  test('of a port that is new, or was made anew, count from zero', () => {
    expect(ratesBetween(snapshot({ time: 10 }), at(11, 5n, 300n)).get('vale0:a')?.rxFrames).toBe(5);
    expect(ratesBetween(at(10, 9n, 0n), at(11, 5n, 0n)).get('vale0:a')?.rxFrames).toBe(5);
  });
});

describe('JSON', () => {
  const schema = JSON.parse(
    readFileSync(join(packageRoot(), 'docs', 'schema', 'ctl.json'), 'utf8'),
  ) as Parameters<typeof violations>[1];
  const rows = [
    { mac: '02:00:00:00:00:01', portIndex: 0, port: 'vale0:a', isStatic: false, age: 3 },
    { mac: '02:00:00:00:00:02', portIndex: 0, port: 'vale0:a', isStatic: true, age: 0 },
  ];
  test.each<[string, unknown]>([
    ['snapshot', snapshotJson(busy)],
    ['snapshot', snapshotJson(busy, ratesBetween(busy, { ...busy, time: 1001 }))],
    ['snapshot', snapshotJson(snapshot())],
    ['info', infoJson(info('vale0:a'))],
    ['index', indexJson('vale0:a', { switchIndex: 0, portIndex: 255 })],
    ['fdb', fdbJson([{ switch: 'vale0', rows }])],
  ])('of %s is as its schema says', (name, value) => {
    expect(violations(JSON.parse(toJson(value)), schema, name)).toEqual([]);
  });

  test('keeps all 64 bits of a counter', () => {
    expect(toJson(snapshotJson(busy))).toContain('"tx_bytes":9223372036854775809,');
  });
});

function control(rows: Snapshot, more: Partial<NativeRuntime> = {}, interfaces: string[] = []) {
  const warnings: string[] = [];
  const made = new Control(binding({}, interfaces), runtime(rows, more), (line) =>
    warnings.push(line),
  );
  return { made, warnings };
}

const fails = (code: string, message: string) => () => {
  throw nativeError(code, message);
};

describe('a failure', () => {
  test("is the reference's line with what explains it", () => {
    const detach = fails('EBUSY', 'vale0:a: open by 1 process; end it first');
    expect(() => control(busy, { detach }).made.detach('vale0:a')).toThrow(
      'failed to detach vale0:a: Device or resource busy (open by 1 process; end it first)',
    );
  });

  test.each<[string, (c: Control) => unknown, string]>([
    [
      'a bad name',
      (c) => c.detach('vale0:a+'),
      'failed to detach vale0:a+: Invalid argument ("+" cannot be in the name of a port; use letters, digits, _ and -)',
    ],
    [
      'control characters',
      (c) => c.info('vale0:\x1b[2J'),
      'failed to obtain info for vale0:\\x1b[2J: Invalid argument ("\\x1b" cannot be in the name of a port; use letters, digits, _ and -)',
    ],
    [
      'no switch in the name',
      (c) => c.detach('em0'),
      'failed to detach em0: Invalid argument (this is no port of a switch; name both, as in vale0:em0)',
    ],
    [
      'a persistent port with a switch',
      (c) => c.create('vale0:a', {}),
      'failed to create vale0:a: Invalid argument (a persistent port has a name of its own, which does not start with "vale"; pick one such as "p0", then attach it as in vale0:p0)',
    ],
    [
      'no such memory',
      (c) => c.create('p1', { memid: '70000' }),
      'failed to create p1: Invalid argument ("70000": no memory has this id; use 1 to 65535)',
    ],
    [
      'two memories',
      (c) => c.create('p1@3', { memid: '4' }),
      'failed to create p1@3: Invalid argument (-m says memory 4; keep one of the two)',
    ],
  ])('of %s is a wrong command line, and says what to do', (_what, action, line) => {
    expect(() => action(control(busy).made)).toThrow(new ValeError(line, ExitCode.Usage));
  });

  test('of no such switch says what is wrong and what to do', () => {
    expect(() => control(busy).made.look('vale9:')).toThrow(
      new ValeError(
        'failed to list vale9:: No such file or directory (no such switch; see: vale ctl)',
      ),
    );
  });
});

describe('a name', () => {
  test('of a memory is the id of that port', () => {
    const asked: unknown[] = [];
    const rows = snapshot({ ports: [port('vale0:a', { info: info('vale0:a', { memId: 9 }) })] });
    control(rows, {
      create: (request) => {
        asked.push(request);
        return info(request.name);
      },
    }).made.create('p1', { memid: 'vale0:a' });
    expect(asked).toEqual([expect.objectContaining({ name: 'p1', memId: 9 })]);
  });

  test('that opens a port beside a switch of that name is warned about', () => {
    const { made, warnings } = control(busy, { info: ({ name }) => info(name) });
    expect(made.info('vale0').name).toBe('vale:vale0');
    expect(warnings).toEqual([expect.stringContaining('use vale0:NAME')]);
  });

  test('of an interface answers from the wire, opened for that moment', () => {
    let closed = false;
    const open = () =>
      ({ info: info('eth0', { device: 'packet' }), close: () => (closed = true) }) as never;
    const { made } = control(busy, { open }, ['eth0']);
    expect(made.info('eth0').device).toBe('packet');
    expect(closed).toBe(true);
  });

  test('of a switch narrows the listing to it', () => {
    const rows = snapshot({
      switches: [sw('vale0'), sw('vale1', { index: 1 })],
      ports: [
        port('vale0:a'),
        port('vale1:a', { switchIndex: 1 }),
        port('p0', { attached: false }),
      ],
    });
    const { made } = control(rows);
    expect(made.look('vale1').ports.map(({ name }) => name)).toEqual(['vale1:a']);
    expect(made.look('vale0:a').ports.map(({ name }) => name)).toEqual(['vale0:a']);
    expect(made.look().ports).toHaveLength(3);
  });
});

describe('under sudo', () => {
  const theirs = '/run/user/1000/vale';
  const caller = (more: Partial<Caller> = {}): Caller => ({
    uid: 0,
    env: { SUDO_UID: '1000', SUDO_USER: 'ann' },
    argv: ['ctl', '-d', 'vale7:p 0'],
    exists: (path) => path === theirs,
    ...more,
  });
  const world = binding({
    [theirs]: snapshot({ switches: [sw('vale7')], ports: [port('vale7:a')] }),
  });
  const root = runtime(snapshot({ directory: '/run/vale' }));

  test('the line that reaches the directory of the invoking user is told', () => {
    expect(elsewhere('vale7:a', world, root, caller())).toBe(
      "vale7 is in ann's directory, not in root's; run: sudo VALE_DIR=/run/user/1000/vale vale ctl -d 'vale7:p 0'",
    );
  });

  test.each<[string, Partial<Caller>, string]>([
    ['not root', { uid: 1000 }, 'vale7:a'],
    ['not sudo', { env: {} }, 'vale7:a'],
    ['root used sudo', { env: { SUDO_UID: '0' } }, 'vale7:a'],
    ['a directory was given', { env: { SUDO_UID: '1000', VALE_DIR: '/x' } }, 'vale7:a'],
    ['the user has no directory', { exists: () => false }, 'vale7:a'],
    ['nobody has the switch', {}, 'vale8:a'],
  ])('nothing is told where %s', (_why, more, name) => {
    expect(elsewhere(name, world, root, caller(more))).toBeUndefined();
  });

  test('nothing is told where root has the switch too', () => {
    const both = runtime(snapshot({ switches: [sw('vale7')] }));
    expect(elsewhere('vale7:a', world, both, caller())).toBeUndefined();
  });
});
