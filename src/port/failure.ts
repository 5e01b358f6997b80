// SPDX-License-Identifier: BSD-2-Clause
// Errors of the library have the shape of the addon's: one line, a code, a positive errno.
import { constants } from 'node:os';

/** What every error of this library carries beside its message. */
export interface ValeFailure extends Error {
  /** "ENXIO", "EBUSY", "EMSGSIZE", … */
  code: string;
  /** Positive. */
  errno: number;
}

type Code = keyof typeof constants.errno;

export function failure(code: Code, message: string): ValeFailure {
  return Object.assign(new Error(message), { code, errno: constants.errno[code] });
}

/** What a wait ends with when its AbortSignal fires, as Node's own iterators end. */
export function aborted(signal: AbortSignal): Error {
  const error = new Error('the operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}
