// SPDX-License-Identifier: BSD-2-Clause
// What every verb has in common: how its words are read, how its errors look, how it is stopped.
import { Command } from '@oclif/core/command';
import { Config } from '@oclif/core/config';
import type { Interfaces } from '@oclif/core';

import { lastWins, readWords, type FlagShape, type FlagWord } from './argv.js';
import { BadValue, expected, UsageError } from './errors.js';
import { stopSignal } from './process.js';

type Parse = (input: unknown, context: unknown, options: unknown) => Promise<unknown>;

/** What parse() needs to know of a flag or an argument; oclif's own types are per value type. */
interface Definition extends FlagShape {
  options?: readonly string[] | undefined;
  parse?: Parse | undefined;
}
type Definitions = Record<string, Definition>;

/** "one of tx, rx, ping" */
function oneOf(options: readonly string[]): string {
  return `one of ${options.join(', ')}`;
}

/**
 * parse() of a flag or argument, for the value behind `token`, with its errors in the one formula.
 */
function guarded(
  parse: Parse | undefined,
  options: readonly string[] | undefined,
  lookUp: (token: string) => { name: string; value: string },
): Parse {
  return async (token, context, definition) => {
    if (typeof token !== 'string') return parse ? parse(token, context, definition) : token;
    const { name, value } = lookUp(token);
    if (options && !options.includes(value)) throw expected(oneOf(options), name, value);
    try {
      return parse ? await parse(value, context, definition) : value;
    } catch (error) {
      if (error instanceof BadValue) throw expected(error.what, name, value);
      const stock = /^Expected (.*) but received:/s.exec((error as Error).message);
      throw stock ? expected(stock[1]!, name, value) : error;
    }
  };
}

/** oclif's complaint about the command line as a whole, as one line. */
function asUsage(error: unknown): unknown {
  const { constructor, args, message } = error as {
    constructor: { name: string };
    args?: { name?: string }[] | string[];
    message: string;
  };
  switch (constructor.name) {
    case 'RequiredArgsError':
      return new UsageError(
        `missing ${(args as { name: string }[]).map((arg) => arg.name.toUpperCase()).join(' and ')}: see --help`,
      );
    case 'UnexpectedArgsError':
      return new UsageError(`unexpected argument '${String(args?.[0])}': see --help`);
    case 'FailedFlagValidationError':
    case 'ViolatedFlagConstraintError':
      return new UsageError(
        message
          .split('\n')
          .slice(1, -1)
          .map((line) => line.trim())
          .join('; '),
      );
    default:
      return error;
  }
}

/**
 * The base of every verb. `-h` and `--help` show help, unless the verb has an `-h` of its own.
 * In run(): `const { flags, args } = await this.parse(TheVerb)`.
 */
export abstract class BaseCommand extends Command {
  static override async run<T extends Command>(
    this: new (argv: string[], config: Config) => T,
    argv: string[] = [],
    options?: Interfaces.LoadOptions,
  ): Promise<ReturnType<T['run']>> {
    // oclif would load a given configuration a second time.
    const config =
      options instanceof Config ? options : await Config.load(options ?? import.meta.url);
    const verb = new this(argv, config) as unknown as BaseCommand;
    return verb._run<ReturnType<T['run']>>();
  }

  /**
   * Aborted by the first SIGINT or SIGTERM, so that the verb can drain and report; the second one
   * ends the process. Without a look at it, the first one does (exit code 0 either way).
   */
  protected get stop(): AbortSignal {
    return stopSignal();
  }

  /** Prints this verb's help on stdout. */
  protected async showHelp(): Promise<void> {
    const { showVerbHelp } = await import('./help.js');
    await showVerbHelp(this.config, this.ctor.id);
  }

  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(
    options?: Interfaces.Input<F, B, A>,
    argv: string[] = this.argv,
  ): Promise<Interfaces.ParserOutput<F, B, A>> {
    const input = options ?? (this.ctor as unknown as Interfaces.Input<F, B, A>);
    const flags = { ...input.baseFlags, ...input.flags } as unknown as Definitions;
    const ownHelp = Object.values(flags).some((flag) => flag.char === 'h');
    const help = { type: 'boolean', ...(ownHelp ? {} : { char: 'h' }) } as const;
    const shapes = { ...flags, help };
    const words = readWords(argv, shapes);
    if (words.flags.some((word) => word.name === 'help')) {
      await this.showHelp();
      this.exit(0);
    }

    // oclif gets "#N" for each value, so that no value can be taken for a flag.
    const values = lastWins(words.flags, shapes);
    const lookUp = (name: string) => (token: string) => {
      const word: FlagWord | undefined = /^#\d+$/.test(token)
        ? values[Number(token.slice(1))]
        : undefined;
      return { name: word?.spelled ?? `--${name}`, value: word?.value ?? token };
    };
    const guardedFlags = Object.entries(flags).map(([name, flag]) => [
      name,
      flag.type === 'boolean'
        ? flag
        : {
            ...flag,
            name,
            options: undefined,
            multipleNonGreedy: true,
            parse: guarded(flag.parse, flag.options, lookUp(name)),
          },
    ]);
    const guardedArgs = Object.entries((input.args ?? {}) as unknown as Definitions).map(
      ([name, arg]) => [
        name,
        {
          ...arg,
          name,
          options: undefined,
          // A missing argument is an error, not a reason to read stdin.
          ignoreStdin: true,
          parse: guarded(arg.parse, arg.options, (value) => ({ name: name.toUpperCase(), value })),
        },
      ],
    );
    const canonical = values.flatMap((word, i) =>
      word.value === undefined
        ? [`--${word.negated ? 'no-' : ''}${word.name}`]
        : [`--${word.name}`, `#${i}`],
    );
    try {
      return await super.parse(
        {
          ...input,
          strict: (input as { strict?: boolean }).strict ?? true,
          baseFlags: {},
          flags: Object.fromEntries(guardedFlags),
          args: Object.fromEntries(guardedArgs),
        } as unknown as Interfaces.Input<F, B, A>,
        [...canonical, '--', ...words.args],
      );
    } catch (error) {
      throw asUsage(error);
    }
  }
}
