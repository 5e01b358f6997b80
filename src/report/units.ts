// SPDX-License-Identifier: BSD-2-Clause
// Numbers for people: scaled by 1000, the unit spelled out.

const PREFIXES = ['', 'K', 'M', 'G', 'T', 'P'] as const;

/** value scaled to [1, 1000) and its SI prefix; rounding 999.9996 K gives 1.000 M. */
function scale(value: number, digits: number): { text: string; prefix: string } {
  let i = 0;
  while (i < PREFIXES.length - 1 && Math.abs(Number(value.toFixed(digits))) >= 1000) {
    value /= 1000;
    i++;
  }
  return { text: value.toFixed(digits), prefix: PREFIXES[i]! };
}

function finite(value: number | bigint): number {
  const n = Number(value);
  return Number.isFinite(n) ? n : 0;
}

/** Frames per second: "14.881 Mpps". */
export function packetRate(framesPerSecond: number | bigint, digits = 3): string {
  const { text, prefix } = scale(finite(framesPerSecond), digits);
  return `${text} ${prefix}pps`;
}

/** Bits per second, in people's units: "9.524 Gbit/s". */
export function bitRate(bitsPerSecond: number | bigint, digits = 3): string {
  const { text, prefix } = scale(finite(bitsPerSecond), digits);
  return `${text} ${prefix}bit/s`;
}

/** A byte count: "999 B", "42.369 MB" (SI, 1 MB = 10^6 B). */
export function byteCount(bytes: number | bigint, digits = 3): string {
  const { text, prefix } = scale(finite(bytes), finite(bytes) < 1000 ? 0 : digits);
  return `${text} ${prefix}B`;
}

/** An exact count with its thousands apart: "12,345,678". */
export function count(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}
