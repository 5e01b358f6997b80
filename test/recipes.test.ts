// SPDX-License-Identifier: BSD-2-Clause
// The recipes of docs/recipes.md for hypervisors, as they stand there but for paths and the size of memory: what
// a switch and QEMU make of them. Guests that boot by them are in vm.test.ts.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';

import { packageRoot } from '../src/native.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

const text = readFileSync(join(packageRoot(), 'docs', 'recipes.md'), 'utf8');

/** The code in the section of this heading, by its language. */
function recipe(heading: string, language: string): string {
  const section = text.split(`\n### ${heading}\n`)[1]!.split('\n### ')[0]!;
  return section.split(`\n\`\`\`${language}\n`)[1]!.split('\n```')[0]!;
}

const QEMU = 'qemu-system-x86_64';
/** It runs no instruction: what it does to its network, it has done. */
const STILL = ['-display', 'none', '-S', '-nodefaults', '-m', '64M'];

needs(QEMU).describe('a hypervisor by its recipe', () => {
  let directory: string;
  let folder: string;
  let env: NodeJS.ProcessEnv;
  let running: ChildProcess[];

  beforeEach(() => {
    directory = mkdtempSync(join(process.env['VALE_DIR'] ?? '', 'recipes-'));
    folder = mkdtempSync(join(tmpdir(), 'vale-recipes-'));
    const vale = join(folder, 'vale');
    writeFileSync(
      vale,
      `#!/bin/sh\nexec '${process.execPath}' '${join(packageRoot(), 'bin', 'vale.js')}' "$@"\n`,
    );
    // Who runs this may do what sudo would let them.
    writeFileSync(join(folder, 'sudo'), '#!/bin/sh\nexec env "$@"\n');
    for (const name of ['vale', 'sudo']) chmodSync(join(folder, name), 0o755);
    const path = [folder, process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter);
    env = { ...process.env, VALE_DIR: directory, PATH: path };
    running = [];
  });
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  });

  /** As in the recipe, with paths of this test's and little memory. */
  const here = (words: string) =>
    words.replaceAll(/\/run\/(user\/1000\/)?/g, `${folder}/`).replaceAll(/size=\dG/g, 'size=64M');

  function sh(script: string, args: string[] = [], inside: string[] = []): void {
    const [command = '', ...words] = [...inside, 'sh', '-euc', script, 'sh', ...args];
    const { status, stderr } = spawnSync(command, words, { env, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }

  function qemu(words: string[], inside: string[] = []): void {
    const [command = '', ...rest] = [...inside, QEMU, ...STILL, ...words];
    running.push(spawn(command, rest, { stdio: 'inherit' }));
  }

  interface Row {
    name: string;
    interface: { link: boolean } | null;
  }
  const linked = (name: string) =>
    expect
      .poll(
        async () => {
          const { stdout } = await new Vale(['ctl', '--json'], env).result();
          const { ports } = JSON.parse(stdout) as { ports: Row[] };
          return ports.find((row) => row.name === name)?.interface?.link;
        },
        { timeout: 10_000 },
      )
      .toBe(true);

  needs(QEMU).test("Proxmox's hook serves what its line of arguments asks for", async () => {
    const hook = here(recipe('Proxmox', 'sh'));
    sh(hook, ['101', 'pre-start']);
    qemu(here(recipe('Proxmox', 'text')).replace('args: ', '').split(' '));
    await linked('vale0:vm101');
    sh(hook, ['101', 'post-stop']);
    const { stdout } = await new Vale(['ctl', '--json'], env).result();
    expect((JSON.parse(stdout) as { ports: Row[] }).ports).toEqual([]);
  });

  needs(QEMU, ...labTools(), 'user namespaces').test(
    "Firecracker's TAP device is a port, and up with who opens it",
    async () => {
      const lab = await Lab.open();
      try {
        const script = recipe('Firecracker', 'sh').replace('"$XDG_RUNTIME_DIR/vale"', directory);
        sh(script.replace('"$USER"', '0'), [], lab.inside);
        const tap = 'tap,id=n1,ifname=tap1,script=no,downscript=no';
        qemu(['-netdev', tap, '-device', 'virtio-net-pci,netdev=n1'], lab.inside);
        await linked('vale0:tap1');
      } finally {
        await new Vale(['ctl', '-d', 'vale0:tap1'], env).result();
        lab.close();
      }
    },
  );

  // As a user who is not root, whose libvirt is a session.
  needs(QEMU, 'virsh', 'libvirtd', 'unshare', 'user namespaces').test(
    "libvirt's session makes a machine of its recipe",
    async () => {
      const domain = join(folder, 'domain.xml');
      const [memory, ...device] = here(recipe('libvirt', 'xml')).split('\n');
      writeFileSync(
        domain,
        `<domain type='qemu'><name>vm1</name><memory unit='MiB'>64</memory>${memory}
         <os><type arch='x86_64' machine='q35'>hvm</type></os>
         <devices>${device.join('\n')}</devices></domain>`,
      );
      sh(`vale ctl -a vale0:vm1 --vhost-user ${folder}/vm1.sock`);
      const script = `libvirtd 2>"$HOME/said" & daemon=$!
        until [ -S "$HOME/libvirt/libvirt-sock" ]; do sleep 0.05; done
        virsh -q -c qemu:///session create --validate --paused ${domain}
        read -r end || virsh -q -c qemu:///session destroy vm1
        kill $daemon; wait`;
      const user = ['-U', '--map-user=1000', '--map-group=1000', '--', 'sh', '-c', script];
      const libvirt = spawn('unshare', user, {
        env: { ...env, HOME: folder, XDG_RUNTIME_DIR: folder },
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      running.push(libvirt);
      await linked('vale0:vm1');
      libvirt.stdin.end();
      await once(libvirt, 'close');
      sh('vale ctl -d vale0:vm1');
    },
    30_000,
  );
});
