// SPDX-License-Identifier: BSD-2-Clause
// Which drops a report shows, and under which reason.
import { receiverDrops, SOURCE_DROPS, type Fate } from '../session/meter.js';

/** What stands for a figure that the device does not count. */
export const UNKNOWN = 'unknown';

/**
 * Drops above zero with their reason. Whoever sends sees its source reasons, and as at_receivers what
 * its copies met at other ports' rings; whoever receives sees what its own rings refused.
 */
export function dropList(
  part: Fate,
  role: { sends: boolean; receives: boolean },
): [reason: string, count: bigint][] {
  const entries = Object.entries(part.drops) as [keyof typeof part.drops, bigint][];
  const shown: [string, bigint][] = entries.filter(
    ([reason, n]) => n > 0n && (SOURCE_DROPS.includes(reason) ? role.sends : role.receives),
  );
  const elsewhere = receiverDrops(part);
  if (role.sends && elsewhere > 0n) shown.push(['at_receivers', elsewhere]);
  return shown;
}

export function dropSum(drops: readonly [reason: string, count: bigint][]): bigint {
  return drops.reduce((sum, [, n]) => sum + n, 0n);
}
