// SPDX-License-Identifier: BSD-2-Clause
// How the service of an attached interface ends, what of, and that nothing is left of it.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

import { labTools } from './support/lab.js';
import { needs } from './support/need.js';
import {
  ctl,
  directory,
  failure,
  gone,
  good,
  lab,
  look,
  pid,
  useOwnLab,
  vale,
} from './support/own-lab.js';
import { freshSwitch } from './support/vale.js';

/** A host's interface, attached, and what was there before. */
async function attachedHost(host: string, address: string) {
  await lab.host(host, address);
  const before = await look(host);
  const files = readdirSync(directory);
  const name = `${freshSwitch()}:${host}`;
  await good('-a', name);
  return { before, files, name, process_: await pid(name) };
}

/** An interface that leads nowhere, up and attached. */
async function attachedVeth(veth: string) {
  await lab.must(`ip link add ${veth} type veth peer name ${veth}peer`);
  await lab.must(`ip link set ${veth} up`);
  const name = `${freshSwitch()}:${veth}`;
  await good('-a', name);
  return { name, process_: await pid(name) };
}

needs(...labTools('tc')).describe('the end of attached interfaces', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    useOwnLab();

    test('detached, an interface is as it was, and nothing is left', async () => {
      const { before, files, name, process_ } = await attachedHost('ag3', '10.8.3.1/24');
      expect(await good('-d', name, '-v')).toBe('port_index: 0\n');
      expect(await look('ag3')).toBe(before);
      expect(await good('list')).not.toContain(':ag3');
      expect(readdirSync(directory)).toEqual(files);
      await gone(process_);
      expect(await failure('-d', name)).toContain(
        'No such device or address (ag3, a network interface, is attached to no switch)',
      );
    });

    test('SIGTERM detaches, and is nothing to report; other signals do nothing', async () => {
      const { before, files, name, process_ } = await attachedHost('ag4', '10.8.4.1/24');
      for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const)
        process.kill(process_, signal);
      await sleep(50);
      expect(await pid(name)).toBe(process_);
      process.kill(process_, 'SIGTERM');
      await gone(process_);
      expect(readdirSync(directory)).toEqual(files);
      expect(await look('ag4')).toBe(before);
      expect(await good('list')).not.toContain(':ag4');
    });

    test('a killed agent is noticed, told of once, and cleaned up after', async () => {
      const { before, files, name, process_ } = await attachedHost('ag5', '10.8.5.1/24');
      process.kill(process_, 'SIGKILL');
      await gone(process_);
      const { code, stdout, stderr } = await ctl('list');
      expect(code).toBe(0);
      expect(stdout).not.toContain(':ag5');
      expect(stderr).toMatch(
        /^vale: \S+:ag5: its agent was killed \(noticed at [\d:]+\), so it left its switch; its log: vale ctl log \S+:ag5\n$/,
      );
      expect(await look('ag5')).toBe(before);
      await good('list');
      expect(await good('log', name)).toContain('serving interface ag5');
      expect(readdirSync(directory)).toEqual(files);
      expect(await failure('log', name)).toContain('No such device or address');
      await good('-a', name);
      const follow = await vale('ctl', 'log', name, '--follow').says(/serving/);
      process.kill(await pid(name), 'SIGKILL');
      expect(await follow.result()).toMatchObject({
        code: 0,
        stderr: expect.stringMatching(/:ag5: its agent was killed /),
      });
      expect(await good('log', name)).toContain('serving interface ag5');
      expect(readdirSync(directory)).toEqual(files);
    });

    test('an interface that is removed ends its agent, which says why', async () => {
      const { name, process_ } = await attachedVeth('ag6');
      await lab.must('ip link del ag6');
      await gone(process_);
      const { stdout, stderr } = await ctl('list');
      expect(stdout).not.toContain(':ag6');
      expect(stderr).toMatch(
        /:ag6: its agent ended: its interface ag6 was removed \(noticed at .*; its log: vale ctl log/,
      );
      expect(await good('log', name)).toContain('detaching');
    });

    test('so does one that was down all the time', async () => {
      await lab.must('ip link add agb type veth peer name agbpeer');
      await good('-a', `${freshSwitch()}:agb`);
      await lab.must('ip link del agb');
      const told = async () => (await ctl('list')).stderr;
      await expect.poll(told, { timeout: 10_000 }).toContain('its interface agb was removed');
    });

    test('one that goes to another namespace is not called removed', async () => {
      const { process_ } = await attachedVeth('ag8');
      const host = await lab.host('ag8x', '10.8.8.1/24');
      await lab.must(`ip link set ag8 netns ${host.pid}`);
      await gone(process_);
      expect((await ctl('list')).stderr).toMatch(
        /:ag8: its agent ended: its interface ag8 was moved to another network namespace \(/,
      );
    });
  });
});
