// SPDX-License-Identifier: BSD-2-Clause
// The package as users get it: packed, installed globally offline and without scripts, and run, with
// nothing but Node on the PATH.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';

const root = packageRoot();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

interface Packed {
  filename: string;
  files: { path: string; mode: number }[];
}

describe('the packed package', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'vale-pack-'));
  const prefix = join(scratch, 'prefix');
  const nodeOnly = join(scratch, 'node-only');
  let files: string[] = [];

  const npm = (args: string[]): string =>
    execFileSync('npm', [...args, '--loglevel=error'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, npm_config_cache: join(scratch, 'cache') },
    });

  /** The installed command, where no compiler, npm or Python can be found. */
  const installed = (command: string, ...args: string[]) =>
    spawnSync(join(prefix, 'bin', command), args, {
      encoding: 'utf8',
      env: { PATH: nodeOnly, VALE_DIR: join(process.env['VALE_DIR']!, 'packed') },
    });

  beforeAll(() => {
    const json = npm(['pack', '--json', '--pack-destination', scratch]);
    const packed = (JSON.parse(json.slice(json.indexOf('[\n'))) as Packed[])[0]!;
    files = packed.files.map(({ path }) => path);
    npm([
      'i',
      '-g',
      '--ignore-scripts',
      '--offline',
      '--prefix',
      prefix,
      join(scratch, packed.filename),
    ]);
    mkdirSync(nodeOnly);
    symlinkSync(process.execPath, join(nodeOnly, 'node'));
  }, 240_000);

  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  test('ships the addon, the agent, the bundle, the licences and the change log, and no test', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'CHANGELOG.md',
        'bin/vale.js',
        'dist/cli.js',
        'dist/THIRD-PARTY-LICENSES.txt',
        'oclif.manifest.json',
        `prebuilds/${process.platform}-${process.arch}/vale.node`,
        `prebuilds/${process.platform}-${process.arch}/vale-agent`,
        `prebuilds/${process.platform}-${process.arch}/libvale-preload.so`,
      ]),
    );
    expect(files.filter((path) => /^(test|build|bench|\.ci)\//.test(path))).toEqual([]);
  });

  test('runs as vale and as vale-switch', () => {
    for (const command of ['vale', 'vale-switch']) {
      const { status, stdout, stderr } = installed(command, '--version');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain(`vale-switch ${version} `);
    }
  });

  test('lists an empty switch board: the shipped addon loads', () => {
    expect(installed('vale', 'ctl', '--plain')).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });

  const shipped = (file: string): string =>
    join(
      prefix,
      'lib/node_modules/vale-switch/prebuilds',
      `${process.platform}-${process.arch}`,
      file,
    );

  test('the shipped agent can be run', () => {
    const { status, stderr } = spawnSync(shipped('vale-agent'), ['--version'], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr:
        'vale-agent serves an attached network interface; it is started by: vale ctl attach\n',
    });
  });

  test.each(['vale.node', 'vale-agent'])('the shipped %s asks for nothing but libc', (file) => {
    const ldd = ['/usr/bin/ldd', '/bin/ldd'].find((path) => existsSync(path));
    expect(ldd).toBeDefined();
    const libraries = execFileSync(ldd!, [shipped(file)], { encoding: 'utf8' });
    expect(libraries).not.toMatch(/libstdc\+\+|libgcc/);
  });

  test('its manual pages are where man(1) looks, named in package.json', () => {
    const folder = join(prefix, 'lib/node_modules/vale-switch');
    const { man = [] } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      man?: string[];
    };
    expect(man.length).toBeGreaterThan(0);
    for (const page of man) {
      expect(existsSync(join(folder, page))).toBe(true);
      const section = /\.(\d)$/.exec(page)![1]!;
      expect(existsSync(join(prefix, 'share/man', `man${section}`, page.split('/').at(-1)!))).toBe(
        true,
      );
    }
    expect(dirname(folder)).toContain(prefix);
  });
});
