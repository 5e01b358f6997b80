// SPDX-License-Identifier: BSD-2-Clause
// Numbers as they are typed on a command line.
import { BadValue } from '../errors.js';

const SUFFIX: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** What a number may be; `what` says it to the user, as in "a size from 16 to 65536". */
export interface NumberRule {
  what: string;
  min?: number;
  max?: number;
  /** Accept K, M and G (powers of 1000) after the digits. */
  suffix?: boolean;
}

/** A whole decimal number within the rule. Throws BadValue. */
export function integer(text: string, rule: NumberRule): number {
  const match = /^([0-9]+)([kmg]?)$/i.exec(text);
  const unit = match?.[2]?.toLowerCase() ?? '';
  const value = match ? Number(match[1]) * (SUFFIX[unit] ?? NaN) : NaN;
  const bad = !Number.isSafeInteger(value) || (unit !== '' && !rule.suffix);
  if (bad || value < (rule.min ?? 0) || value > (rule.max ?? Number.MAX_SAFE_INTEGER))
    throw new BadValue(rule.what);
  return value;
}

/** Seconds above 0, fractions allowed. Throws BadValue. */
export function seconds(text: string): number {
  const value = /^([0-9]+(\.[0-9]*)?|\.[0-9]+)s?$/.test(text) ? Number.parseFloat(text) : NaN;
  if (!(value > 0 && value <= 1e9)) throw new BadValue('seconds above 0, as in 10 or 0.5');
  return value;
}
