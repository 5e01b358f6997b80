// SPDX-License-Identifier: BSD-2-Clause
// `vale doctor` on this machine: what it finds, what it advises, and that it changes nothing.
import {
  chmodSync,
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
import type { Check } from '../src/session/doctor.js';
import { violations } from './support/json-schema.js';
import { onTerminal } from './support/pty.js';
import { Vale } from './support/vale.js';

interface Report {
  ready: boolean;
  checks: Check[];
}

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

test.each([
  [
    'everybody may write it',
    (at: string) => {
      mkdirSync(at);
      chmodSync(at, 0o777);
    },
    /^chmod 700 /,
  ],
  ['a symbolic link is not followed', (at: string) => symlinkSync('/tmp', at), /^rm /],
  ['it is no directory', (at: string) => writeFileSync(at, ''), /VALE_DIR/],
])(
  'a directory that cannot be used: %s: exit code 3 and the command that mends it',
  async (why, make, mend) => {
    const directory = join(base, 'run');
    make(directory);
    const { code, of } = await look(directory);
    expect(code).toBe(3);
    expect(of('directory')).toMatchObject({ verdict: 'missing', matters: why });
    expect(of('directory')?.mend).toMatch(mend);
  },
);

test('another layout is told, with the command', async () => {
  writeFileSync(join(base, 'control'), 'VControl\xff\0\0\0\0\0\0\0', 'latin1');
  const { code, of } = await look(base);
  expect(code).toBe(3);
  expect(of('contents')?.found).toContain('layout 255');
  expect(of('contents')?.mend).toContain(`rm -r ${base}`);
});

test('piped, a line a check; on a terminal, a table', async () => {
  const { stdout } = await doctor(base);
  for (const line of stdout.trimEnd().split('\n'))
    expect(line).toMatch(/^(good|limited|missing) [a-z_]+ \S/);
  const { screen, status } = onTerminal(
    [process.execPath, join(packageRoot(), 'bin/vale.js'), 'doctor'],
    { env: { VALE_DIR: base, NO_COLOR: '1' } },
  );
  expect(status).toBe(0);
  expect(screen).toMatch(/^good +Node\.js +v\d/m);
});
