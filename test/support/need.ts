// SPDX-License-Identifier: BSD-2-Clause
// Why a test may be skipped, by name. A missing privilege is a reason; so is a missing tool, but not
// in CI, which installs them all.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from 'vitest';

import { accelerator } from '../../src/vm/guest.js';
import { onKernel } from './vale.js';

const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function installed(tool: string): boolean {
  return PLACES.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

let namespaces: boolean | undefined;

/** What needs() knows besides tools: privileges, and what the device at hand lacks. */
const privileges: Record<string, () => boolean> = {
  root: () => process.getuid?.() === 0,
  // With wires in them.
  'user namespaces': () =>
    (namespaces ??=
      spawnSync('unshare', ['-Urn', 'ip', 'link', 'add', 'type', 'veth']).status === 0),
  KVM: () => accelerator() === 'kvm',
  counters: () => !onKernel,
  addresses: () => !onKernel,
  'listing of what is detached': () => !onKernel,
  'drivers of our own': () => !onKernel,
  'a device in the process of the test': () => !onKernel,
};

type Body = () => void | Promise<void>;

/**
 * `needs('tcpdump', 'root').test(name, body)`: the test, or a skip named after what is missing. In CI a
 * missing tool is a failure.
 */
export function needs(...wanted: string[]) {
  const lacking = wanted.filter((want) => !(privileges[want]?.() ?? installed(want)));
  const tools = lacking.filter((want) => !(want in privileges));
  const reason = lacking.length > 0 ? ` (skipped: needs ${lacking.join(', ')})` : '';
  const broken = process.env['CI'] && tools.length > 0;
  const complain = (): never => {
    throw new Error(`CI must install ${tools.join(', ')}`);
  };
  return {
    /** true if everything is there */
    met: lacking.length === 0,
    test(name: string, body: Body, timeout?: number): void {
      if (broken) test(name, complain);
      else test.skipIf(lacking.length > 0)(name + reason, body, timeout);
    },
    describe(name: string, body: () => void): void {
      if (broken) describe(name, () => test('needs its tools', complain));
      else describe.skipIf(lacking.length > 0)(name + reason, body);
    },
  };
}
