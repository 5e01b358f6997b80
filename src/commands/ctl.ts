// SPDX-License-Identifier: BSD-2-Clause
import { Flags } from '@oclif/core';

import { BaseCommand } from '../base-command.js';
import { nearest, UsageError } from '../errors.js';
import {
  attachFlags,
  attachHow,
  configFor,
  outputFlags,
  pollingFor,
  verboseFlag,
  watchFlags,
  wishFlags,
} from '../options/ctl.js';
import { createdLines, indexLines, infoLines, portIndexLine } from '../report/ctl-plain.js';
import { listView } from '../report/ctl-views.js';
import { withControl, type Control } from '../session/control.js';
import { show } from '../session/show.js';
import { actions } from './ctl/index.js';

/** The flags that say what to do, and how an error calls them. */
const DOING = {
  create: '-n',
  remove: '-r',
  attach: '-a',
  'attach-host': '-h',
  detach: '-d',
  info: '-g',
  index: '-l',
  'poll-on': '-p',
  'poll-off': '-P',
} as const;
type Doing = keyof typeof DOING;

/** Options that say how something is done, and the actions that do it. */
const MANNER = {
  ...(Object.fromEntries(
    Object.keys(attachFlags).map((name) => [name, ['attach', 'attach-host']]),
  ) as Record<keyof typeof attachFlags, Doing[]>),
  config: ['create', 'attach', 'attach-host', 'poll-on'],
  memid: ['create', 'attach', 'attach-host', 'info'],
} as const satisfies Record<string, readonly Doing[]>;

/** An option that would do nothing is refused, lest somebody believes it did. */
function refuseIdle(flags: object, action: Doing | undefined): void {
  const given = flags as Record<string, unknown>;
  for (const [option, used] of Object.entries(MANNER)) {
    if (given[option] === undefined || given[option] === false) continue;
    if (action !== undefined && (used as readonly Doing[]).includes(action)) continue;
    const spelled = option === 'config' ? '-C' : option === 'memid' ? '-m' : `--${option}`;
    const letters = used.map((one) => DOING[one]);
    const where = `${letters.slice(0, -1).join(', ')} and ${letters.at(-1)}`;
    throw new UsageError(
      action === undefined
        ? `${spelled} goes with ${where}, not with the listing: leave it out`
        : `${spelled} goes with ${where}, not with ${DOING[action]}: leave it out`,
    );
  }
}

const doing = (char: string, helpValue: string, summary: string) =>
  Flags.string({ char: char as 'n', helpValue, summary });

export default class Ctl extends BaseCommand {
  static override summary = 'List ports and switches; create, attach, detach and remove ports.';

  static override description =
    "Without an action, lists all. The options -n -r -a -h -d -g -l -p -P are those of netmap's vale-ctl, one a call; the actions do the same and more. -h attaches a port with its host stack; --help is help.";

  static override examples = [
    '<%= config.bin %> ctl',
    '<%= config.bin %> ctl --watch',
    '<%= config.bin %> ctl -n p0',
    '<%= config.bin %> ctl -a vale0:p0',
    '<%= config.bin %> ctl -a vale0:eth1',
    '<%= config.bin %> ctl -a vale0:vm1 --vhost-user vm1.sock',
    '<%= config.bin %> ctl -l vale0:p0',
    '<%= config.bin %> ctl stats vale0',
    '<%= config.bin %> ctl fdb show vale0',
  ];

  static override flags = {
    create: doing('n', 'NAME', 'Create a persistent port.'),
    remove: doing('r', 'NAME', 'Remove a persistent port.'),
    attach: doing(
      'a',
      'SWITCH:NAME',
      'Attach a network interface, a virtual machine or a persistent port to a switch.',
    ),
    'attach-host': doing(
      'h',
      'SWITCH:NAME',
      'Attach a network interface and its host stack to a switch.',
    ),
    detach: doing(
      'd',
      'SWITCH:NAME',
      'Detach an interface, a virtual machine or a persistent port from its switch.',
    ),
    info: doing('g', 'PORT', 'Print slots, rings and memory of a port.'),
    index: doing(
      'l',
      'SWITCH:NAME',
      "Print the indices of a switch's port; 255 where there is none.",
    ),
    'poll-on': doing('p', 'SWITCH:NAME', 'Start polling an attached network interface.'),
    'poll-off': doing('P', 'SWITCH:NAME', 'Stop polling an attached network interface.'),
    config: Flags.string({
      char: 'C',
      helpValue: 'CONFIG',
      summary: `${wishFlags.config.summary} With -p: 0 and the core that polls, or 1, the first core, and how many, 1 or 2.`,
    }),
    memid: wishFlags.memid,
    ...attachFlags,
    verbose: verboseFlag,
    ...outputFlags,
    ...watchFlags,
  };

  static override strict = false;

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Ctl);
    this.refuseWords(argv as string[]);
    const chosen = (Object.keys(DOING) as Doing[]).filter((key) => flags[key] !== undefined);
    const [action, second] = chosen;
    if (second !== undefined)
      throw new UsageError(
        `${DOING[action!]} and ${DOING[second]} are two actions: give one of them a call`,
      );
    refuseIdle(flags, action);
    if (action === undefined) {
      const stop = flags.watch ? this.unread : undefined;
      return withControl((control) => show(listView, flags, () => control.look(), stop));
    }
    if (flags.watch)
      throw new UsageError(`--watch goes with the listing, not with ${DOING[action]}`);
    if (flags.json)
      throw new UsageError(
        `--json goes with the listing, not with ${DOING[action]}: use vale ctl info or vale ctl index`,
      );
    const name = flags[action] ?? '';
    if (action === 'index' && !name.startsWith('vale'))
      throw new UsageError(
        `expected a port of a switch, as in vale0:a, for -l but received ${name}`,
      );
    const polls = action === 'poll-on';
    const polling = polls ? pollingFor(flags.config) : undefined;
    const config = polls || flags.config === undefined ? undefined : configFor(flags.config);
    const how = attachHow(flags, action === 'attach-host');
    await withControl((control) => {
      const wishes = { config, memid: flags.memid };
      const lines = act(control, action, name, { wishes, how, polling }, flags.verbose);
      for (const line of lines) this.log(line);
    });
  }

  /** "vale ctl fdb add …" is the class of "ctl fdb add"; all else is this one. */
  protected override async _run<T>(): Promise<T> {
    const [first = '', second = '', ...rest] = this.argv;
    if (!Object.hasOwn(actions, first)) return super._run<T>();
    const deeper = Object.hasOwn(actions, `${first}:${second}`);
    const name = deeper ? `${first}:${second}` : first;
    const parts = names(`${first}:`);
    if (!deeper && parts.length > 0 && /^[a-z]/.test(second) && !second.startsWith('vale'))
      throw unknownAction(second, parts, `ctl ${first}`);
    const Action = (await actions[name]!()).default;
    Action.id = `ctl:${name}`;
    return Action.run(deeper ? rest : this.argv.slice(1), this.config) as Promise<T>;
  }

  private refuseWords([word]: string[]): void {
    if (word === undefined) return;
    if (Object.hasOwn(actions, word))
      throw new UsageError(
        `${word} and an option before it are two actions: write vale ctl ${word} first`,
      );
    throw unknownAction(word, names(''), 'ctl');
  }
}

/** Names of the actions right below `prefix`. */
function names(prefix: string): string[] {
  return Object.keys(actions)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((name) => !name.includes(':'));
}

function unknownAction(word: string, known: string[], where: string): UsageError {
  const near = nearest(word, known);
  return new UsageError(
    `unknown action '${word}': ${near ? `did you mean '${near}'?` : `see vale ${where} --help`}`,
  );
}

interface Manner {
  wishes: Parameters<Control['create']>[1];
  how: Parameters<Control['attach']>[1];
  polling: Parameters<Control['poll']>[1];
}

/** @returns what to print */
function act(
  control: Control,
  action: Doing,
  name: string,
  { wishes, how, polling }: Manner,
  verbose: boolean,
): string[] {
  const told = (index: number): string[] => (verbose ? [portIndexLine(index)] : []);
  switch (action) {
    case 'create': {
      const info = control.create(name, wishes);
      return verbose ? createdLines(info) : [];
    }
    case 'remove':
      control.remove(name);
      return [];
    case 'attach':
    case 'attach-host':
      return told(control.attach(name, how, wishes));
    case 'detach':
      return told(control.detach(name));
    case 'info':
      return infoLines(control.info(name, wishes.memid));
    case 'index':
      return indexLines(control.index(name));
    case 'poll-on':
    case 'poll-off':
      control.poll(name, polling);
      return [];
  }
}
