// SPDX-License-Identifier: BSD-2-Clause
// The ways to a virtual machine.
import type { AttachHow } from '../native-types.js';

/** As options, and what attach() calls them. */
export const MACHINES = [
  ['vhost-user', 'vhostUser'],
  ['stream', 'stream'],
  ['dgram', 'dgram'],
] as const;

/** The option for the one that `how` has; undefined: it is for no virtual machine. */
export function machineOption(how: AttachHow): string | undefined {
  return MACHINES.find(([, key]) => how[key] !== undefined)?.[0];
}
