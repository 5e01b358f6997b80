// SPDX-License-Identifier: BSD-2-Clause
// Virtual machines as ports: what a user sees of them before one has come.
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { Runtime } from '../src/index.js';
import { violations } from './support/json-schema.js';
import { Vale } from './support/vale.js';

const schema = JSON.parse(
  readFileSync(join(packageRoot(), 'docs', 'schema', 'ctl.json'), 'utf8'),
) as Parameters<typeof violations>[1];

describe('virtual machines as ports', () => {
  let directory: string;
  let folder: string;
  beforeAll(() => {
    directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'vhost-'));
    folder = mkdtempSync(join(tmpdir(), 'vale-vhost-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  });

  const ctl = (...args: string[]) => new Vale(['ctl', ...args], { VALE_DIR: directory }).result();
  async function good(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await ctl(...args);
    expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
    return stdout;
  }
  const socket = (name: string) => join(folder, name);

  test('a socket waits until its port is detached', async () => {
    await good('-a', 'vale0:vm1', '--vhost-user', socket('a.sock'));
    expect(lstatSync(socket('a.sock')).isSocket()).toBe(true);
    expect(lstatSync(socket('a.sock')).mode & 0o077).toBe(0);
    const json = JSON.parse(await good('--json')) as {
      ports: { name: string; header_bytes: number; interface: Record<string, unknown> }[];
    };
    expect(violations(json, schema, 'snapshot')).toEqual([]);
    expect(json.ports[0]).toMatchObject({
      name: 'vale0:vm1',
      header_bytes: 12,
      interface: {
        name: 'vm1',
        backend: 'vhost-user',
        socket: socket('a.sock'),
        up: true,
        link: false,
      },
    });
    expect(await good('log', 'vale0:vm1')).toMatch(/serving the virtual machine at .*a\.sock/);
    await good('-d', 'vale0:vm1');
    expect(existsSync(socket('a.sock'))).toBe(false);
  });

  test('attach is the same as -a, and so is the library, with a path from here', async () => {
    await good('attach', 'vale0:vm2', '--vhost-user', socket('b.sock'), '-C', '512,512,4,4');
    expect(await good('-g', 'vale0:vm2')).toMatch(/tx_rings: +4\n/);
    await good('detach', 'vale0:vm2');
    const runtime = new Runtime(directory);
    runtime.attach('vale0:vm3', { vhostUser: socket('c.sock'), client: true });
    expect(runtime.agents()).toMatchObject([{ socket: socket('c.sock'), state: { link: false } }]);
    runtime.detach('vale0:vm3');
    runtime.close();
  });

  test('what cannot be is told in one line', async () => {
    writeFileSync(socket('file'), '');
    const long = join(folder, 'x'.repeat(108));
    await good('-a', 'vale0:vm4', '--vhost-user', socket('d.sock'));
    const cases: [number, RegExp, ...string[]][] = [
      [1, /file: there is a file that is no socket; give another path/, socket('file')],
      [1, /expected an absolute path of at most 107 bytes for a socket/, long],
      [1, /another process listens there; give another path/, socket('d.sock')],
      [1, /its folder is not there; make it: mkdir -p \/nowhere\/at\)/, '/nowhere/at/all'],
      [1, /file: there is a file that is no socket; give another path/, socket('file'), '--client'],
      [2, /--shared is a network interface's: it does not go with/, 'x', '--shared'],
      [2, /--netns is a network interface's/, 'x', '--netns', 'n'],
    ];
    for (const [code, text, ...rest] of cases) {
      const said = await ctl('-a', 'vale0:vm5', '--vhost-user', ...rest);
      expect(said, rest.join(' ')).toMatchObject({ code, stdout: '' });
      expect(said.stderr).toMatch(text);
      expect(said.stderr.trimEnd()).not.toContain('\n');
    }
    // Who has that socket has noticed nothing.
    expect(await good('log', 'vale0:vm4')).not.toMatch(/connected/);
    expect(await ctl('-a', 'vale0:vm5', '--client')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--client goes with --vhost-user') as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--stream', 'x', '--vhost-user', 'y')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('two ways to one virtual machine') as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--stream', socket('s'), '-C', '64,64,2')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'without shared memory there is one queue in each direction',
      ) as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--stream', 'x', '--remote', 'y')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--remote goes with --dgram') as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--dgram', 'x', '--client')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--client goes with --vhost-user or --stream') as unknown,
    });
    expect(await ctl('-h', 'vale0:vm5', '--vhost-user', 'x')).toMatchObject({ code: 2 });
    expect(await ctl('-d', 'vale0:vm4', '--vhost-user', 'x')).toMatchObject({ code: 2 });
    expect(await new Vale(['demo', 'image', '--seconds', '3']).result()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--seconds goes with vm, not with image') as unknown,
    });
    await good('-n', 'p0');
    expect(await ctl('-a', 'vale0:p0', '--vhost-user', socket('e.sock'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('p0 is a persistent port') as unknown,
    });
    await good('-r', 'p0');
    await good('-d', 'vale0:vm4');
  }, 60_000);

  test('a name that is too long, and its own socket as the remote one, are typed wrong', async () => {
    expect(await ctl('-a', `vale0:${'m'.repeat(16)}`, '--vhost-user', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "the port's name has 16 characters; use at most 15",
      ) as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--vhost-user', 'folder/')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('expected the path of a socket for --vhost-user') as unknown,
    });
    expect(await ctl('-a', 'vale0:vm5', '--dgram', 'x', '--remote', './x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is the socket of --dgram itself') as unknown,
    });
  });

  test('why there is no connection is in the log, a line each', async () => {
    const log = async (port: string) => (await good('log', port)).trimEnd().split('\n');
    await good('-a', 'vale0:c1', '--vhost-user', socket('later'), '--client');
    await good('-a', 'vale0:c2', '--dgram', socket('own'), '--remote', socket('later'));
    await good('-a', 'vale0:c3', '--vhost-user', socket('two\nlines'));
    for (const port of ['vale0:c1', 'vale0:c2'])
      await expect
        .poll(() => log(port), { timeout: 10_000 })
        .toEqual([
          expect.stringContaining('serving the virtual machine'),
          expect.stringMatching(/later: not connected yet: No such file or directory/),
        ]);
    expect(await log('vale0:c3')).toHaveLength(1);
    for (const port of ['c1', 'c2', 'c3']) await good('-d', `vale0:${port}`);
  });

  test('a socket that is removed is made again, and told when it cannot be', async () => {
    const inner = join(folder, 'inner');
    mkdirSync(inner);
    const link = async (port: string) => {
      const { ports } = JSON.parse(await good('--json')) as {
        ports: { name: string; interface: Record<string, unknown> }[];
      };
      return ports.find(({ name }) => name === port)!.interface;
    };
    const kinds = ['vhost-user', 'stream', 'dgram'];
    for (const kind of kinds) await good('-a', `vale0:${kind}`, `--${kind}`, join(inner, kind));
    const met = createConnection(join(inner, 'stream'));
    await once(met, 'connect');
    for (const kind of kinds) rmSync(join(inner, kind));
    for (const kind of kinds) {
      await expect.poll(() => existsSync(join(inner, kind)), { timeout: 10_000 }).toBe(true);
      await expect
        .poll(() => good('log', `vale0:${kind}`))
        .toMatch(/the socket's file was removed, and is there again/);
    }
    // Who was met before is served still, and the next one finds the socket, and is told of while it waits.
    expect(await link('vale0:stream')).toMatchObject({ link: true, another_waits: false });
    const next = createConnection(join(inner, 'stream'));
    await once(next, 'connect');
    await expect
      .poll(() => link('vale0:stream'), { timeout: 10_000 })
      .toMatchObject({ link: true, another_waits: true });
    expect(await good('log', 'vale0:stream')).toMatch(/another machine wants to connect/);
    met.destroy();
    await expect
      .poll(() => link('vale0:stream'), { timeout: 10_000 })
      .toMatchObject({ link: true, link_downs: 1, another_waits: false });
    next.destroy();
    rmSync(inner, { recursive: true });
    for (const kind of kinds) {
      await expect
        .poll(() => link(`vale0:${kind}`), { timeout: 10_000 })
        .toMatchObject({ unreachable: true });
      expect((await good('log', `vale0:${kind}`)).trimEnd().split('\n').at(-1)).toContain(
        `cannot be made again: ${join(inner, kind)}: its folder is not there; make it: mkdir -p ${inner}; tried`,
      );
    }
    mkdirSync(inner);
    for (const kind of kinds) {
      await expect
        .poll(() => link(`vale0:${kind}`), { timeout: 10_000 })
        .toMatchObject({ unreachable: false });
      await good('-d', `vale0:${kind}`);
      expect(existsSync(join(inner, kind))).toBe(false);
    }
  }, 60_000);

  test('one process serves several that name it', async () => {
    const attach = (vm: string, ...more: string[]) =>
      ctl('-a', `vale0:${vm}`, '--vhost-user', socket(vm), '--agent', 'vms', ...more);
    const processes = async () => {
      const { ports } = JSON.parse(await good('--json')) as {
        ports: { name: string; interface: { agent: string; process_id: number } }[];
      };
      return new Map(ports.map((port) => [port.name, port.interface]));
    };
    // At once: who comes first is not known.
    const all = ['vm1', 'vm2', 'vm3'];
    for (const { code, stderr } of await Promise.all(all.map((vm) => attach(vm))))
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const first = await processes();
    expect([...first.keys()].sort()).toEqual(all.map((vm) => `vale0:${vm}`));
    expect(new Set([...first.values()].map((one) => one.process_id)).size).toBe(1);
    expect(first.get('vale0:vm1')!.agent).toBe('vms');
    for (const vm of all)
      expect(await good('log', `vale0:${vm}`)).toMatch(
        new RegExp(`^[^\\n]* vale0:${vm}: serving the virtual machine at [^\\n]*\\n$`),
      );
    await good('-d', 'vale0:vm2');
    expect([...(await processes()).keys()].sort()).toEqual(['vale0:vm1', 'vale0:vm3']);
    const pid = first.get('vale0:vm1')!.process_id;
    process.kill(pid, 'SIGKILL');
    // Noticed at the first look after its end.
    let told = '';
    await expect
      .poll(async () => (told += (await ctl()).stderr), { timeout: 5000 })
      .toContain('vale0:vm3: its agent was killed');
    expect(told).toContain('vale0:vm1: its agent was killed');
    expect(await ctl('-a', 'vale0:vm1', '--agent', 'vms')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--agent goes with --vhost-user') as unknown,
    });
    expect(await attach('vm1', '--agent', 'a b')).toMatchObject({ code: 2 });
  });
});
