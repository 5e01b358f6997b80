// SPDX-License-Identifier: BSD-2-Clause
// -C: how many rings and slots a created port gets.
import { BadValue } from '../errors.js';

/** Wishes for a port that is created; 0 = default. */
export interface RingConfig {
  txSlots: number;
  rxSlots: number;
  txRings: number;
  rxRings: number;
}

/**
 * `tx_slots[,rx_slots[,tx_rings[,rx_rings]]]`. One number sets both slots, a third without a fourth
 * both rings; an empty or zero number is the default. Throws BadValue.
 */
export function ringConfig(text: string): RingConfig {
  const parts = text.split(',');
  if (parts.length > 4 || !parts.every((part) => /^[0-9]{0,9}$/.test(part)))
    throw new BadValue('tx_slots[,rx_slots[,tx_rings[,rx_rings]]], as in 1024,1024,2,2');
  const [txSlots = 0, rxSlots = txSlots, txRings = 0, rxRings = txRings] = parts.map(Number);
  return { txSlots, rxSlots, txRings, rxRings };
}
