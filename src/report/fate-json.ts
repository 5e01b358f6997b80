// SPDX-License-Identifier: BSD-2-Clause
import { receiverDrops, type Fate } from '../session/meter.js';

/** What became of the frames, as every run reports it; null: the device does not count it. */
export function fateJson(fate: Fate | undefined) {
  return {
    copies: fate?.copies ?? null,
    delivered: fate?.delivered ?? null,
    dropped: fate ? fate.copies - fate.delivered : null,
    dropped_at_receivers: fate ? receiverDrops(fate) : null,
  };
}
