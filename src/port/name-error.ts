// SPDX-License-Identifier: BSD-2-Clause
/** How a bad name is reported: one line that quotes what was typed, says what is wrong, and what to do. */

import { ExitCode } from '../errors.js';

export type NameErrorCode = 'EINVAL' | 'ENXIO' | 'EOPNOTSUPP';

const ERRNO: Record<NameErrorCode, number> = { EINVAL: 22, ENXIO: 6, EOPNOTSUPP: 95 };

/** Quotes untrusted text for a message: whatever could move the cursor or break the line is escaped. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  const escaped = shown.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => {
    const point = c.codePointAt(0) ?? 0;
    return point < 0x100
      ? `\\x${point.toString(16).padStart(2, '0')}`
      : `\\u{${point.toString(16)}}`;
  });
  return `"${escaped}"`;
}

export class NameError extends Error {
  override readonly name = 'NameError';
  /** A name is part of the command line. */
  readonly exitCode = ExitCode.Usage;
  readonly errno: number;

  /**
   * @param input the whole text as typed
   * @param offendingToken the part of it that is wrong; "" when something is missing at the end
   * @param problem what is wrong with the token
   * @param hint what to do, an imperative clause without a full stop
   */
  constructor(
    readonly input: string,
    readonly offendingToken: string,
    readonly problem: string,
    readonly hint: string,
    readonly code: NameErrorCode = 'EINVAL',
  ) {
    super(`${quote(input)}: ${problem}; ${hint}`);
    this.errno = ERRNO[code];
  }
}
