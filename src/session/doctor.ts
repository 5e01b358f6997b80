// SPDX-License-Identifier: BSD-2-Clause
// What this machine allows, and the command that mends what it does not. Reads only.
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statfsSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { release } from 'node:os';

import { addonFile, native } from '../native.js';
import type { NativeBinding } from '../native-types.js';
import { byteCount } from '../report/units.js';
import { errorText } from './errno.js';
import { runtimeDirectory } from './runtime-directory.js';

/** good; limited: something works less well or not at all; missing: switch ports need it. */
export type Verdict = 'good' | 'limited' | 'missing';

export interface Check {
  /** Stable: for programs. */
  id: string;
  title: string;
  verdict: Verdict;
  /** What was found. */
  found: string;
  /** What it is for, where it is not all well. */
  matters?: string;
  /** The command, or the change, that mends it. */
  mend?: string;
}

const TMPFS = 0x01021994;
/** Bytes that the directory, a switch and two default ports occupy. */
const ROOM = 12e6;
const DESCRIPTORS = 1024;

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};

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
          mend: 'install Node.js 20.19 or later, as from https://nodejs.org',
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
    ...(wires ? {} : { matters: 'wires need 4.20', mend: 'boot a newer kernel' }),
  };
}

function addon(): { check: Check; binding?: NativeBinding } {
  const common = { id: 'addon', title: 'native addon' };
  try {
    const binding = native();
    const found = `${addonFile() ?? ''} (${binding.version})`;
    return { check: { ...common, verdict: 'good', found }, binding };
  } catch (error) {
    const [found = '', mend = ''] = (error as Error).message.split(/: (?=install |rebuild )/);
    return { check: { ...common, verdict: 'missing', found, mend } };
  }
}

/** The directory itself where it exists, else the first one above it that does. */
function existingPart(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingPart(dirname(path));
}

function directory(path: string, uid: number, binding: NativeBinding | undefined): Check[] {
  const common = { id: 'directory', title: 'runtime directory' };
  const another = 'export VALE_DIR=$(mktemp -d /dev/shm/vale-XXXXXX)';
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    const above = existingPart(dirname(path));
    try {
      if (above !== dirname(path)) throw new Error(`${dirname(path)} does not exist`);
      accessSync(above, constants.W_OK);
    } catch (error) {
      const { message } = error as Error;
      const found = `${path}: cannot be made (${message.replace(/,.*$/, '')})`;
      return [{ ...common, verdict: 'missing', found, mend: another }];
    }
    return [{ ...common, verdict: 'good', found: `${path}, made when it is needed` }];
  }
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
  const found = `${path}, user ${stat.uid}, mode ${mode}`;
  const bad = (why: string, mend: string): Check[] => [
    { ...common, verdict: 'missing', found, matters: why, mend },
  ];
  if (stat.isSymbolicLink()) return bad('a symbolic link is not followed', `rm ${path}`);
  if (!stat.isDirectory()) return bad('it is no directory', another);
  if (stat.mode & 0o002) return bad('everybody may write it', `chmod 700 ${path}`);
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return bad('you may not write it', another);
  }
  if (uid !== 0 && stat.uid !== uid && !(stat.mode & 0o020))
    return bad('it belongs to somebody else', another);
  return [{ ...common, verdict: 'good', found }, ...inside(path, binding)];
}

/** What is in the directory. */
function inside(path: string, binding: NativeBinding | undefined): Check[] {
  const facts = binding?.inspect(path);
  if (facts === undefined || !existsSync(`${path}/control`)) return [];
  const common = { id: 'contents', title: 'its contents' };
  if (facts.layout !== facts.expectedLayout)
    return [
      {
        ...common,
        verdict: 'missing',
        found:
          facts.layout === 0
            ? 'a damaged control file'
            : `layout ${facts.layout}, this program has ${facts.expectedLayout}`,
        matters: 'two versions cannot share a directory',
        mend: `stop what uses it, then: rm -r ${path}`,
      },
    ];
  const { living, dead } = facts;
  const files = readdirSync(path).length;
  const found = `${files} files of ${living} ${living === 1 ? 'process' : 'processes'}`;
  if (dead === 0) return [{ ...common, verdict: 'good', found }];
  return [
    {
      ...common,
      verdict: 'limited',
      found: `${found}, and what ${dead} dead left`,
      matters: 'it goes when anybody looks',
      mend: 'vale ctl',
    },
  ];
}

function room(path: string): Check {
  const place = existingPart(path);
  const { type, bavail, bsize, blocks } = statfsSync(place);
  const free = bavail * bsize;
  const common = { id: 'room', title: 'its file system' };
  const found = `${type === TMPFS ? 'tmpfs' : `no tmpfs (type 0x${type.toString(16)})`}, ${byteCount(free)} free of ${byteCount(blocks * bsize)}`;
  if (free < ROOM)
    return {
      ...common,
      verdict: 'missing',
      found,
      matters: `two default ports take ${byteCount(ROOM)}`,
      mend:
        type === TMPFS
          ? `mount -o remount,size=1g $(df --output=target ${place} | tail -1)`
          : 'export VALE_DIR=/dev/shm/vale',
    };
  if (type !== TMPFS)
    return {
      ...common,
      verdict: 'limited',
      found,
      matters: 'frames may be written to a disk',
      mend: 'export VALE_DIR=/dev/shm/vale',
    };
  return { ...common, verdict: 'good', found };
}

function limits(): Check[] {
  const text = read('/proc/self/limits');
  const soft = (name: string): number => {
    const value = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(text)?.[1];
    return value === undefined || value === 'unlimited' ? Infinity : Number(value);
  };
  const files = soft('Max open files');
  const locked = soft('Max locked memory');
  const shown = (value: number, unit: (n: number) => string) =>
    value === Infinity ? 'unlimited' : unit(value);
  return [
    {
      id: 'nofile',
      title: 'open files',
      verdict: files >= DESCRIPTORS ? 'good' : 'limited',
      found: shown(files, String),
      ...(files >= DESCRIPTORS
        ? {}
        : { matters: 'a process with many ports needs more', mend: `ulimit -n ${DESCRIPTORS}` }),
    },
    {
      id: 'memlock',
      title: 'locked memory',
      verdict: locked >= 8e6 ? 'good' : 'limited',
      found: shown(locked, byteCount),
      ...(locked >= 8e6
        ? {}
        : { matters: 'rings of AF_XDP sockets count against it', mend: 'ulimit -l unlimited' }),
    },
  ];
}

function capabilities(): Check {
  const bits = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`);
  const wanted = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n, CAP_BPF: 39n };
  const has = Object.entries(wanted).filter(([, bit]) => (bits >> bit) & 1n);
  const all = has.length === Object.keys(wanted).length;
  return {
    id: 'capabilities',
    title: 'capabilities',
    verdict: all ? 'good' : 'limited',
    found: has.map(([name]) => name).join(' ') || 'none of those for wires',
    ...(all
      ? {}
      : { matters: 'wires need them', mend: 'run as root, or where that is enough: unshare -Urn' }),
  };
}

/** What wires are made of, each as the kernel answered. */
function wires(binding: NativeBinding): Check[] {
  const probe = binding.probe();
  const check = (
    id: string,
    title: string,
    errno: number,
    matters: string,
    mends: Record<string, string>,
  ): Check => {
    if (errno === 0) return { id, title, verdict: 'good', found: 'works' };
    const code = getSystemErrorName(-errno);
    return {
      id,
      title,
      verdict: 'limited',
      found: errorText(code) ?? code,
      matters,
      mend: mends[code] ?? mends['*'] ?? 'run as root',
    };
  };
  const root = 'run as root';
  return [
    check('af_packet', 'AF_PACKET', probe.packetSocket, 'interfaces cannot be opened', {
      '*': 'run as root, or: unshare -Urn',
    }),
    check('bpf', 'BPF programs', probe.bpfProgram, 'interfaces cannot be taken over', {
      '*': root,
    }),
    check(
      'tcx',
      'TCX with bpf_link',
      probe.tcxLink,
      'what takes an interface over is not undone by the kernel itself',
      {
        EINVAL: 'boot Linux 6.6 or later',
        '*': root,
      },
    ),
    check('af_xdp', 'AF_XDP', probe.xdpSocket, 'wires go through AF_PACKET', {
      EAFNOSUPPORT: 'boot a kernel with CONFIG_XDP_SOCKETS',
      '*': root,
    }),
    check('tap', 'TAP devices', probe.tapDevice, 'there are no TAP ports', {
      ENOENT: 'modprobe tun',
      ENODEV: 'modprobe tun',
      ENXIO: 'modprobe tun',
      '*': root,
    }),
  ];
}

function hugePages(): Check {
  const number = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(read('/proc/meminfo'))?.[1] ?? 0);
  const found = `${number('HugePages_Free')} free of ${number('HugePages_Total')}, ${number('Hugepagesize') / 1024} MiB each; none are needed`;
  return { id: 'huge_pages', title: 'huge pages', verdict: 'good', found };
}

function netmap(): Check {
  const found = existsSync('/dev/netmap')
    ? 'there; this program does not use it'
    : 'not there, and not needed';
  return { id: 'netmap', title: '/dev/netmap', verdict: 'good', found };
}

/** Looks at this machine as it is for the calling user. */
export function examine(): Check[] {
  const uid = process.getuid?.() ?? 0;
  const path = runtimeDirectory(process.env, uid);
  const { check, binding } = addon();
  return [
    node(),
    kernel(),
    check,
    ...directory(path, uid, binding),
    room(path),
    ...limits(),
    capabilities(),
    ...(binding ? wires(binding) : []),
    hugePages(),
    netmap(),
  ];
}
