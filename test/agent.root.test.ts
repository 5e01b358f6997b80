// SPDX-License-Identifier: BSD-2-Clause
// What of attached interfaces takes root: the host's stack as a port, and giving privilege up.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { finished } from './support/lab.js';
import { needs } from './support/need.js';
import { transfer, type Host } from './support/transfer.js';

const bin = join(packageRoot(), 'bin', 'vale.js');
const USER = 65_534;

needs('root', 'ip', 'ping', 'tc', 'unshare', 'ethtool').describe('an attached interface', () => {
  const mark = `vt${process.pid % 100_000}`;
  const machine = `${mark}m`;
  const [east, west] = [`${mark}e`, `${mark}w`];
  let directory: string;

  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  const at = (netns: string, ...command: string[]) => {
    const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', netns, ...command], {
      encoding: 'utf8',
      env: { ...process.env, VALE_DIR: directory },
    });
    return { status, stdout, stderr };
  };
  const ctl = (...args: string[]) => at(machine, process.execPath, bin, 'ctl', ...args);
  const good = (...args: string[]): string => {
    const { status, stdout, stderr } = ctl(...args);
    expect({ status, stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' });
    return stdout;
  };
  const reaches = (from: string, address: string) =>
    at(from, 'ping', '-n', '-c', '3', '-i', '0.1', '-W', '2', address).stdout;
  const look = () =>
    at(machine, 'sh', '-c', 'ip -d link; tc qdisc; ip -4 route show table all').stdout;

  beforeAll(() => {
    // Not in the test run's own, into which only root may look.
    directory = mkdtempSync('/dev/shm/vale-agent-root-');
    chownSync(directory, USER, USER);
    for (const name of [machine, east, west]) ip('netns', 'add', name);
    for (const [name, wire, host] of [
      [east, 'we', 1],
      [west, 'ww', 2],
    ] as const) {
      ip(
        'link',
        'add',
        wire,
        'netns',
        machine,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'netns',
        name,
      );
      ip('-n', machine, 'link', 'set', wire, 'up');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
      ip('-n', name, 'addr', 'add', `10.11.0.${host}/24`, 'dev', 'eth0');
    }
    ip('-n', machine, 'addr', 'add', '10.11.0.9/24', 'dev', 'we');
    good('list');
  });
  afterAll(() => {
    for (const name of ['vale0:we', 'vale0:ww']) ctl('-d', name);
    for (const name of [machine, east, west]) spawnSync('ip', ['netns', 'del', name]);
    rmSync(directory, { recursive: true, force: true });
  });

  test('with -h is a port and its host stack another; all reach each other by learning', () => {
    const before = look();
    const files = readdirSync(directory);
    good('-h', 'vale0:we');
    good('-a', 'vale0:ww');
    expect(good()).toBe(
      'vale0:we bridge_idx 0 port_idx 0\nvale0:we^ bridge_idx 0 port_idx 1\nvale0:ww bridge_idx 0 port_idx 2\n',
    );
    for (const [from, address] of [
      [east, '10.11.0.2'],
      [east, '10.11.0.9'],
      [west, '10.11.0.9'],
      [machine, '10.11.0.2'],
      [machine, '10.11.0.1'],
    ] as const)
      expect(reaches(from, address), `${from} to ${address}`).toContain('3 received');
    const { status, stderr } = ctl('-d', 'vale0:we^');
    expect(status).toBe(1);
    expect(stderr).toContain('Device or resource busy (it goes with its interface');
    good('-d', 'vale0:we');
    good('-d', 'vale0:ww');
    expect(look()).toBe(before);
    expect(readdirSync(directory)).toEqual(files);
    expect(reaches(machine, '10.11.0.1')).toContain('3 received');
  }, 60_000);

  test('is refused with its host stack before anything of it is changed', () => {
    const holder = spawn(
      'ip',
      [
        'netns',
        'exec',
        machine,
        process.execPath,
        bin,
        'pkt-gen',
        '-i',
        'we',
        '-f',
        'rx',
        '-w',
        '0',
      ],
      { env: { ...process.env, VALE_DIR: directory }, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return new Promise<void>((resolve, reject) => {
      holder.on('close', () => resolve());
      holder.stdout.once('data', () => {
        try {
          const before = at(machine, 'ip', 'link').stdout;
          const watch = spawn('ip', ['-n', machine, 'monitor', 'link'], {
            stdio: ['ignore', 'pipe', 'ignore'],
          });
          let changed = '';
          watch.stdout.on('data', (text: Buffer) => (changed += text.toString()));
          const { status, stderr } = ctl('-h', 'vale0:we');
          expect(status).toBe(1);
          expect(stderr).toContain('interface "we" is open in process');
          expect(at(machine, 'ip', 'link').stdout).toBe(before);
          watch.on('close', () => {
            try {
              expect(changed).toBe('');
            } catch (error) {
              reject(error as Error);
            }
            holder.kill('SIGINT');
          });
          setTimeout(() => watch.kill(), 200);
        } catch (error) {
          holder.kill('SIGINT');
          reject(error as Error);
        }
      });
    });
  }, 60_000);

  test('has one host stack for all runtime directories', () => {
    const elsewhere = mkdtempSync('/dev/shm/vale-agent-other-');
    const other = (...args: string[]) =>
      at(machine, 'env', `VALE_DIR=${elsewhere}`, process.execPath, bin, ...args);
    try {
      good('-h', 'vale0:we');
      const open = other('pkt-gen', '-i', 'we^', '-f', 'tx', '-n', '1', '-w', '0');
      expect(open.status).toBe(1);
      expect(open.stderr).toMatch(
        /the host's side of interface "we" is attached as vale0:we by process \d+, of another runtime directory/,
      );
      good('-d', 'vale0:we');
      expect(other('pkt-gen', '-i', 'we^', '-f', 'tx', '-n', '1', '-w', '0').status).toBe(0);
    } finally {
      rmSync(elsewhere, { recursive: true, force: true });
    }
  }, 60_000);

  test("a TAP device that is another user's to open is put back by who detaches it", () => {
    ip('-n', machine, 'tuntap', 'add', 'dev', 'tp0', 'mode', 'tap', 'user', 'root');
    const before = at(machine, 'ip', '-d', 'link', 'show', 'tp0').stdout;
    expect(ctl('-a', 'vale0:tp0', '--backend', 'tap').status).toBe(0);
    expect(at(machine, 'ip', '-d', 'link', 'show', 'tp0').stdout).toContain('vnet_hdr on');
    good('-d', 'vale0:tp0');
    expect(at(machine, 'ip', '-d', 'link', 'show', 'tp0').stdout).toBe(before);
    ip('-n', machine, 'link', 'del', 'tp0');
  }, 60_000);

  test("is taken from the host's stack: what arrives is the switch's alone", () => {
    expect(reaches(east, '10.11.0.9')).toContain('3 received');
    good('-a', 'vale0:we');
    expect(reaches(east, '10.11.0.9')).toContain('0 received');
    good('-d', 'vale0:we');
    expect(reaches(east, '10.11.0.9')).toContain('3 received');
  }, 60_000);

  test("is served by the directory's owner, without a capability", () => {
    good('-h', 'vale0:we');
    const { ports } = JSON.parse(good('list', '--json')) as {
      ports: { interface: { process_id: number; take_over: string } }[];
    };
    expect(ports[0]!.interface.take_over).toBe('tcx');
    const status = readFileSync(`/proc/${ports[0]!.interface.process_id}/status`, 'utf8');
    expect(status).toMatch(new RegExp(`^Uid:\\s+${USER}\\s+${USER}\\s+${USER}\\s+${USER}$`, 'm'));
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Groups:\s*$/m);
    good('-d', 'vale0:we');
  }, 60_000);

  test('is served by AF_XDP where the directory is of a user who may lock little memory', () => {
    const before = look();
    for (const mode of ['xdp', 'xdp-native', 'xdp-generic']) {
      const { status } = ctl('-a', 'vale0:we', '--backend', mode);
      expect(status, mode).toBe(0);
      const { ports } = JSON.parse(good('list', '--json')) as {
        ports: { interface: { backend: string } }[];
      };
      expect(ports[0]!.interface.backend).toBe(mode === 'xdp' ? 'xdp-native' : mode);
      good('-d', 'vale0:we');
    }
    expect(look()).toBe(before);
  }, 60_000);

  test('by AF_XDP tells of queues it got later, and what it tells to run takes them up', () => {
    ip(
      '-n',
      machine,
      ...'link add wq numrxqueues 2 numtxqueues 2 type veth peer name wqp'.split(' '),
    );
    ip('-n', machine, 'link', 'set', 'wq', 'up');
    const queues = (...args: string[]) => at(machine, 'ethtool', '-L', ...args);
    queues('wq', 'rx', '1');
    queues('wqp', 'tx', '1'); // its own mode wants no fewer than these
    expect(ctl('-a', 'vale0:wq', '-C', '512,512', '--backend', 'xdp-native').status).toBe(0);
    expect(queues('wq', 'rx', '2')).toMatchObject({ status: 0, stderr: '' });
    expect(good('--json')).toContain('"unserved_queues": 1');
    const again = 'vale ctl -d vale0:wq && vale ctl -a vale0:wq -C 512,512 --backend xdp-native';
    expect(good('log', 'vale0:wq')).toContain(
      `interface wq has 1 receive queue more than when it was attached: what arrives there is lost and not counted; run: ${again}\n`,
    );
    const vale = `vale() { ${process.execPath} ${bin} "$@"; }`;
    expect(at(machine, 'sh', '-c', `${vale}; ${again}`).status).toBe(0);
    expect(good('--json')).toContain('"unserved_queues": 0');
    good('-d', 'vale0:wq');
    ip('-n', machine, 'link', 'del', 'wq');
  }, 60_000);

  test('by AF_XDP carries TCP of hosts that leave their checksums to it', async () => {
    const [from, to] = [east, west].map((netns) => {
      const start = (...command: string[]) =>
        spawn('ip', ['netns', 'exec', netns, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
      return { start, run: async (...command: string[]) => finished(start(...command)) };
    }) as [Host, Host];
    for (const wire of ['we', 'ww'])
      expect(ctl('-a', `vale0:${wire}`, '--backend', 'xdp-native').status).toBe(0);
    await transfer(directory, 8 << 20, from, to, '10.11.0.2');
    await transfer(directory, 8 << 20, to, from, '10.11.0.1');
    for (const wire of ['we', 'ww']) good('-d', `vale0:${wire}`);
    for (const name of ['sent', 'received']) rmSync(join(directory, name));
  }, 60_000);

  test('may be in a namespace that has a name; what to run about its MTU is for there', () => {
    const inner = `${mark}i`;
    ip('netns', 'add', inner);
    try {
      ip('-n', inner, 'link', 'add', 'in0', 'mtu', '9000', 'type', 'veth', 'peer', 'name', 'in1');
      ip('-n', inner, 'addr', 'add', '10.11.0.7/24', 'dev', 'in1');
      for (const device of ['in0', 'in1']) ip('-n', inner, 'link', 'set', device, 'up');
      const state = () => at(inner, 'sh', '-c', 'ip -d link; tc qdisc').stdout;
      const before = state();
      good('-a', 'vale0:ww');
      const { status, stderr } = ctl('-a', 'vale0:in0', '--netns', inner);
      expect(status).toBe(0);
      const line = new RegExp(
        `^vale: vale0:ww takes packets of 1500 bytes, vale0:in0 of 9000: longer ones will be dropped; run: (ip -n ${inner} link set in0 mtu 1500), and the same where they come from\n$`,
      );
      expect(stderr).toMatch(line);
      expect(reaches(west, '10.11.0.7')).toContain('3 received');
      good('-d', 'vale0:in0');
      expect(state()).toBe(before);
      execFileSync('sh', ['-c', line.exec(stderr)![1]!]);
      good('-a', 'vale0:in0', '--netns', inner);
      good('-d', 'vale0:in0');
      good('-d', 'vale0:ww');
    } finally {
      ctl('-d', 'vale0:in0');
      ip('netns', 'del', inner);
    }
  }, 60_000);

  test('is as before after every detaching and every killed agent', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(packageRoot(), 'scripts', 'attach.mjs'), '5', '2'],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr:
        'vale-switch: 5 times attached and detached: all as before\n' +
        'vale-switch: 2 agents killed: noticed, and all as before\n',
    });
  }, 60_000);
});
