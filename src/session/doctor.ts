// SPDX-License-Identifier: BSD-2-Clause
// What this machine allows, and the command that mends what it does not. Reads only.
import { existsSync } from 'node:fs';
import { release } from 'node:os';

import { addonFile, native } from '../native.js';
import type { NativeBinding } from '../native-types.js';
import { byteCount } from '../report/units.js';
import { deviceWish, type DeviceWish } from '../port/device.js';
import { read, thisCaller, type Caller } from './doctor-caller.js';
import type { Check } from './doctor-check.js';
import { directory, room } from './doctor-directory.js';
import { wires } from './doctor-wires.js';
import { runtimeDirectory } from './runtime-directory.js';

const DESCRIPTORS = 1024;
/** Bytes that AF_XDP locks of an attached interface's port of default size. */
const LOCKED = 10_568 * 1024;

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > 20 || (major === 20 && minor >= 19);
  return {
    id: 'node',
    title: 'Node.js',
    verdict: good ? 'good' : 'missing',
    found: process.version,
    ...(good
      ? {}
      : {
          matters: '20.19 or later is needed',
          mend: 'npx --yes --package node@22 -- vale doctor',
        }),
  };
}

function kernel(): Check {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const wires = major > 4 || (major === 4 && minor >= 20);
  return {
    id: 'kernel',
    title: 'Linux',
    verdict: wires ? 'good' : 'limited',
    found: release(),
    ...(wires ? {} : { matters: 'wires need 4.20', mend: 'boot Linux 4.20 or later' }),
  };
}

function addon(): { check: Check; binding?: NativeBinding } {
  const common = { id: 'addon', title: 'native addon' };
  try {
    const binding = native();
    const found = `${addonFile() ?? ''} (${binding.version})`;
    return { check: { ...common, verdict: 'good', found }, binding };
  } catch (error) {
    const [found = '', mend = ''] = (error as Error).message.split(/: (?=install |rebuild |run )/);
    return { check: { ...common, verdict: 'missing', found, mend } };
  }
}

/** What raises a limit of the shell that asked: its own means where the hard limit leaves room. */
function raise(option: string, name: string, value: string, enough: boolean): string {
  return enough
    ? `ulimit -${option} ${value}`
    : `sudo prlimit --pid $$ --${name}=${value}:${value}`;
}

function limits(caller: Caller): Check[] {
  const files = caller.limit('Max open files');
  const locked = caller.limit('Max locked memory');
  // Who may not use AF_XDP at all is told that, and not how much of it.
  const exempt = caller.may('CAP_IPC_LOCK');
  const lockable = locked.soft >= LOCKED || exempt || !caller.may('CAP_BPF');
  const shown = (value: number, unit: (n: number) => string) =>
    value === Infinity ? 'unlimited' : unit(value);
  return [
    {
      id: 'nofile',
      title: 'open files',
      verdict: files.soft >= DESCRIPTORS ? 'good' : 'limited',
      found: shown(files.soft, String),
      ...(files.soft >= DESCRIPTORS
        ? {}
        : {
            matters: 'a process with many ports needs more',
            mend: raise('n', 'nofile', String(DESCRIPTORS), files.hard >= DESCRIPTORS),
          }),
    },
    {
      id: 'memlock',
      title: 'locked memory',
      verdict: lockable ? 'good' : 'limited',
      found: `${shown(locked.soft, byteCount)}${exempt ? ', from which CAP_IPC_LOCK exempts you' : ''}`,
      ...(lockable
        ? {}
        : {
            matters: `an interface attached by AF_XDP locks ${byteCount(LOCKED)}`,
            mend: raise('l', 'memlock', 'unlimited', locked.hard === Infinity),
          }),
    },
  ];
}

function hugePages(): Check {
  const text = read('/proc/meminfo');
  const number = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  const found =
    text === ''
      ? 'cannot tell without /proc; none are needed'
      : `${number('HugePages_Free')} free of ${number('HugePages_Total')}, ${number('Hugepagesize') / 1024} MiB each; none are needed`;
  return { id: 'huge_pages', title: 'huge pages', verdict: 'good', found };
}

/** What $VALE_DEVICE makes of the kernel's netmap. */
function netmap(binding: NativeBinding | undefined): Check {
  const common = { id: 'netmap', title: '/dev/netmap' };
  const there = existsSync('/dev/netmap');
  let wish: DeviceWish;
  try {
    wish = deviceWish();
  } catch (error) {
    const mend = 'unset VALE_DEVICE';
    return { ...common, verdict: 'missing', found: (error as Error).message, mend };
  }
  const absent = 'not there, and not needed';
  const good = (found: string): Check => ({ ...common, verdict: 'good', found });
  if (wish === 'user')
    return good(there ? 'there, and not used: VALE_DEVICE or VALE_DIR says so' : absent);
  const asked = (found: string): Check => ({
    ...common,
    verdict: 'missing',
    found,
    matters: 'VALE_DEVICE=kernel asks for it',
    mend: there ? 'sudo --preserve-env=VALE_DEVICE vale …' : 'sudo modprobe netmap',
  });
  // Without an addon nothing can be opened, and that is told already.
  if (binding === undefined) {
    if (there) return good('there');
    return wish === 'auto' ? good(absent) : asked('not there');
  }
  try {
    binding.openKernel().close();
    return good('there, and used; VALE_DEVICE=user is for switches in shared memory');
  } catch (error) {
    if (wish === 'auto') return good(there ? 'there, but you may not use it; not needed' : absent);
    return asked((error as Error).message);
  }
}

/** Looks at this machine as it is for the calling user. */
export function examine(): Check[] {
  const caller = thisCaller();
  const { check, binding } = addon();
  const facts = binding?.inspect();
  const path = facts?.directory ?? runtimeDirectory(process.env, caller.uid);
  return [
    node(),
    kernel(),
    check,
    ...(facts ? directory(facts) : []),
    room(path, caller),
    ...limits(caller),
    ...wires(path, caller, binding),
    hugePages(),
    netmap(binding),
  ];
}
