// SPDX-License-Identifier: BSD-2-Clause
// The scripts of `vale completion`, in the shells they are for.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Config } from '@oclif/core/config';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { NAMED } from '../src/session/completion.js';
import { Lab, labTools } from './support/lab.js';
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

function run(command: string[], more: NodeJS.ProcessEnv = {}): string[] {
  const [program = '', ...args] = command;
  const { stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: {
      ...process.env,
      HOME: folder,
      PATH: [folder, process.env['PATH']].join(delimiter),
      ...more,
    },
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

/** What Tab offers at the end of the line. */
const bash = (line: string, more?: NodeJS.ProcessEnv, inside: string[] = []): string[] =>
  run(
    [
      ...inside,
      ...['bash', '--norc', '-c'],
      'source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _vale; printf "%s\\n" "${COMPREPLY[@]}"',
      ...['bash', join(folder, 'bash'), line],
    ],
    more,
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
    ['vale completion n', []],
    ['vale pkt-gen --function=pi', ['ping']],
    ['vale ctl -n ', []],
    ['vale-switch ctl inf', ['info']],
    ['vale   ctl  fdb   f', ['flush']],
    ['vale  completion   ', ['bash', 'zsh', 'fish']],
    ['vale nosuch ', []],
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
    run([
      ...['fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]'],
      ...[join(folder, 'fish'), line],
    ]).map((offered) => offered.split('\t')[0]);

  test('verbs, options, values and names', () => {
    expect(fish('vale pk')).toEqual(['pkt-gen']);
    expect(fish('vale pkt-gen --dur')).toEqual(['--duration']);
    expect(fish('vale pkt-gen -f pi')).toEqual(['ping']);
    expect(fish(`vale pkt-gen -i ${sw}:`)).toContain(`${sw}:a`);
    expect(fish('vale ctl -a vale')).toContain(`${sw}:`);
    expect(fish(`vale ctl -d ${sw}:`)).toEqual([]);
  });
});

needs('zsh').test('zsh: through its bashcompinit', () => {
  const script = 'source $1; COMP_LINE=$2 COMP_POINT=$#2; _vale; print -l -- $COMPREPLY';
  const zsh = (line: string) => run(['zsh', '-f', '-c', script, 'zsh', join(folder, 'zsh'), line]);
  expect(zsh('vale pkt-gen -f p')).toEqual(expect.arrayContaining(['ping', 'pong']));
  expect(zsh(`vale pkt-gen -i ${sw}:`)).toContain(`${sw}:a`);
  expect(zsh('vale pkt-gen --function=pi')).toContain('--function=ping');
  expect(zsh('vale ctl -a vale')).toContain(`${sw}:`);
});

test('what the scripts ask for is no shell, and is not told of', async () => {
  const { code, stderr } = await vale('completion', 'sh');
  expect([code, stderr]).toEqual([
    2,
    'vale: expected one of bash, zsh, fish for SHELL but received sh\n',
  ]);
  expect((await vale('completion', '--help')).stdout).not.toMatch(/names [A-Z]|\|names/);
});

test('each option and argument that is said to name something exists', async () => {
  const config = await Config.load(packageRoot());
  for (const [id, named] of Object.entries(NAMED)) {
    const command = config.commands.find((one) => one.id === id);
    expect(command, id).toBeDefined();
    for (const name of Object.keys(named))
      expect({ ...command!.flags, ...command!.args }, `${id} ${name}`).toHaveProperty(name);
  }
});

test('names without a runtime directory are the interfaces, and none is made', async () => {
  const directory = join(folder, 'none');
  const { stdout, code } = await new Vale(['completion', 'names', 'ports'], {
    VALE_DIR: directory,
  }).result();
  expect(code).toBe(0);
  expect(stdout.split('\n')).toContain('lo');
  expect(existsSync(directory)).toBe(false);
});

needs('bash', ...labTools()).describe('where interfaces can be attached', () => {
  needs('user namespaces').describe('bash offers what fits', () => {
    let lab: Lab;
    let directory: string;
    const inLab = (line: string, ...inside: string[]) =>
      bash(line, { VALE_DIR: directory }, [...lab.inside, ...inside]);
    beforeAll(async () => {
      lab = await Lab.open();
      directory = mkdtempSync('/dev/shm/vale-completion-');
      for (const name of ['cp1', 'cp2'])
        await lab.must(`ip link add ${name} type veth peer name ${name}p`);
      for (const args of [
        ['-a', 'vale0:cp1'],
        ['-a', 'vale0:vm1', '--vhost-user', join(directory, 'vm1.sock'), '--agent', 'vms'],
        ['-n', 'kept'],
        ['-n', 'kept2'],
        ['-a', 'vale0:kept2'],
      ]) {
        const run = new Vale(['ctl', ...args], { VALE_DIR: directory }, lab.inside);
        expect(await run.result()).toMatchObject({ code: 0, stderr: '' });
      }
    });
    afterAll(async () => {
      for (const name of ['vale0:cp1', 'vale0:vm1'])
        await new Vale(['ctl', '-d', name], { VALE_DIR: directory }, lab.inside).result();
      lab.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test.each([
      ['vale ctl -a ', ['vale0:']],
      ['vale ctl -a vale0:', ['cp1p', 'cp2', 'cp2p', 'kept']],
      ['vale ctl attach vale7:c', ['cp1p', 'cp2', 'cp2p']],
      ['vale ctl attach vale0:cp2 --ne', ['--netns']],
      ['vale ctl -d ', ['vale0:cp1', 'vale0:kept2', 'vale0:vm1']],
      ['vale ctl detach vale0:c', ['cp1']],
      ['vale ctl -r ', ['kept']],
      ['vale ctl -p ', ['vale0:cp1', 'vale0:vm1']],
      ['vale ctl log ', ['vale0:cp1', 'vale0:vm1']],
      ['vale ctl attach vale0:vm2 --agent ', ['vms']],
      ['vale ctl fdb flush ', ['vale0:']],
      ['vale ctl stats k', []],
      ['vale pkt-gen -i c', ['cp1p', 'cp2', 'cp2p']],
    ])('%s', (line, offered) => {
      expect(inLab(line).sort()).toEqual(offered);
    });

    test('names of network namespaces', () => {
      const script =
        'mount -t tmpfs none /run && mkdir /run/netns && touch /run/netns/blue && exec "$@"';
      const elsewhere = ['unshare', '-m', 'sh', '-ec', script, 'sh'];
      expect(inLab('vale ctl attach vale0:eth0 --netns ', ...elsewhere)).toEqual(['blue']);
      expect(inLab('vale ctl -a vale0:eth0 --netns=b', ...elsewhere)).toEqual(['blue']);
    });
  });
});
