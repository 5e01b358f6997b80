// SPDX-License-Identifier: BSD-2-Clause
// What the lines of the reference's tools are made of.

const PREFIXES = ['', 'K', 'M', 'G', 'T'] as const;

/**
 * A number in front of a unit, its prefix sticking to that: "259.742 K" + "pps". Unscaled (-N) it is
 * whole: "259742 " + "pps".
 */
export function norm(value: number, scaled: boolean): string {
  if (!scaled) return `${value.toFixed(0)} `;
  let i = 0;
  while (value >= 1000 && i < PREFIXES.length - 1) {
    value /= 1000;
    i++;
  }
  return `${value.toFixed(3)} ${PREFIXES[i]}`;
}

/** Milliseconds since 1970 with the microseconds that Date.now() lacks. */
export function preciseUnixMs(): number {
  return performance.timeOrigin + performance.now();
}

/** The prefix of the reference's messages: seconds modulo 1000, function and line number. */
export function logPrefix(unixMs: number, where: string, line: number): string {
  const us = Math.floor(unixMs * 1000) % 1_000_000_000;
  const text = String(us).padStart(9, '0');
  return `${text.slice(0, -6)}.${text.slice(-6)} ${where} [${line}] `;
}

/** Mean and standard deviation of the last 15 rates above zero, as -A shows them. */
export class RateWindow {
  private readonly rates: number[] = [];

  add(rate: number): { mean: number; deviation: number } {
    this.rates.push(rate);
    if (this.rates.length > 15) this.rates.shift();
    const seen = this.rates.filter((r) => r > 0);
    if (seen.length === 0) return { mean: 0, deviation: 0 };
    const mean = seen.reduce((a, b) => a + b) / seen.length;
    const variance = seen.reduce((sum, r) => sum + (r - mean) ** 2, 0) / seen.length;
    return { mean, deviation: Math.sqrt(variance) };
  }
}
