// SPDX-License-Identifier: BSD-2-Clause
// What vale ctl does not do: the one line that says so, and the exit code.
import { spawnSync } from 'node:child_process';
import { Config } from '@oclif/core';
import { describe, expect, test } from 'vitest';

import Ctl from '../src/commands/ctl.js';
import { explain } from '../src/errors.js';
import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { ctl, env, open, output, useOwnDirectory } from './support/own-directory.js';
import { cli, counted, onKernel } from './support/vale.js';

const [program = '', ...words] = cli;
const config = await Config.load(packageRoot());

useOwnDirectory();

describe('a failure is one line in the form of the reference', () => {
  const ending = (code: number, args: string[]): string => {
    const { status, stdout, stderr } = ctl(...args);
    expect({ status, stdout }).toEqual({ status: code, stdout: '' });
    expect(stderr).toMatch(/^vale: failed to [^\n]*\n$/);
    return stderr;
  };
  const failure = (...args: string[]) => ending(1, args);
  const misspelt = (...args: string[]) => ending(2, args);

  test('when something is there already', async () => {
    output('-n', 'p0');
    expect(failure('-n', 'p0')).toContain('failed to create p0: File exists');
    output('-a', 'vale0:p0');
    expect(failure('-a', 'vale0:p0')).toContain(
      'failed to attach vale0:p0: Device or resource busy',
    );
    expect(failure('-r', 'p0')).toContain('failed to remove p0: Device or resource busy');
    await open('vale0:a');
    expect(failure('-d', 'vale0:a')).toContain('failed to detach vale0:a: Device or resource busy');
  });

  test('when something is missing', async () => {
    await open('vale0:a');
    expect(failure('-d', 'vale0:b')).toContain(
      'failed to detach vale0:b: No such device or address',
    );
    expect(failure('-d', 'vale1:b')).toContain(
      'failed to detach vale1:b: No such device or address',
    );
    expect(failure('-r', 'p9')).toContain('failed to remove p9: No such device or address');
    expect(failure('-l', 'vale1:a')).toContain('failed to list vale1:a: No such file or directory');
    expect(failure('-g', 'nosuch0')).toContain('failed to obtain info for nosuch0: No such device');
    expect(failure('list', 'vale8')).toContain(
      'failed to list vale8: No such device or address (no such switch, nor a port vale:vale8; see: vale ctl)',
    );
    expect(failure('-a', 'vale0:nosuch0')).toContain(
      'failed to attach vale0:nosuch0: Invalid argument',
    );
    expect(failure('-n', 'p9', '-m', 'vale0:b')).toContain(
      'failed to create p9: No such device or address (vale0:b: no such port',
    );
    expect(failure('-p', 'vale0:b')).toContain(
      'failed to enable polling on vale0:b: No such device',
    );
    expect(failure('list', 'vale7:a')).toContain(
      'failed to list vale7:a: No such device or address',
    );
    expect(failure('index', 'vale7:a')).toContain(
      'failed to obtain indices of vale7:a: No such file or directory (vale7: no such switch',
    );
    expect(misspelt('index', 'nosuch0')).toContain(
      'failed to obtain indices of nosuch0: Invalid argument (this is no port of a switch; name both, as in vale0:nosuch0)',
    );
    expect(failure('-r', 'vale0:a')).toContain(
      'failed to remove vale0:a: No such device or address (only a persistent port is removed, by its own name as in a; others go when they are closed)',
    );
    expect(failure('stats', 'nosuch0')).toContain(
      `failed to obtain counters of nosuch0: ${counted('No such device or address', 'Operation not supported')}`,
    );
    expect(failure('fdb', 'vale7')).toContain(
      `failed to list addresses of vale7: ${counted('No such file or directory (no such switch', 'Operation not supported')}`,
    );
  });

  test('when the name is wrong, which is a wrong command line', () => {
    expect(misspelt('-d', 'em0')).toContain('failed to detach em0: Invalid argument');
    expect(misspelt('-n', 'vale0')).toContain('failed to create vale0: Invalid argument');
    expect(misspelt('-n', 'abcdefghijklmnop')).toContain('use at most 15');
  });

  test('when it is for network interfaces', async () => {
    await open('vale0:a');
    output('-n', 'p0');
    output('-a', 'vale0:p0');
    expect(failure('-a', 'vale0:lo')).toMatch(
      onKernel
        ? /failed to attach vale0:lo: Invalid argument \(/
        : /failed to attach vale0:lo: Invalid argument \(lo is this machine's way to itself/,
    );
    for (const name of ['vale0:a', 'vale0:p0']) {
      expect(failure('-p', name)).toContain(
        `failed to enable polling on ${name}: Operation not supported`,
      );
      expect(failure('-P', name)).toContain(
        `failed to disable polling on ${name}: Operation not supported`,
      );
    }
    expect(failure('-p', 'vale0:nosuch0')).toContain('No such device or address');
    expect(failure('log', 'vale0:a')).toContain(
      'failed to show the log of vale0:a: No such device or address',
    );
  });

  test('when a name is both a switch and a port', async () => {
    await open('vale0:a');
    await open('vale0');
    expect(misspelt('list', 'vale0')).toContain(
      'write vale0: for the switch or vale:vale0 for the port',
    );
    expect(output('list', 'vale0:')).toBe('vale0:a bridge_idx 0 port_idx 0\n');
    expect(output('list', 'vale:vale0')).toBe('vale:vale0 bridge_idx 1 port_idx 0\n');
  });
});

const here = needs('a device in the process of the test');
here.describe('a wrong command line is one line and exit code 2', () => {
  test.each([
    [['-n', 'p0', '-r', 'p0'], '-n and -r are two actions: give one of them a call'],
    [['-a', 'vale0:p0', '-h', 'vale0:p0'], '-a and -h are two actions: give one of them a call'],
    [
      ['-n', 'p0', 'list'],
      'list and an option before it are two actions: write vale ctl list first',
    ],
    [['lst'], "unknown action 'lst': did you mean 'list'?"],
    [['fdb', 'flsh'], "unknown action 'flsh': did you mean 'flush'?"],
    [['-n'], 'missing value for -n: see --help'],
    [['-h'], 'missing value for -h: see --help'],
    [['-l', 'em0'], 'expected a port of a switch, as in vale0:a, for -l but received em0'],
    [
      ['-n', 'p0', '-C', 'x'],
      'expected tx_slots[,rx_slots[,tx_rings[,rx_rings]]], as in 1024,1024,2,2 for -C but received x',
    ],
    [
      ['-p', 'vale0:a', '-C', '0,1,2'],
      'expected mode,core or 1,core,cores for -C but received 0,1,2',
    ],
    [['-n', 'p0', '--watch'], '--watch goes with the listing, not with -n'],
    [
      ['--interval', '0'],
      'expected seconds above 0, as in 10 or 0.5 for --interval but received 0',
    ],
    [['--interval', '2'], '--interval goes with --watch: add it, or leave --interval out'],
    [['--shared'], '--shared goes with -a and -h, not with the listing: leave it out'],
    [['-d', 'vale0:p0', '--netns', 'x'], '--netns goes with -a and -h, not with -d: leave it out'],
    [['-C', '512'], '-C goes with -n, -a, -h and -p, not with the listing: leave it out'],
    [['-l', 'vale0:a', '-m', '2'], '-m goes with -n, -a, -h and -g, not with -l: leave it out'],
    [
      ['-a', 'vale0:em0', '--netns', ''],
      'expected a network namespace, by its name or a process id for --netns but received ""',
    ],
    [
      ['-g', 'lo@conf:rings=2'],
      '"lo@conf:rings=2": a network interface has one ring each way; ask for slots only, as in lo@conf:slots=512',
    ],
    [
      ['-a', 'vale0:em0', '--shared', '--backend', 'xdp'],
      '--shared and --backend xdp: AF_XDP takes every frame and shares none; use --backend packet with --shared',
    ],
    [
      ['-h', 'vale0:em0', '--shared'],
      "--shared leaves an interface to the host, and -h has the host's traffic go through the switch: give one of the two",
    ],
    [
      ['-h', 'vale0:t0', '--backend', 'tap'],
      "--backend tap has the host's stack at its other end already: use -a instead of -h",
    ],
    [['--json', '--plain'], '--plain and --json exclude each other: give one of them'],
    [['create'], 'missing NAME: see --help'],
    [
      ['fdb', 'add', 'vale0:a', '01:00:00:00:00:00'],
      'expected the MAC address of one station (its first byte is even) for MAC but received 01:00:00:00:00:00',
    ],
  ])('vale ctl %j', async (args, line) => {
    const error: unknown = await Ctl.run(args, config).catch((thrown: unknown) => thrown);
    expect(explain(error)).toEqual({ line, exitCode: 2 });
  });
});

describe('a wrong command line', () => {
  const known = needs('listing of what is detached');
  known.test('asking of a persistent port what only an interface, or a new port, has', () => {
    output('-n', 'p0');
    const refused = (...args: string[]): string => {
      const { status, stdout, stderr } = ctl(...args);
      expect({ args, status, stdout }).toEqual({ args, status: 2, stdout: '' });
      return stderr;
    };
    for (const option of ['--backend=xdp', '--netns=blue', '--shared', '--force'])
      for (const attach of ['-a', 'attach'])
        expect(refused(attach, 'vale0:p0', option)).toBe(
          `vale: ${option.split('=')[0]} is for network interfaces, and p0 is a persistent port: leave it out\n`,
        );
    expect(refused('-a', 'vale0:p0', '-C', '512')).toMatch(
      /^vale: -C: p0 has had its rings and slots since it was made: leave them out, or remove it/,
    );
    expect(refused('-a', 'vale0:p0@conf:slots=512')).toMatch(/^vale: vale0:p0@conf:slots=512: p0/);
    expect(refused('-a', 'vale0:p0', '-m', '60000')).toMatch(
      /^vale: -m 60000: p0 has had its memory, \d+, since it was made: leave that out/,
    );
    expect(output('list')).toBe('');
    output('-a', 'vale0:p0', '-m', 'p0');
  });

  test('seen from outside', () => {
    const line = 'vale: -n and -r are two actions: give one of them a call\n';
    expect(ctl('-n', 'p0', '-r', 'p0')).toEqual({ status: 2, stdout: '', stderr: line });
  });

  // `vale run` looks at the directory before.
  test.skipIf(onKernel).each([
    ['attach', 'vale0:vm', '--client'],
    ['-a', 'vale0:vm', '--client'],
    ['-p', 'vale0:a', '-C', 'x'],
    ['-l', 'em0'],
  ])('is told before a directory that is not good: %s %s', (...args) => {
    const { status, stderr } = spawnSync(program, [...words, 'ctl', ...args], {
      encoding: 'utf8',
      env: { ...env(), VALE_DIR: '/etc' },
    });
    expect(status, stderr).toBe(2);
    expect(stderr).not.toContain('/etc');
  });

  test('help is --help, because -h attaches', () => {
    expect(output('--help')).toMatch(/-h, --attach-host=SWITCH:NAME/);
    expect(output('list', '-h')).toMatch(/^List switches and ports/);
  });
});
