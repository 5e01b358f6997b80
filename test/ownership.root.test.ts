// SPDX-License-Identifier: BSD-2-Clause
/** What needs root: working in another user's runtime directory, and interfaces of real namespaces. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { Vale } from './support/vale.js';

// A user other than root who may read this checkout: its owner, or nobody when root owns it.
const owner = statSync(packageRoot());
const NOBODY = owner.uid === 0 ? 65534 : owner.uid;
const GROUP = owner.uid === 0 ? 65534 : owner.gid;
const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${GROUP}`, '--clear-groups', '--'];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/vale-root-');
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

needs('root', 'setpriv').describe("in another user's directory", () => {
  test('root is a port beside its owner, and every file is the owner’s', async () => {
    chownSync(directory, NOBODY, GROUP);
    const env = { VALE_DIR: directory, HOME: '/' };
    const receiver = new Vale(['pkt-gen', '-i', 'vale0:r', '-n', '1000'], env);
    await receiver.says(/Receiving from/);
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).uid, name).toBe(NOBODY);
    }
    const sender = new Vale(
      ['pkt-gen', '-i', 'vale0:s', '-f', 'tx', '-n', '1000', '-R', '10000'],
      env,
      asNobody,
    );
    expect((await sender.result()).code).toBe(0);
    const got = await receiver.result();
    expect(got.code).toBe(0);
    expect(got.stdout).toMatch(/Received 1000 packets/);
  });

  test('somebody who is neither gets one line', async () => {
    chmodSync(directory, 0o700);
    const outsider = new Vale(['ctl'], { VALE_DIR: directory, HOME: '/' }, asNobody);
    const { code, stderr } = await outsider.result();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^vale: .*(Permission denied|not to you).*\n$/);
  });
});

needs('root', 'ip', 'ping').test(
  'two namespaces ping each other over a switch that bridges join to their interfaces',
  async () => {
    const tag = process.pid.toString(36);
    const hosts = ['a', 'b'].map((side, i) => ({
      space: `vale-${side}-${tag}`,
      port: `v${side}${tag}`,
      address: `10.99.7.${i + 1}`,
    }));
    const ip = (...words: string[]) => execFileSync('ip', words, { stdio: 'pipe' });
    const bridges: Vale[] = [];
    try {
      for (const { space, port, address } of hosts) {
        ip('netns', 'add', space);
        ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
        ip('link', 'set', port, 'up');
        ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
        ip('-n', space, 'link', 'set', 'eth0', 'up');
        const bridge = new Vale(['bridge', '-w', '0', '-i', port, '-i', `vale0:to-${port}`], {
          VALE_DIR: directory,
        });
        bridges.push(bridge);
        await bridge.says(/Ready to go/);
      }
      const [a, b] = hosts as [(typeof hosts)[0], (typeof hosts)[0]];
      const said = execFileSync('ip', [
        'netns',
        'exec',
        a.space,
        'ping',
        '-c',
        '3',
        '-W',
        '5',
        b.address,
      ]);
      expect(said.toString()).toMatch(/ 0% packet loss/);
    } finally {
      for (const bridge of bridges) bridge.process.kill('SIGTERM');
      for (const bridge of bridges) expect((await bridge.result()).code).toBe(0);
      for (const { space } of hosts) ip('netns', 'del', space);
    }
  },
);
