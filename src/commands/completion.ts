// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../base-command.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export default class Completion extends BaseCommand {
  static override summary = 'Print a script that completes the command line in bash, zsh or fish.';

  static override description =
    'The script completes verbs, actions, options, and names of ports and interfaces as they are when it is asked.';

  static override examples = [
    'source <(<%= config.bin %> completion bash)',
    'source <(<%= config.bin %> completion zsh)',
    '<%= config.bin %> completion fish | source',
  ];

  static override args = {
    shell: Args.string({
      required: true,
      options: [...SHELLS],
      description: 'bash, zsh or fish.',
    }),
  };

  /** "vale completion names KIND WORD" is what the scripts ask; all else is this verb. */
  protected override async _run<T>(): Promise<T> {
    if (this.argv[0] !== 'names') return super._run<T>();
    await this.names(this.argv.slice(1));
    return undefined as T;
  }

  async run(): Promise<void> {
    const { args } = await this.parse(Completion);
    const { verbsOf } = await import('../session/completion.js');
    const { bashScript, fishScript, zshScript } = await import('../report/completion.js');
    const verbs = verbsOf(this.config.commands as never);
    const root = verbs.filter(({ path }) => !path.includes(' '));
    const words = root.map(({ path }) => path);
    const script =
      args.shell === 'fish'
        ? fishScript(verbs, root)
        : (args.shell === 'bash' ? bashScript : zshScript)(verbs, words);
    process.stdout.write(script);
  }

  private async names([kind = '', typed = '']: string[]): Promise<void> {
    const { liveNames } = await import('../session/completion.js');
    const { KINDS } = await import('../session/completion-words.js');
    const known = KINDS.find((one) => one === kind);
    for (const name of known === undefined ? [] : liveNames(known, typed)) this.log(name);
  }
}
