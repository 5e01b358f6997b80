// SPDX-License-Identifier: BSD-2-Clause
// `vale doctor` on this machine: what it finds, what it advises, and that it changes nothing.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import type { Check } from '../src/session/doctor-check.js';
import { Lab } from './support/lab.js';
import { needs } from './support/need.js';
import { violations } from './support/json-schema.js';
import { onTerminal } from './support/pty.js';
import { Vale } from './support/vale.js';

interface Report {
  ready: boolean;
  checks: Check[];
}

const vale = join(packageRoot(), 'bin/vale.js');
let base: string;

beforeEach(() => {
  base = mkdtempSync('/dev/shm/vale-doctor-');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function doctor(directory: string, ...args: string[]) {
  return new Vale(['doctor', ...args], { VALE_DIR: directory }).result();
}

async function look(directory: string) {
  const { code, stdout } = await doctor(directory, '--json');
  const report = JSON.parse(stdout) as Report;
  return { code, report, of: (id: string) => report.checks.find((check) => check.id === id) };
}

test('a machine that is good for switch ports: exit code 0, as the schema says, nothing made', async () => {
  const directory = join(base, 'new');
  const { code, report, of } = await look(directory);
  const schema = JSON.parse(
    readFileSync(join(packageRoot(), 'docs/schema/doctor.json'), 'utf8'),
  ) as never;
  expect(violations(report, schema, 'doctor')).toEqual([]);
  expect({ code, ready: report.ready }).toEqual({ code: 0, ready: true });
  expect(of('addon')?.found).toContain('vale.node');
  expect(of('directory')?.found).toContain('made when it is needed');
  expect(existsSync(directory)).toBe(false);
});

test('without an addon, what else is missing is told as it is', () => {
  const place = join(base, 'package');
  mkdirSync(place);
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(packageRoot(), part), join(place, part), { recursive: true });
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(place, 'bin/vale.js'), 'doctor', '--json'],
    { encoding: 'utf8', env: { ...process.env, VALE_DIR: base, VALE_DEVICE: 'kernel' } },
  );
  const { checks } = JSON.parse(stdout) as Report;
  expect(status).toBe(3);
  expect(checks.filter(({ verdict }) => verdict === 'missing').map(({ id }) => id)).toEqual(
    existsSync('/dev/netmap') ? ['addon'] : ['addon', 'netmap'],
  );
});

test('an addon that node was told not to load', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--no-addons', join(packageRoot(), 'bin/vale.js'), 'doctor', '--json'],
    { encoding: 'utf8', env: { ...process.env, VALE_DIR: base } },
  );
  const { checks } = JSON.parse(stdout) as Report;
  expect(status).toBe(3);
  expect(checks.find(({ id }) => id === 'addon')).toMatchObject({
    verdict: 'missing',
    mend: 'run it without --no-addons, in $NODE_OPTIONS too',
  });
});

needs('user namespaces').test('without /proc', () => {
  const doctor = [process.execPath, join(packageRoot(), 'bin/vale.js'), 'doctor', '--json'];
  const { status, stderr, stdout } = spawnSync(
    'unshare',
    ['-Urm', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh', ...doctor],
    { encoding: 'utf8', env: { ...process.env, VALE_DIR: base } },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { checks } = JSON.parse(stdout) as Report;
  expect(checks.find(({ id }) => id === 'huge_pages')?.found).toMatch(/cannot tell/);
});

test('what a killed process left is told, and left alone', async () => {
  const victim = await new Vale(['pkt-gen', '-i', 'vale0:a'], { VALE_DIR: base }).says(/Receiving/);
  expect((await look(base)).of('contents')?.found).toMatch(/of 1 process$/);
  await victim.stop('SIGKILL');
  for (let again = 0; again < 2; again += 1)
    expect((await look(base)).of('contents')).toMatchObject({
      verdict: 'limited',
      mend: 'vale ctl',
    });
});

/** Makes of a path that is not there yet what cannot be used, or can. */
const places: [what: string, make: (at: string) => void, matters: RegExp | undefined][] = [
  ['nothing yet', () => undefined, undefined],
  ['an empty directory', (at) => mkdirSync(at, { mode: 0o700 }), undefined],
  [
    'one that everybody may write',
    (at) => {
      mkdirSync(at);
      chmodSync(at, 0o777);
    },
    /^it may be written by everybody/,
  ],
  [
    'one like /tmp',
    (at) => {
      mkdirSync(at);
      chmodSync(at, 0o1777);
    },
    /^it may be written by everybody/,
  ],
  ['a symbolic link', (at) => symlinkSync('/tmp', at), /^it is a symbolic link/],
  ['a file', (at) => writeFileSync(at, ''), /^it is not a directory/],
  [
    'one of something else',
    (at) => {
      mkdirSync(at, { mode: 0o700 });
      writeFileSync(join(at, 'thesis.tex'), '');
    },
    /^it holds other files \(thesis\.tex\)/,
  ],
  [
    'one with a planted lock',
    (at) => {
      mkdirSync(at, { mode: 0o700 });
      symlinkSync('/etc/passwd', join(at, 'lock'));
    },
    /lock: it is a symbolic link/,
  ],
  [
    'another layout',
    (at) => {
      mkdirSync(at, { mode: 0o700 });
      writeFileSync(join(at, 'control'), Buffer.from(`VControl\xff${'\0'.repeat(9000)}`, 'latin1'));
    },
    /^two versions/,
  ],
  [
    'a damaged control file',
    (at) => {
      mkdirSync(at, { mode: 0o700 });
      writeFileSync(join(at, 'control'), 'VControl');
    },
    /^nothing can use it/,
  ],
];

test.each(places)(
  'a runtime directory, %s: good exactly if vale ctl takes it, and it does after what mends it',
  async (_what, make, matters) => {
    const directory = join(base, 'run');
    make(directory);
    const { code, report, of } = await look(directory);
    const found = [of('directory'), of('contents')].find((check) => check?.verdict === 'missing');
    expect(found?.matters ?? '').toMatch(matters ?? /^$/);
    expect({ code, ready: report.ready }).toEqual({
      code: matters ? 3 : 0,
      ready: matters === undefined,
    });
    const ctl = () => new Vale(['ctl'], { VALE_DIR: directory }).result();
    expect((await ctl()).code).toBe(matters ? 1 : 0);
    if (found === undefined) return;
    const mend = found.mend!.replace(/^stop what uses it, then: /, '');
    const { stdout, stderr, status } = spawnSync(
      'sh',
      ['-euc', `${mend}; "$0" "$1" ctl; echo "$VALE_DIR"`, process.execPath, vale],
      { env: { ...process.env, VALE_DIR: directory }, encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([0, '']);
    if (stdout.trim() !== directory) rmSync(stdout.trim(), { recursive: true });
  },
);

test('a directory whose place is not there, or is not yours', async () => {
  const { code, of } = await look(join(base, 'no/such/place'));
  expect(code).toBe(3);
  expect(of('directory')).toMatchObject({
    verdict: 'missing',
    matters: expect.stringMatching(/No such file or directory$/) as string,
    mend: 'export VALE_DIR=$(mktemp -d /dev/shm/vale-XXXXXX)',
  });
  expect((await look('/etc')).of('directory')).toMatchObject({ verdict: 'missing' });
});

needs('unshare').test(
  'in a user namespace: nftables takes interfaces over, as it says',
  async () => {
    const lab = await Lab.open();
    try {
      const env = { VALE_DIR: base };
      const run = async (...args: string[]) => new Vale(args, env, lab.inside).result();
      const { stdout } = await run('doctor', '--json');
      const { checks } = JSON.parse(stdout) as Report;
      const of = (id: string) => checks.find((check) => check.id === id);
      expect(of('user_namespaces')?.found).toBe('this is one');
      expect(of('nftables')).toMatchObject({ verdict: 'good', found: 'works' });
      expect(of('tcx')).toMatchObject({ verdict: 'limited' });
      expect(of('tcx')?.matters).toMatch(/taken over by nftables instead/);
      expect(of('af_xdp')).toMatchObject({ verdict: 'limited' });
      await lab.must('ip link add dr0 type veth peer name dr1');
      expect(await run('ctl', '-a', 'vale0:dr0')).toMatchObject({ code: 0, stderr: '' });
      const listed = JSON.parse((await run('ctl', 'list', '--json')).stdout) as {
        ports: { interface: { take_over: string } }[];
      };
      expect(listed.ports.map((port) => port.interface.take_over)).toEqual(['nftables']);
      expect(await run('ctl', '-d', 'vale0:dr0')).toMatchObject({ code: 0 });
    } finally {
      lab.close();
    }
  },
  30_000,
);

test('piped, a line a check; on a terminal, a table', async () => {
  const { stdout } = await doctor(base);
  for (const line of stdout.trimEnd().split('\n'))
    expect(line).toMatch(/^(good|limited|missing) [a-z_]+ \S/);
  const { screen, status } = onTerminal([process.execPath, vale, 'doctor'], {
    env: { VALE_DIR: base, NO_COLOR: '1' },
  });
  expect(status).toBe(0);
  expect(screen).toMatch(/^good +Node\.js +v\d/m);
});
