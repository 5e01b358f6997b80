// SPDX-License-Identifier: BSD-2-Clause
// oclif's complaints about a command line, each as one line that names what was typed.
import { stripVTControlCharacters } from 'node:util';

import type { FlagShape } from './argv.js';
import { BadValue, expected, UsageError } from './errors.js';

export type ParseValue = (input: unknown, context: unknown, options: unknown) => Promise<unknown>;

/** What reading a value needs to know of a flag or argument; oclif's own types are per value type. */
export interface Definition extends FlagShape {
  options?: readonly string[] | undefined;
  parse?: ParseValue | undefined;
  required?: boolean | undefined;
  helpValue?: string | string[] | undefined;
  multipleNonGreedy?: boolean;
  ignoreStdin?: boolean;
}

/**
 * parse() of a flag or argument, for the value that `token` stands for, with its errors in the one
 * formula.
 */
export function guarded(
  { options, parse }: Definition,
  lookUp: (token: string) => { name: string; value: string },
): ParseValue {
  return async (token, context, definition) => {
    if (typeof token !== 'string') return parse ? parse(token, context, definition) : token;
    const { name, value } = lookUp(token);
    if (options && !options.includes(value))
      throw expected(`one of ${options.join(', ')}`, name, value);
    try {
      return parse ? await parse(value, context, definition) : value;
    } catch (error) {
      if (error instanceof BadValue) throw expected(error.what, name, value);
      const stock = /^Expected (.*) but received:/s.exec((error as Error).message);
      throw stock ? expected(stock[1]!, name, value) : error;
    }
  };
}

/** A required flag that is not there, as in "missing -i PORT: see --help". */
export function missingFlag(name: string, { char, helpValue }: Definition): UsageError {
  const value = Array.isArray(helpValue) ? helpValue[0] : helpValue;
  const spelled = char ? `-${char}` : `--${name}`;
  return new UsageError(`missing ${value ? `${spelled} ${value}` : spelled}: see --help`);
}

/** An error of oclif's parser as a UsageError; any other error as it was before oclif wrapped it. */
export function asUsage(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { args = [] } = error as { args?: readonly unknown[] };
  // A headline, details, a hint at --help.
  const [headline = '', ...details] = stripVTControlCharacters(error.message).split('\n');
  if (/^Missing \d+ required args?/.test(headline)) {
    const names = (args as { name: string }[]).map(({ name }) => name.toUpperCase());
    return new UsageError(`missing ${names.join(' and ')}: see --help`);
  }
  if (/^Unexpected arguments?:/.test(headline))
    return new UsageError(`unexpected argument '${String(args[0])}': see --help`);
  if (/^The following errors? occurred:/.test(headline)) {
    const reasons = details.slice(0, -1).map((reason) =>
      reason
        .trim()
        .replace(
          /^(--[^=\s]+)=\S* cannot also be provided when using (--\S+)$/,
          '$2 and $1 exclude each other: give one of them',
        )
        .replace(
          /^All of the following must be provided when using (--\S+): (--\S+)$/,
          '$1 goes with $2: add it, or leave $1 out',
        ),
    );
    return new UsageError(reasons.join('; '));
  }
  const wrapped = /^Parsing --\S+ \n\t(.*)\nSee more help with --help$/s.exec(error.message);
  if (wrapped) error.message = wrapped[1]!;
  return error;
}
