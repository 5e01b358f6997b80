// SPDX-License-Identifier: BSD-2-Clause
// What a verb throws, and how any error becomes one line and an exit code.

/** Exit codes of every verb (docs: "Exit codes"). */
export const ExitCode = {
  /** Done; also after SIGINT, SIGTERM, SIGHUP or a closed pipe. */
  Done: 0,
  /** Failed while opening or running. */
  Failed: 1,
  /** The command line is wrong. */
  Usage: 2,
  /** An expectation the user set has failed. */
  Expectation: 3,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error that says all the user needs: one line, no stack trace. */
export class ValeError extends Error {
  override readonly name: string = 'ValeError';

  /**
   * @param message one line: what was typed, what is wrong with it, what to do
   * @param exitCode what the process exits with
   */
  constructor(
    message: string,
    readonly exitCode: ExitCode = ExitCode.Failed,
  ) {
    super(message);
  }
}

/** The command line is wrong: exit 2. */
export class UsageError extends ValeError {
  override readonly name = 'UsageError';

  constructor(message: string) {
    super(message, ExitCode.Usage);
  }
}

/** An expectation the user set has failed: exit 3. */
export class ExpectationError extends ValeError {
  override readonly name = 'ExpectationError';

  constructor(message: string) {
    super(message, ExitCode.Expectation);
  }
}

/** A value quoted as the user typed it: strings bare, the empty one as "", others as JSON. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '""' : value;
  if (typeof value === 'bigint') return value.toString();
  return JSON.stringify(value) ?? String(value);
}

/**
 * The one formula for a wrong value: "expected X for NAME but received V".
 * @param what what would have been right, as in "a size from 16 to 65536"
 * @param name the option or argument as typed, as in "-l"
 */
export function expected(what: string, name: string, value: unknown): UsageError {
  return new UsageError(`expected ${what} for ${name} but received ${shown(value)}`);
}

/**
 * Thrown by a flag's or argument's parse(), which does not know how it was spelled: the base
 * command completes it to `expected(what, '-l', value)`.
 */
export class BadValue extends Error {
  override readonly name = 'BadValue';

  /** @param what what would have been right, as in "a size from 16 to 65536" */
  constructor(readonly what: string) {
    super(`expected ${what}`);
  }
}

/** Optimal-string-alignment distance: an insertion, deletion, change or swap of neighbours costs 1. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** The candidate the user most likely meant, if one is near enough to offer. */
export function nearest(typed: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const prefix = typed.length >= 2 && candidate.startsWith(typed);
    const d = prefix ? 0 : distance(typed.toLowerCase(), candidate);
    if (d < bestDistance && d < Math.max(typed.length, candidate.length)) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** What an error prints on stderr (one line, without "vale: ") and the code to exit with. */
export function explain(error: unknown): { line: string; exitCode: number } {
  const line = (error instanceof Error ? error.message : String(error))
    .trim()
    .replace(/\s*\n\s*/g, '; ');
  const code = (error as { exitCode?: unknown } | null)?.exitCode;
  return {
    line: line || 'failed without saying why',
    exitCode: typeof code === 'number' ? code : ExitCode.Failed,
  };
}
