// SPDX-License-Identifier: BSD-2-Clause
// Where the lines of a report go.

/** Data to out, messages to err. A line has no newline at its end. */
export interface Output {
  out(line: string): void;
  err(line: string): void;
}

export function standardOutput(): Output {
  return {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
  };
}
