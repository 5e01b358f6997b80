// SPDX-License-Identifier: BSD-2-Clause
// Command line words to flags, with getopt's habits, which oclif's own reader does not have: a value
// may begin with "-", the last of a repeated single-value option wins, and an error names the
// option as it was typed.
import { nearest, UsageError } from './errors.js';

/** What of an oclif flag decides how words are read. */
export interface FlagShape {
  type: 'boolean' | 'option';
  char?: string | undefined;
  aliases?: string[] | undefined;
  charAliases?: string[] | undefined;
  allowNo?: boolean | undefined;
  multiple?: boolean | undefined;
}

/** One flag on the command line. */
export interface FlagWord {
  name: string;
  /** As typed, without the value: "-l", "--size". */
  spelled: string;
  /** undefined for a boolean flag */
  value?: string;
  /** --no-… of a boolean flag */
  negated?: boolean;
}

export interface Words {
  flags: FlagWord[];
  args: string[];
}

type Flags = Record<string, FlagShape>;

function findLong(flags: Flags, name: string): string | undefined {
  if (Object.hasOwn(flags, name)) return name;
  return Object.keys(flags).find((key) => flags[key]!.aliases?.includes(name));
}

function findShort(flags: Flags, char: string): string | undefined {
  return Object.keys(flags).find((key) => {
    const flag = flags[key]!;
    return flag.char === char || flag.charAliases?.includes(char);
  });
}

function unknownLong(flags: Flags, name: string): UsageError {
  const near = nearest(name, Object.keys(flags));
  const hint = near ? `did you mean '--${near}'?` : 'see --help';
  return new UsageError(`unknown option '--${name}': ${hint}`);
}

/** A word that can only be a flag of this verb, so that the value before it was forgotten. */
function isFlag(flags: Flags, word: string): boolean {
  if (word === '--') return true;
  if (word.startsWith('--')) return findLong(flags, word.slice(2).split('=')[0]!) !== undefined;
  return /^-[^0-9-]$/.test(word) && findShort(flags, word[1]!) !== undefined;
}

/**
 * Reads the words of one verb. Throws UsageError for an unknown flag or a missing value.
 * @param argv the words after the verb
 * @param flags the verb's flags by name
 */
export function readWords(argv: readonly string[], flags: Flags): Words {
  const words: Words = { flags: [], args: [] };
  const rest = [...argv];

  const take = (name: string, spelled: string): void => {
    const value = rest.shift();
    if (value === undefined || isFlag(flags, value))
      throw new UsageError(`missing value for ${spelled}: see --help`);
    words.flags.push({ name, spelled, value });
  };

  const long = (word: string): void => {
    const equals = word.indexOf('=');
    const typed = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const positive = findLong(flags, typed);
    const name =
      positive ?? (typed.startsWith('no-') ? findLong(flags, typed.slice(3)) : undefined);
    const flag = name === undefined ? undefined : flags[name];
    if (name === undefined || !flag || (!positive && !flag.allowNo))
      throw unknownLong(flags, typed);
    const spelled = `--${typed}`;
    if (flag.type === 'option') {
      if (equals < 0) take(name, spelled);
      else words.flags.push({ name, spelled, value: word.slice(equals + 1) });
    } else {
      if (equals >= 0) throw new UsageError(`${spelled} takes no value: ${word}`);
      words.flags.push({ name, spelled, negated: !positive });
    }
  };

  const shorts = (word: string): void => {
    for (let i = 1; i < word.length; i++) {
      const spelled = `-${word[i]}`;
      const name = findShort(flags, word[i]!);
      if (name === undefined)
        throw new UsageError(
          `unknown option '${spelled}'${word.length > 2 ? ` in '${word}'` : ''}: see --help`,
        );
      if (flags[name]!.type === 'boolean') {
        words.flags.push({ name, spelled });
        continue;
      }
      if (i + 1 === word.length) take(name, spelled);
      else
        words.flags.push({ name, spelled, value: word.slice(word[i + 1] === '=' ? i + 2 : i + 1) });
      return;
    }
  };

  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      words.args.push(...rest);
      break;
    }
    if (word.startsWith('--')) long(word);
    else if (word.startsWith('-') && word !== '-') shorts(word);
    else words.args.push(word);
  }
  return words;
}

/** Drops all but the last of each flag that takes one value. */
export function lastWins(words: readonly FlagWord[], flags: Flags): FlagWord[] {
  const last = new Map(words.map((word, i) => [word.name, i]));
  return words.filter((word, i) => flags[word.name]!.multiple || last.get(word.name) === i);
}
