// SPDX-License-Identifier: BSD-2-Clause
// vale demo, however it ends: nothing is left, and what is wrong is said in a line. The machines' kernel is one
// that QEMU starts and that never ends, so that they boot as long as wanted.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vale-end-'));
  mkdirSync(join(folder, 'tmp'));
  env = { XDG_CACHE_HOME: join(folder, 'cache'), TMPDIR: join(folder, 'tmp'), DEMO: folder };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What runs with the test's environment, or works in a folder of it: [name, process]. */
function running(): [string, number][] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid): [string, number][] => {
      try {
        const ours = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const own = ours.includes(`DEMO=${folder}`) || places.some((one) => line.includes(one));
        return own && line !== '' ? [[name, Number(pid)]] : [];
      } catch {
        return []; // gone, or somebody else's
      }
    });
}

/** The folder that the demonstration of this test has made. */
let places: string[] = [];

/** By the command lines of its machines, as other tests run demonstrations too. */
function itsFolder(): string[] {
  const line = running()
    .filter(([name]) => name.startsWith('qemu-system-'))
    .map(([, pid]) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return /[^=,\0]*\/vale-demo-vm-\w+/.exec(line[0] ?? '')?.slice(0, 1) ?? [];
}

function image(kernel: Buffer): void {
  const at = join(folder, 'cache', 'vale', 'image-1');
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, 'vmlinuz'), kernel);
  writeFileSync(join(at, 'initramfs.cpio'), 'none');
}

/** What Linux's boot protocol has for a kernel of one instruction: to itself. */
function endlessKernel(): Buffer {
  const kernel = Buffer.alloc(64 << 10);
  kernel[0x1f1] = 4; // sectors before the part that is not of real mode
  kernel.writeUInt16LE(0xfeeb, 0x200);
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(0x0206, 0x206);
  kernel[0x211] = 1; // loaded high
  kernel.writeUInt32LE(0x37ffffff, 0x22c); // where the first file system may end
  return kernel;
}

async function booting(): Promise<Vale> {
  image(endlessKernel());
  places = [];
  const demo = new Vale(['demo', 'vm'], env);
  await demo.says(/booting/);
  await vi.waitFor(() => {
    places = itsFolder();
    expect(places).toHaveLength(1);
    const names = running().map(([name]) => name);
    const of = (start: string) => names.filter((name) => name.startsWith(start)).length;
    expect({ agents: of('vale-agent'), machines: of('qemu-system-'), said: demo.stderr }).toEqual({
      agents: 2,
      machines: 2,
      said: '',
    });
  }, 10_000);
  return demo;
}

async function nothingLeft(): Promise<void> {
  await vi.waitFor(() => {
    expect(running()).toEqual([]);
    expect(places.filter((place) => existsSync(place))).toEqual([]);
    expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
  }, 5000);
}

needs('qemu-system-x86_64').describe('two virtual machines that boot', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends them', async (signal) => {
    const demo = await booting();
    expect(await demo.stop(signal)).toMatchObject({ code: 0, stderr: '' });
    await nothingLeft();
  });

  test('so does SIGKILL of the demonstration', async () => {
    const demo = await booting();
    expect((await demo.stop('SIGKILL')).code).toBeNull();
    await nothingLeft();
  });

  test('where temporary files have long names', async () => {
    env['TMPDIR'] = join(folder, 'tmp', 'x'.repeat(120));
    mkdirSync(env['TMPDIR']);
    const demo = await booting();
    expect(await demo.stop()).toMatchObject({ code: 0, stderr: '' });
    rmSync(env['TMPDIR'], { recursive: true });
    await nothingLeft();
  });

  test('a damaged image is told of', async () => {
    image(Buffer.from('no kernel'));
    const { code, stderr } = await new Vale(['demo', 'vm'], env).result();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^vale: qemu-system-x86_64 ended before its machine was up: qemu.*kernel.*vale demo image --rebuild\n$/,
    );
    await nothingLeft();
  });
});

describe.runIf(process.arch === 'x64')('the image', () => {
  test('of a variable that XDG ignores is kept below the home', async () => {
    image(endlessKernel());
    const home = join(folder, 'home');
    mkdirSync(home);
    spawnSync('cp', ['-r', join(folder, 'cache'), join(home, '.cache')]);
    for (const value of ['', 'relative']) {
      const { stdout } = await new Vale(['demo', 'image'], {
        ...env,
        HOME: home,
        XDG_CACHE_HOME: value,
      }).result();
      expect(stdout).toContain(`${home}/.cache/vale/image-1/vmlinuz\n`);
    }
  });

  test('that cannot be kept there is refused in one line', async () => {
    env['XDG_CACHE_HOME'] = '/proc/none';
    expect(await new Vale(['demo', 'image'], env).result()).toMatchObject({
      code: 1,
      stderr:
        'vale: cannot build the image in /proc/none/vale/image-1: No such file or directory; set XDG_CACHE_HOME to a folder of yours\n',
    });
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('%s ends its building', async (signal) => {
    // The network is not: apt-get waits for one that never answers.
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'apt-get'), '#!/bin/sh\nsleep 60 & wait\n', { mode: 0o755 });
    writeFileSync(join(folder, 'bin', 'apt-cache'), '#!/bin/sh\necho " Depends: linux-image-x"\n', {
      mode: 0o755,
    });
    env['PATH'] = `${join(folder, 'bin')}:${process.env['PATH']}`;
    const build = new Vale(['demo', 'image'], env);
    await vi.waitFor(() => expect(running().map(([name]) => name)).toContain('sleep'), 10_000);
    const killed = signal === 'SIGKILL';
    expect(await build.stop(signal)).toMatchObject({ code: killed ? null : 0, stdout: '' });
    await nothingLeft();
    expect(builtFiles()).toEqual([]);
  });
});

const builtFiles = () => readdirSync(join(folder, 'cache', 'vale', 'image-1'));
