// SPDX-License-Identifier: BSD-2-Clause
// Text as a word of a POSIX shell.

/** Always in quotes: the same text in any shell that has single quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** As a user would type it: quotes only where a shell would take something for its own. */
export function typed(word: string): string {
  return /^[\w@%+=:,./^-]+$/.test(word) ? word : quoted(word);
}
