// SPDX-License-Identifier: BSD-2-Clause
// What `vale doctor` says of what network interfaces as ports are made of.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';

import type { NativeBinding } from '../native-types.js';
import type { Caller, Capability } from './doctor-caller.js';
import type { Check } from './doctor-check.js';
import { errorText } from '../errno.js';

const OPENING: Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_BPF'];

export function wires(path: string, caller: Caller, binding: NativeBinding | undefined): Check[] {
  const root = asRoot(path, caller);
  return [
    capabilities(caller, root),
    namespaces(caller),
    ...(binding ? devices(binding, caller, root) : []),
  ];
}

/** The command by which root makes an interface a port of this user's switches. */
function asRoot(path: string, { uid, contained }: Caller): string {
  const attach = `sudo VALE_DIR=${path} vale ctl -a vale0:eth0`;
  if (contained) return `outside of this user namespace: ${attach} --netns ${process.ppid}`;
  if (uid !== 0) return attach;
  return `start it with ${OPENING.join(', ')}; a container has them by --cap-add NET_ADMIN --cap-add NET_RAW --cap-add BPF`;
}

function capabilities(caller: Caller, root: string): Check {
  const has = OPENING.filter((capability) => caller.has(capability));
  const all = has.length === OPENING.length;
  const common = {
    id: 'capabilities',
    title: 'capabilities',
    found: has.join(' ') || 'none of those for wires',
  };
  if (all && caller.contained)
    return { ...common, found: `${common.found}, in this user namespace`, verdict: 'good' };
  if (all) return { ...common, verdict: 'good' };
  return { ...common, verdict: 'limited', matters: 'opening an interface takes them', mend: root };
}

/** Settings that keep users from making namespaces, and the value that lets them. */
const BARRIERS: [setting: string, shut: string, open: string][] = [
  ['user.max_user_namespaces', '0', '10000'],
  ['kernel.unprivileged_userns_clone', '0', '1'],
  ['kernel.apparmor_restrict_unprivileged_userns', '1', '0'],
];

/** Where a user without privilege may be root of a network: containers, `unshare -Urn`. */
function namespaces({ contained }: Caller): Check {
  const common = { id: 'user_namespaces', title: 'user namespaces' };
  if (contained) return { ...common, verdict: 'good', found: 'this is one' };
  const { status, error } = spawnSync('unshare', ['-Urn', 'true'], { stdio: 'ignore' });
  if (status === 0) return { ...common, verdict: 'good', found: 'may be made: unshare -Urn' };
  const limited = {
    ...common,
    verdict: 'limited' as const,
    matters: 'no network of your own to use interfaces in without root',
  };
  if (error)
    return { ...limited, found: 'unshare(1) is not installed', mend: 'apt-get install util-linux' };
  const set = BARRIERS.filter(([name, shut]) => setting(name) === shut);
  return {
    ...limited,
    found: 'may not be made',
    mend:
      set.length > 0
        ? `sudo sysctl -w ${set.map(([name, , open]) => `${name}=${open}`).join(' ')}`
        : 'in a container: start it with --security-opt seccomp=unconfined; as root: keep CAP_SETFCAP',
  };
}

function setting(name: string): string {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Each as the kernel answered. */
function devices(binding: NativeBinding, caller: Caller, root: string): Check[] {
  const probe = binding.probe();
  const check = (
    id: string,
    title: string,
    errno: number,
    matters: string,
    mends: Record<string, string> = {},
  ): Check => {
    if (errno === 0) return { id, title, verdict: 'good', found: 'works' };
    const code = getSystemErrorName(-errno);
    const found = errorText(code) ?? code;
    return { id, title, verdict: 'limited', found, matters, mend: mends[code] ?? root };
  };
  const tcx = probe.bpfProgram || probe.tcxLink;
  const nftables = probe.netfilterTable === 0;
  const taken = nftables
    ? 'interfaces are taken over by nftables instead, which leaves out the host side (ctl -h, eth0^)'
    : 'interfaces cannot be taken over, only be shared with the host: --shared';
  return [
    check(
      'af_packet',
      'AF_PACKET',
      probe.packetSocket,
      'interfaces cannot be opened',
      caller.contained || probe.packetSocket === 0
        ? {}
        : { EPERM: `${root}, or in a network of your own: unshare -Urn` },
    ),
    check('bpf', 'BPF programs', probe.bpfProgram, taken),
    check('tcx', 'TCX with bpf_link', tcx, taken, { EINVAL: 'boot Linux 6.6 or later' }),
    tcx === 0 && !nftables
      ? {
          id: 'nftables',
          title: 'nftables',
          verdict: 'good',
          found: 'not there, and not needed beside TCX',
        }
      : check('nftables', 'nftables', probe.netfilterTable, taken, {
          EPROTONOSUPPORT: 'modprobe nf_tables',
          ENOENT: 'modprobe nf_tables',
          EOPNOTSUPP: 'boot Linux 5.16 or later',
          EINVAL: 'boot Linux 5.16 or later',
        }),
    check('af_xdp', 'AF_XDP', probe.xdpSocket || probe.bpfProgram, 'wires go through AF_PACKET', {
      EAFNOSUPPORT: 'boot a kernel with CONFIG_XDP_SOCKETS',
    }),
    tap(probe.tapDevice, caller, check),
  ];
}

function tap(
  errno: number,
  caller: Caller,
  check: (
    id: string,
    title: string,
    errno: number,
    matters: string,
    mends: Record<string, string>,
  ) => Check,
): Check {
  const common = { id: 'tap', title: 'TAP devices' };
  if (errno === 0 && !caller.has('CAP_NET_ADMIN'))
    return {
      ...common,
      verdict: 'limited',
      found: 'only those made for you',
      matters: 'tap:NAME can make none',
      mend: `sudo ip tuntap add dev t0 mode tap user ${caller.uid} && sudo ip link set t0 up`,
    };
  const there = 'modprobe tun';
  return check('tap', 'TAP devices', errno, 'there are no TAP ports', {
    ENOENT: there,
    ENODEV: there,
    ENXIO: there,
  });
}
