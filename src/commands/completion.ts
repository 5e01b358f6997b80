// SPDX-License-Identifier: BSD-2-Clause
import { Args } from '@oclif/core';

import { BaseCommand } from '../base-command.js';

const SHELLS = ['bash', 'zsh', 'fish', 'names'] as const;

export default class Completion extends BaseCommand {
  static override summary = 'Print a script that completes the command line in bash, zsh or fish.';

  static override description =
    'The script completes verbs, actions, options, and names of ports and interfaces as they are when it is asked; for those it runs vale completion names.';

  static override examples = [
    'source <(<%= config.bin %> completion bash)',
    'source <(<%= config.bin %> completion zsh)',
    '<%= config.bin %> completion fish | source',
  ];

  static override args = {
    shell: Args.string({
      required: true,
      options: [...SHELLS],
      description: 'bash, zsh or fish; or names: the names of ports and interfaces there are now.',
    }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(Completion);
    if (args.shell === 'names') {
      const { liveNames } = await import('../session/completion.js');
      for (const name of liveNames()) this.log(name);
      return;
    }
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
}
