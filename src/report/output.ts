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

/** For runs whose standard output must hold nothing but JSON: text goes to standard error. */
export function jsonOnly(output: Output): Output {
  return { out: output.err, err: output.err };
}
