// SPDX-License-Identifier: BSD-2-Clause
// Rates of what was counted over a span of time.

/** Frames a second; 0 over no time. */
export function frameRate(part: { frames: bigint; seconds: number }): number {
  return part.seconds > 0 ? Number(part.frames) / part.seconds : 0;
}

/** Bits a second; framing bytes are added to each frame. */
export function bitRate(
  part: { frames: bigint; bytes: bigint; seconds: number },
  framing: number,
): number {
  if (part.seconds <= 0) return 0;
  return ((Number(part.bytes) + Number(part.frames) * framing) * 8) / part.seconds;
}

export function averageBatch(part: { frames: bigint; events: bigint }): number {
  return part.events > 0n ? Number(part.frames) / Number(part.events) : 0;
}
