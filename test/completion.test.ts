// SPDX-License-Identifier: BSD-2-Clause
// The scripts of `vale completion`, in the shells they are for.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { freshSwitch, vale, Vale } from './support/vale.js';

let folder: string;
let port: Vale;
const sw = freshSwitch();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vale-completion-'));
  symlinkSync(join(packageRoot(), 'bin/vale.js'), join(folder, 'vale'));
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(join(folder, shell), (await vale('completion', shell)).stdout);
  port = await new Vale(['pkt-gen', '-i', `${sw}:a`]).says(/Receiving/);
});

afterAll(async () => {
  await port.stop();
  rmSync(folder, { recursive: true, force: true });
});

function run(shell: string, ...args: string[]): string[] {
  const { stdout, stderr } = spawnSync(shell, args, {
    encoding: 'utf8',
    env: {
      ...process.env,
      HOME: folder,
      PATH: [folder, process.env['PATH']].join(delimiter),
    },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

/** What Tab offers at the end of the line. */
const bash = (line: string): string[] =>
  run(
    'bash',
    '--norc',
    '-c',
    'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _vale; printf "%s\\n" "${COMPREPLY[@]}"',
    'bash',
    join(folder, 'bash'),
    line,
  );

needs('bash').describe('bash', () => {
  test.each([
    ['vale pk', ['pkt-gen']],
    ['vale ', ['pkt-gen', 'bridge', 'ctl', 'completion']],
    ['vale ctl fdb f', ['flush']],
    ['vale ctl st', ['stats']],
    ['vale pkt-gen --du', ['--dump', '--duration']],
    ['vale pkt-gen -f rx', ['rx', 'rxseq']],
    ['vale pkt-gen -i vale0:a -f p', ['ping', 'pong']],
    ['vale pkt-gen -n 5', []],
    ['vale completion ba', ['bash']],
    ['vale-switch ctl inf', ['info']],
  ])('%s', (line, offered) => {
    expect(bash(line)).toEqual(expect.arrayContaining(offered));
    if (offered.length < 3) expect(bash(line)).toHaveLength(offered.length);
  });

  test('names of ports and interfaces there are now', () => {
    expect(bash(`vale pkt-gen -i ${sw}:`)).toEqual(['a']);
    expect(bash(`vale bridge -i vale9:x -i ${sw}:`)).toEqual(['a']);
    expect(bash(`vale ctl info ${sw}:`)).toEqual(['a']);
    expect(bash('vale pkt-gen -i l')).toContain('lo');
  });
});

needs('fish').describe('fish', () => {
  const fish = (line: string) =>
    run(
      'fish',
      ...['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', join(folder, 'fish'), line],
    ).map((offered) => offered.split('\t')[0]);

  test('verbs, options, values and names', () => {
    expect(fish('vale pk')).toEqual(['pkt-gen']);
    expect(fish('vale pkt-gen --dur')).toEqual(['--duration']);
    expect(fish('vale pkt-gen -f pi')).toEqual(['ping']);
    expect(fish(`vale pkt-gen -i ${sw}:`)).toEqual([`${sw}:a`]);
  });
});

needs('zsh').test('zsh: through its bashcompinit', () => {
  const script = 'source $1; COMP_LINE=$2 COMP_POINT=$#2; _vale; print -l -- $COMPREPLY';
  const zsh = (line: string) => run('zsh', '-f', '-c', script, 'zsh', join(folder, 'zsh'), line);
  expect(zsh('vale pkt-gen -f p')).toEqual(expect.arrayContaining(['ping', 'pong']));
  expect(zsh(`vale pkt-gen -i ${sw}:`)).toContain(`${sw}:a`);
});

test('names without a runtime directory are the interfaces, and none is made', async () => {
  const { stdout, code } = await new Vale(['completion', 'names'], {
    VALE_DIR: join(folder, 'none'),
  }).result();
  expect(code).toBe(0);
  expect(stdout.split('\n')).toContain('lo');
});
