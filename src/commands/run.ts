// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../base-command.js';
import { UsageError, ValeError } from '../errors.js';
import { native, preloadLibrary } from '../native.js';
import { checkProgram, findProgram } from '../session/program.js';

/** LD_PRELOAD with our library first. */
function preloadList(library: string, before: string | undefined): string {
  if (/[:\s]/.test(library))
    throw new ValeError(
      `${library}: LD_PRELOAD cannot name a path with a space or colon; install vale elsewhere`,
    );
  return before ? `${library}:${before}` : library;
}

export default class Run extends BaseCommand {
  static override summary =
    'Run a program that was written for netmap or libpcap on switches here.';

  static override description =
    'The program finds a /dev/netmap, and libpcap devices named vale…; everything else is as ' +
    "always. Options after PROGRAM are the program's, and so is the exit code.";

  static override examples = [
    '<%= config.bin %> run pkt-gen -i vale0:a -f tx',
    '<%= config.bin %> run tcpdump -i vale0:mon -n',
    '<%= config.bin %> run sh -c "bridge -i vale0:a -i vale1:b"',
  ];

  static override strict = false;

  static override args = {
    program: Args.string({ required: true, description: 'The program, and then its arguments.' }),
  };

  async run(): Promise<void> {
    const [first, ...rest] = this.argv;
    if (first === '-h' || first === '--help') return this.showHelp();
    const words = first === '--' ? rest : this.argv;
    const [word] = words;
    if (word === undefined) throw new UsageError('missing PROGRAM: see --help');
    if (first !== '--' && word.startsWith('-'))
      throw new UsageError(`unknown option '${word}': vale run takes none; see --help`);
    const file = findProgram(word);
    checkProgram(file);
    // Of our own device, whichever one the program, which may be this one again, is to open.
    const runtime = native().openRuntime();
    if (runtime.warning !== '') this.logToStderr(`vale: ${runtime.warning}`);
    const { directory } = runtime;
    runtime.close();
    const environment = {
      ...process.env,
      LD_PRELOAD: preloadList(preloadLibrary(), process.env['LD_PRELOAD']),
      VALE_DIR: directory,
    };
    native().execute(
      file,
      words,
      Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    );
  }
}
