// SPDX-License-Identifier: BSD-2-Clause
// `vale extcap`: the protocol's sentences, the installation, and a real tshark that captures with it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { extcapFolders, launcher } from '../src/session/extcap.js';
import { ALL, frame, mac, received, send } from './support/frames.js';
import { needs } from './support/need.js';
import { open, runtime, sw, useOwnSwitch } from './support/own-switch.js';

useOwnSwitch();

const bin = join(packageRoot(), 'bin/vale.js');
let home: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'vale-extcap-'));
  env = { ...process.env, HOME: home };
  for (const name of ['XDG_CONFIG_HOME', 'WIRESHARK_CONFIG_DIR', 'WIRESHARK_EXTCAP_DIR'])
    delete env[name];
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const extcap = (...args: string[]) =>
  spawnSync(process.execPath, [bin, 'extcap', ...args], { env, encoding: 'utf8' });

describe('the protocol', () => {
  test('interfaces are live ports, and what watches those that are open', async () => {
    await open('a');
    runtime.create(`p${process.pid}`);
    runtime.attach(`${sw}:p${process.pid}`);
    const { stdout, status } = extcap('--extcap-interfaces', '--extcap-version=4.0');
    runtime.detach(`${sw}:p${process.pid}`);
    runtime.remove(`p${process.pid}`);
    expect(stdout).toMatch(/^extcap \{version=\d[^}]*\}\{display=VALE switch ports\}\n/);
    const ours = stdout.split('\n').filter((line) => line.includes(sw));
    expect(ours).toEqual([
      `interface {value=${sw}:a}{display=VALE port ${sw}:a}`,
      `interface {value=${sw}:a/rt}{display=VALE port ${sw}:a, sent and received}`,
      `interface {value=${sw}:p${process.pid}}{display=VALE port ${sw}:p${process.pid}}`,
    ]);
    expect(status).toBe(0);
  });

  test('link types, options, filters', () => {
    const about = ['--extcap-interface', 'vale0:a'];
    expect(extcap(...about, '--extcap-dlts').stdout).toBe(
      'dlt {number=1}{name=EN10MB}{display=Ethernet}\n',
    );
    expect(extcap(...about, '--extcap-config').stdout).toMatch(
      /^arg \{number=0\}\{call=--snaplen\}.*\{type=unsigned\}\{range=0,262144\}\{default=0\}$/m,
    );
  });

  needs('tcpdump').test('filters', () => {
    const about = ['--extcap-interface', 'vale0:a', '--extcap-capture-filter'];
    expect(extcap(...about, 'udp port 53')).toMatchObject({ stdout: '', status: 0 });
    expect(extcap(...about, 'udp prt').stdout).toMatch(/^filter 'udp prt': can't parse/);
  });

  test('what is missing is said', () => {
    expect(extcap()).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('missing install'),
    });
    expect(extcap('--capture', '--fifo', 'x')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('missing --extcap-interface'),
    });
  });
});

describe('the installation', () => {
  const files = () => extcapFolders(env).map((folder) => join(folder, 'vale'));

  test('says what it did, and may be repeated', () => {
    const all = (what: string) =>
      files()
        .map((file) => `${file}: ${what}\n`)
        .join('');
    expect(extcap('install').stdout).toBe(all('installed'));
    expect(extcap('install').stdout).toBe(all('is there already'));
    for (const file of files()) expect(spawnSync(file, ['--extcap-dlts']).status).toBe(0);
    env['VALE_DIR'] = `${env['VALE_DIR']}-other'"$`;
    expect(extcap('install').stdout).toBe(all('renewed'));
    // The directory of then, unless the environment has one.
    const { VALE_DIR, ...without } = env;
    const line = readFileSync(files()[0]!, 'utf8').split('\n')[2]!;
    const shown = spawnSync('sh', ['-c', `${line}; printf %s "$VALE_DIR"`], { env: without });
    expect(shown.stdout.toString()).toBe(VALE_DIR);
    expect(extcap('uninstall').stdout).toBe(all('removed'));
    expect(extcap('uninstall').stdout).toBe(all('is not there'));
    for (const folder of extcapFolders(env)) expect(existsSync(folder)).toBe(false);
  });

  test('where nothing can be made is refused', () => {
    const home = env['HOME'];
    env['HOME'] = '/proc';
    const { status, stderr } = extcap('install');
    env['HOME'] = home;
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(
        /^vale: \/proc\/.*: No such file or directory; set WIRESHARK_EXTCAP_DIR/,
      ) as unknown,
    });
  });

  test('where Wireshark looks, by its variables', () => {
    expect(extcapFolders({ HOME: '/h' })).toEqual([
      '/h/.config/wireshark/extcap',
      '/h/.local/lib/wireshark/extcap',
    ]);
    expect(extcapFolders({ HOME: '/h', XDG_CONFIG_HOME: '/c' })[0]).toBe('/c/wireshark/extcap');
    expect(extcapFolders({ HOME: '/h', WIRESHARK_CONFIG_DIR: '/w' })[0]).toBe('/w/extcap');
    expect(extcapFolders({ HOME: '/h', WIRESHARK_EXTCAP_DIR: '/e' })).toEqual(['/e']);
    const own = join(userInfo().homedir, '.config', 'wireshark', 'extcap');
    for (const HOME of ['', 'relative', undefined]) expect(extcapFolders({ HOME })[0]).toBe(own);
    expect(launcher({ VALE_DIR: 'here' })).toContain(`"\${VALE_DIR:=${process.cwd()}/here}"`);
  });

  test('says where it may not be put', () => {
    const folder = join(env['HOME']!, 'no', 'extcap');
    writeFileSync(join(env['HOME']!, 'no'), '');
    env['WIRESHARK_EXTCAP_DIR'] = folder;
    const { status, stderr } = extcap('install');
    delete env['WIRESHARK_EXTCAP_DIR'];
    expect(stderr).toBe(
      `vale: ${folder}: Not a directory; set WIRESHARK_EXTCAP_DIR, here and for Wireshark, to a folder of yours\n`,
    );
    expect(status).toBe(1);
  });

  test('leaves a file alone that is not ours', () => {
    const [file = ''] = files();
    mkdirSync(extcapFolders(env)[0]!, { recursive: true });
    writeFileSync(file, 'mine');
    for (const action of ['install', 'uninstall']) {
      const { status, stderr } = extcap(action);
      expect(stderr).toBe(
        `vale: ${file} was not written by vale: move it away, so that nothing of yours is lost\n`,
      );
      expect(status).toBe(1);
    }
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});

needs('tshark').test(
  'tshark lists ports and captures from a live one, which loses nothing',
  async () => {
    extcap('install');
    const a = await open('a');
    const b = await open('b');
    const list = spawnSync('tshark', ['-D'], { env, encoding: 'utf8' }).stdout;
    expect(list).toMatch(new RegExp(`^\\d+\\. ${sw}:a \\(VALE port ${sw}:a\\)$`, 'm'));
    expect(list).toMatch(new RegExp(`^\\d+\\. ${sw}:b/rt \\(.*sent and received\\)$`, 'm'));

    const fields = ['-T', 'fields', '-e', 'eth.src', '-e', 'frame.len'];
    const words = [
      '-i',
      `${sw}:a/rt`,
      '-n',
      '-l',
      '-c',
      '3',
      '-f',
      `ether src ${mac(1)}`,
      ...fields,
    ];
    const shark = spawn('tshark', words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    shark.stdout.on('data', (data: Buffer) => (out += data.toString()));
    shark.stderr.on('data', (data: Buffer) => (err += data.toString()));
    const ended = new Promise((resolve) => shark.on('close', resolve));
    const deadline = Date.now() + 20_000;
    while (!runtime.list().some(({ kind }) => kind === 'monitor') && Date.now() < deadline)
      await sleep(20);
    await send(a, frame(ALL, mac(1), 0, 60), frame(ALL, mac(7)), frame(ALL, mac(1), 0, 61));
    await send(b, frame(ALL, mac(2)));
    await send(a, frame(ALL, mac(1), 0, 62));
    expect({ code: await ended, err }).toMatchObject({ code: 0 });
    expect(out).toBe([60, 61, 62].map((length) => `${mac(1)}\t${length}\n`).join(''));
    expect(received(a)).toHaveLength(1);
    expect(received(b)).toHaveLength(4);
    // The capture ends with tshark.
    while (runtime.list().some(({ kind }) => kind === 'monitor') && Date.now() < deadline)
      await sleep(20);
    expect(runtime.list().filter(({ kind }) => kind === 'monitor')).toEqual([]);
  },
  40_000,
);
