// SPDX-License-Identifier: BSD-2-Clause
// The commands `vale` and `vale-switch`: finds the verb, loads it alone, runs it.
import { Config } from '@oclif/core/config';

import packageJson from '../package.json' with { type: 'json' };
import { verbs, type VerbClass } from './commands/index.js';
import { nearest, UsageError } from './errors.js';
import { packageRoot } from './native.js';
import { die, mustFinish, ownOutput, ownProcess } from './process.js';

async function loadConfig(): Promise<Config> {
  // No plugins: oclif would look for them in the user's home, which may not be readable.
  return Config.load({
    root: packageRoot(),
    pjson: packageJson as never,
    userPlugins: false,
    devPlugins: false,
  });
}

function findVerb(name: string): (typeof verbs)[string] {
  const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (load) return load;
  const near = nearest(name, [...Object.keys(verbs), 'help']);
  const kind = name.startsWith('-') ? 'option' : 'command';
  const hint = near && kind === 'command' ? `did you mean '${near}'?` : 'see vale --help';
  throw new UsageError(`unknown ${kind} '${name}': ${hint}`);
}

async function runVerb(name: string, argv: string[]): Promise<void> {
  const load = findVerb(name);
  const Verb = (await load()).default as VerbClass & { id: string };
  ownOutput();
  Verb.id = name;
  await Verb.run.call(Verb as never, argv, await loadConfig());
  mustFinish(false);
}

/** Help on everything, or on the verb, or on the action of a verb, that `words` name. */
async function help(words: readonly string[]): Promise<void> {
  const { showRootHelp, showVerbHelp } = await import('./help.js');
  const [verb] = words;
  if (verb === undefined) return showRootHelp(await loadConfig());
  findVerb(verb);
  const config = await loadConfig();
  const action = words.join(':');
  return showVerbHelp(config, config.findCommand(action) ? action : verb);
}

function showVersion(): void {
  const { name, version } = packageJson;
  process.stdout.write(
    `${name} ${version} (${process.platform}-${process.arch}, node ${process.version})\n`,
  );
}

/**
 * Runs one command line to its end.
 * @param argv the words after the command's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  ownProcess();
  const [verb, ...rest] = argv;
  // Others run until they are stopped.
  mustFinish(verb === 'ctl');
  try {
    if (verb === undefined || verb === '-h' || verb === '--help') await help([]);
    else if (verb === 'help') await help(rest.filter((word) => !word.startsWith('-')));
    else if (verb === '-V' || verb === '--version') showVersion();
    else await runVerb(verb, rest);
  } catch (error) {
    const code = (error as { oclif?: { exit?: number } }).oclif?.exit;
    if ((error as { code?: string }).code !== 'EEXIT') return die(error);
    // No process.exit(): what was printed may fail to be written yet.
    process.exitCode = code ?? 0;
  }
}
