// SPDX-License-Identifier: BSD-2-Clause
// Which device ports are opened on. What the kernel's can do is in the project "kernel".
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { Runtime } from '../src/index.js';
import { packageRoot } from '../src/native.js';
import { deviceWish } from '../src/port/device.js';
import { needs } from './support/need.js';

const program = [join(packageRoot(), 'bin', 'vale.js')];

function run(device: string, ...args: string[]) {
  const env = { ...process.env, VALE_DEVICE: device };
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], {
    encoding: 'utf8',
    env,
  });
  return { status, stdout, stderr };
}

const underRun = ['run', process.execPath, ...program];
const deviceOf = (listing: string): unknown => (JSON.parse(listing) as { device: unknown }).device;

describe('VALE_DEVICE', () => {
  test.each([
    [{}, 'auto'],
    [{ VALE_DEVICE: '' }, 'auto'],
    [{ VALE_DEVICE: 'auto' }, 'auto'],
    [{ VALE_DEVICE: 'auto', VALE_DIR: '/run/x' }, 'user'],
    [{ VALE_DIR: '/run/x' }, 'user'],
    [{ LD_PRELOAD: '/opt/libx.so:/opt/libvale-preload.so' }, 'user'],
    [{ LD_PRELOAD: '/opt/notlibvale-preload.so' }, 'auto'],
    [{ VALE_DEVICE: 'user' }, 'user'],
    [{ VALE_DEVICE: 'kernel', VALE_DIR: '/run/x', LD_PRELOAD: 'libvale-preload.so' }, 'kernel'],
  ])('%j is %s', (env, wish) => expect(deviceWish(env)).toBe(wish));

  test('takes no other word', () => {
    const refused = 'vale: expected auto, user or kernel for VALE_DEVICE but received';
    expect(run('kernal', 'ctl')).toEqual({
      status: 2,
      stdout: '',
      stderr: `${refused} kernal: did you mean kernel?\n`,
    });
    expect(run('0', 'pkt-gen', '-i', 'vale0:a')).toEqual({
      status: 2,
      stdout: '',
      stderr: `${refused} 0\n`,
    });
  });

  test('"kernel" where there is none is one line and exit code 1', () => {
    const { status, stderr } = run('kernel', 'pkt-gen', '-i', 'vale0:a');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^vale: \/dev\/netmap: [^\n]*leave VALE_DEVICE out [^\n]*\n$/);
  });

  test('under vale run: "auto" is our own device, "kernel" the one it puts there', () => {
    expect(deviceOf(run('auto', ...underRun, 'ctl', '--json').stdout)).toBe('user');
    expect(deviceOf(run('kernel', ...underRun, 'ctl', '--json').stdout)).toBe('kernel');
  });

  test('of a program, by the library', () => {
    const code = `import { openPort, Runtime } from ${JSON.stringify(join(packageRoot(), 'dist/lib/index.js'))};
      const a = await openPort('valedevice:a'), b = await openPort('valedevice:b');
      a.send(new Uint8Array(60).fill(255));
      await a.flush();
      for await (const batch of b.batches()) {
        console.log(new Runtime().device, a.info.device, batch.length);
        break;
      }
      try { a.counters(); } catch ({ code }) { console.log(code); }
      a.close();
      b.close();`;
    const args = ['run', process.execPath, '--input-type=module', '-e', code];
    expect(run('kernel', ...args)).toEqual({
      status: 0,
      stdout: 'kernel kernel 1\nEOPNOTSUPP\n',
      stderr: '',
    });
  });

  test.each(['--vhost-user', '--stream', '--dgram'])(
    "%s: the kernel's has no ports for virtual machines",
    (option) => {
      const args = ['ctl', 'attach', 'valedevice:vm', option, '/nowhere/vm.sock'];
      expect(run('kernel', ...underRun, ...args)).toEqual({
        status: 1,
        stdout: '',
        stderr:
          "vale: failed to attach valedevice:vm: Operation not supported (the kernel's netmap has no " +
          'ports for virtual machines of its own; with VALE_DEVICE=user this works)\n',
      });
    },
  );

  test('of a capture: what its rings dropped is unknown', () => {
    const args = [
      'capture',
      '-i',
      'valedevice:x',
      '--duration',
      '0.1',
      '-w',
      '/dev/null',
      '--json',
    ];
    const { status, stdout } = run('kernel', ...underRun, ...args);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      device: 'kernel',
      dropped: null,
      drops: { ring_full: null, buffer: 0 },
    });
  });

  test('a named runtime directory is one of switches in shared memory', () => {
    using runtime = new Runtime(process.env['VALE_DIR']);
    expect(runtime.device).toBe('user');
  });

  test('is told by the doctor', () => {
    const found = (device: string, ...before: string[]) => {
      const checks = JSON.parse(run(device, ...before, 'doctor', '--json').stdout) as {
        checks: { id: string; found: string; verdict: string }[];
      };
      const { found: text, verdict } = checks.checks.find(({ id }) => id === 'netmap')!;
      return `${verdict}: ${text}`;
    };
    expect(found('kernel', ...underRun)).toMatch(/^good: there, and used;/);
    expect(found('auto', ...underRun)).toMatch(/^good: there, and not used:/);
    expect(found('kernel')).toMatch(/^missing: \/dev\/netmap: /);
    expect(found('cornel')).toMatch(/^missing: expected auto, user or kernel /);
  });
});

describe("what drives the kernel's netmap is portable to FreeBSD", () => {
  const native = join(packageRoot(), 'native');
  const files = ['device/kernel.cc', 'device/kernel_port.cc', 'device/wait.cc'];

  needs('c++').test(
    'it compiles without __linux__, and with what takes its place',
    () => {
      for (const file of files) {
        const flags = ['-fsyntax-only', '-std=c++20', '-fno-exceptions', '-fno-rtti', '-pthread'];
        const undefine = ['-U__linux__', '-U__linux', '-U__gnu_linux__', '-Ulinux'];
        const warnings = ['-Wall', '-Wextra', '-Werror'];
        const include = ['-isystem', 'test/freebsd', '-I.'];
        const args = [...flags, ...undefine, ...warnings, ...include, file];
        const { status, stderr } = spawnSync('c++', args, { cwd: native, encoding: 'utf8' });
        expect({ file, status, stderr }).toEqual({ file, status: 0, stderr: '' });
      }
    },
    120_000,
  );

  test('and includes and calls nothing that only Linux has, outside #ifdef', () => {
    const headers =
      'cerrno cstring cstdint cstdio memory atomic fcntl.h ifaddrs.h net/if.h net/if_dl.h poll.h ' +
      'sched.h sys/ioctl.h sys/mman.h sys/socket.h time.h unistd.h immintrin.h';
    for (const file of [...files, ...files.map((file) => file.replace(/cc$/, 'h'))]) {
      const text = readFileSync(join(native, file), 'utf8');
      const elsewhere = text.replaceAll(/#ifdef __linux__\n.*?#(?:else|endif)/gs, '');
      const included = [...elsewhere.matchAll(/#include <(.*)>/g)].map(([, header]) => header);
      for (const header of included) expect(headers.split(' '), file).toContain(header);
      expect(elsewhere).not.toMatch(
        /\b(epoll|eventfd|signalfd|timerfd|memfd|prctl|MAP_POPULATE|MADV_|SIOCGIFHWADDR|\/proc\/|AF_PACKET|accept4|ppoll|gettid)/,
      );
    }
  });
});
