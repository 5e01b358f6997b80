// SPDX-License-Identifier: BSD-2-Clause
// What every verb has in common: how its words are read, how its errors look, how it is stopped.
import { Command } from '@oclif/core/command';
import { Config } from '@oclif/core/config';
import type { Interfaces } from '@oclif/core';

import { lastWins, readWords, type FlagWord } from './argv.js';
import { asUsage, guarded, missingFlag, type Definition } from './parse-errors.js';
import { stopSignal, unreadSignal } from './process.js';

type Definitions = Record<string, Definition>;

/** The flags for oclif's parser, which gets "#N" for the value of words[N]. */
function guardFlags(flags: Definitions, words: readonly FlagWord[]): Definitions {
  const guard = ([name, flag]: [string, Definition]): [string, Definition] => {
    if (flag.type === 'boolean') return [name, flag];
    const parse = guarded(flag, (token) => {
      const word = /^#\d+$/.test(token) ? words[Number(token.slice(1))] : undefined;
      return { name: word?.spelled ?? `--${name}`, value: word?.value ?? token };
    });
    return [name, { ...flag, options: undefined, multipleNonGreedy: true, parse }];
  };
  return Object.fromEntries(Object.entries(flags).map(guard));
}

/** The arguments for oclif's parser; a missing one is an error, not a reason to read stdin. */
function guardArgs(args: Definitions): Definitions {
  const guard = ([name, arg]: [string, Definition]): [string, Definition] => {
    const parse = guarded(arg, (value) => ({ name: name.toUpperCase(), value }));
    return [name, { ...arg, options: undefined, ignoreStdin: true, parse }];
  };
  return Object.fromEntries(Object.entries(args).map(guard));
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
   * Aborted by the first SIGINT, SIGTERM or SIGHUP, so that the verb can drain and report; the second one
   * ends the process. Without a look at it, the first one does (exit code 0 either way, but for `vale ctl`).
   */
  protected get stop(): AbortSignal {
    return stopSignal();
  }

  /** As `stop`, for a verb that only shows what comes: aborted too when nobody reads it any more. */
  protected get unread(): AbortSignal {
    return unreadSignal();
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

    const missing = Object.entries(flags).find(
      ([name, flag]) => flag.required && !words.flags.some((word) => word.name === name),
    );
    if (missing) throw missingFlag(...missing);

    // oclif gets "#N" for each value, so that no value can be taken for a flag.
    const values = lastWins(words.flags, shapes);
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
          flags: guardFlags(flags, values),
          args: guardArgs((input.args ?? {}) as unknown as Definitions),
        } as unknown as Interfaces.Input<F, B, A>,
        [...canonical, '--', ...words.args],
      );
    } catch (error) {
      throw asUsage(error);
    } finally {
      // oclif has put its own reading there; verbs may look at what was typed.
      this.argv = argv;
    }
  }
}
