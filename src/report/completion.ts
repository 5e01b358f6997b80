// SPDX-License-Identifier: BSD-2-Clause
// Scripts that complete the command line, from the verbs' own definitions. Names of ports and
// interfaces are asked for when they are needed: `vale completion names KIND WORD`, which is for these
// scripts alone.
import type { Kind, Option, Verb } from '../session/completion-words.js';
import { quoted } from '../shell.js';

const spellings = (verb: Verb) => verb.options.flatMap(({ spelled }) => spelled).join(' ');

/** What completes the value of an option, as a line of the bash script; undefined: nothing. */
function bashValue({ value }: Option): string | undefined {
  if (value === undefined) return undefined;
  if (value === 'file') return 'kind=files';
  if (value === 'other') return undefined;
  return 'kind' in value ? `kind=${value.kind}` : `offer=${quoted(value.join(' '))}`;
}

/** For bash, and for zsh through its bashcompinit. */
export function bashScript(verbs: readonly Verb[], root: readonly string[]): string {
  const cases = verbs.flatMap((verb) => [
    `    ${quoted(verb.path)})`,
    `      opts=${quoted(spellings(verb))}`,
    ...(verb.actions.length > 0 ? [`      offer=${quoted(verb.actions.join(' '))}`] : []),
    ...(verb.argument ? [`      kind=${verb.argument}`] : []),
    '      case $before in',
    ...verb.options.flatMap((option) => {
      if (option.value === undefined) return [];
      const value = bashValue(option);
      return [
        `        ${option.spelled.join('|')}) opts= offer= kind=${value === undefined ? '' : `; ${value}`} ;;`,
      ];
    }),
    '      esac ;;',
  ]);
  const paths = verbs.map(({ path }) => quoted(path)).join('|');
  return `# vale: completion for bash, and for zsh after bashcompinit.
_vale() {
  [ -z "\${ZSH_VERSION-}" ] || setopt localoptions shwordsplit ksharrays
  local line=\${COMP_LINE:0:$COMP_POINT} opts= offer= kind= word words place= option=
  local current=\${line##*[[:space:]]}
  local typed=\${line%"$current"} before
  typed=\${typed%"\${typed##*[![:space:]]}"}
  before=\${typed##*[[:space:]]}
  case $current in
    --*=*) option=\${current%%=*}= before=\${current%%=*} current=\${current#*=} ;;
  esac
  set -f
  words=\${typed#*[[:space:]]}
  [ "$words" != "$typed" ] || words=
  for word in $words; do
    case $word in -*) continue ;; esac
    case "\${place:+$place }$word" in
      ${paths}) place="\${place:+$place }$word" ;;
      *) [ -n "$place" ] || place=unknown ;;
    esac
  done
  set +f
  case $place in
    '')
      opts='--help --version'
      offer=${quoted(root.join(' '))} ;;
${cases.join('\n')}
  esac
  case $current in -*) [ -z "$opts" ] || offer=$opts kind= ;; esac
  case $kind in
    '') ;;
    files) COMPREPLY=($(compgen -f -- "$current")); return ;;
    *) offer="$offer $(vale completion names "$kind" "$current" 2>/dev/null)" ;;
  esac
  COMPREPLY=($(compgen -W "$offer" -- "$current"))
  if [ -n "\${ZSH_VERSION-}" ]; then
    [ -z "$option" ] || COMPREPLY=("\${COMPREPLY[@]/#/$option}")
    return
  fi
  # After a switch comes its port, not the next word.
  case \${COMPREPLY[0]-} in *:) compopt -o nospace 2>/dev/null ;; esac
  # A colon ends a word for readline: what stands before it is on the line already.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%:*}:"}")
  fi
}
complete -F _vale vale vale-switch
`;
}

export function zshScript(verbs: readonly Verb[], root: readonly string[]): string {
  return `autoload -U +X compinit bashcompinit
(( \${+functions[compdef]} )) || compinit
bashcompinit
${bashScript(verbs, root)}`;
}

const fishQuote = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`;
const fishLive = (kind: Kind) => `'(vale completion names ${kind} (commandline -ct))'`;

function fishValue(value: NonNullable<Option['value']>): string {
  if (value === 'file') return '-rF';
  if (value === 'other') return '-x';
  return `-xa ${'kind' in value ? fishLive(value.kind) : fishQuote(value.join(' '))}`;
}

export function fishScript(verbs: readonly Verb[], root: readonly Verb[]): string {
  const lines = root.map(
    ({ path, summary }) =>
      `complete -c vale -n __fish_use_subcommand -a ${path} -d ${fishQuote(summary)}`,
  );
  for (const { path, actions, options, argument } of verbs) {
    const [verb = '', ...deeper] = path.split(' ');
    const on = ['__fish_seen_subcommand_from ' + verb]
      .concat(deeper.map((word) => `__fish_seen_subcommand_from ${word}`))
      .join('; and ');
    const condition = fishQuote(on);
    if (actions.length > 0)
      lines.push(`complete -c vale -n ${condition} -a ${fishQuote(actions.join(' '))}`);
    if (argument) lines.push(`complete -c vale -n ${condition} -a ${fishLive(argument)}`);
    for (const { spelled, summary, value } of options) {
      const names = spelled.map((one) =>
        one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`,
      );
      const takes = value === undefined ? '' : ` ${fishValue(value)}`;
      lines.push(
        `complete -c vale -n ${condition} ${names.join(' ')}${takes} -d ${fishQuote(summary)}`,
      );
    }
  }
  return `# vale: completion for fish.
complete -c vale -f
${lines.join('\n')}
complete -c vale-switch -w vale
`;
}
