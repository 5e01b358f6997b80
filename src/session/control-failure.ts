// SPDX-License-Identifier: BSD-2-Clause
// Why a request of `vale ctl` failed, in the words that scripts know.
import { NameError } from '../port/name.js';
import { errorText } from '../errno.js';

/** strerror's text, as scripts know it, and in brackets what explains it. */
export function reason(error: unknown, name = ''): string {
  if (!(error instanceof Error)) return String(error);
  const text = errorText((error as { code?: unknown }).code);
  const why = error instanceof NameError ? nameReason(error, name) : error.message;
  if (text === undefined || why === text) return why;
  const subject = `${name.replace(/:$/, '')}: `;
  const detail = why.startsWith(subject) ? why.slice(subject.length) : why;
  return detail === text ? text : `${text} (${detail})`;
}

/** The line has named `name` already; another name, as in -m, must be told. */
function nameReason(error: NameError, name: string): string {
  return error.input === name ? `${error.problem}; ${error.hint}` : error.message;
}
