// SPDX-License-Identifier: BSD-2-Clause
// The parts of the manual pages that repeat a verb's flags, from the flag definitions themselves:
//   node scripts/man.mjs    writes them between the marker comments of man/vale-VERB.8
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { inRoot } from './lib.mjs';

/** Verbs with a page of their own in section 8. */
export const VERBS = [
  'pkt-gen',
  'bridge',
  'capture',
  'ctl',
  'run',
  'extcap',
  'demo',
  'doctor',
  'completion',
];

/** Text with what roff would take for itself escaped. */
function escape(text) {
  return text
    .replaceAll('\\', '\\e')
    .replace(
      /(^|[\s(,])(-{1,2})(?=\w)/g,
      (_, before, dashes) => before + '\\-'.repeat(dashes.length),
    )
    .replace(/^([.'])/, '\\&$1');
}

/** A sentence a line, as mdoc wants it, no line above 80 characters. */
function prose(text) {
  return text.split(/(?<=[.?])\s+/).flatMap((sentence) => {
    const lines = [''];
    for (const word of sentence.split(/\s+/)) {
      const line = lines.at(-1);
      if (line !== '' && line.length + word.length > 78) lines.push(word);
      else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    }
    return lines.map(escape);
  });
}

/** What a flag's value is called, as manual pages do: in small letters. */
const value = (flag) => (flag.helpValue ?? flag.name).toLowerCase();

function item(name, flag) {
  const takes = flag.type === 'option';
  const long = takes ? `Fl -${name} Ns = Ns Ar ${value(flag)}` : `Fl -${name}`;
  const short = flag.char ? `Fl ${flag.char}${takes ? ` Ar ${value(flag)}` : ''} , ` : '';
  const preset =
    takes && flag.default !== undefined && flag.default !== 0 ? [`Default: ${flag.default}.`] : [];
  const named = flag.helpValue
    ? flag.summary.replace(new RegExp(`\\b(?:${flag.helpValue})\\b`, 'g'), value(flag))
    : flag.summary;
  return [`.It ${short}${long}`, ...prose(named), ...preset.flatMap(prose)];
}

/** Options that mean more when they are given again: those with several values, and "May be repeated". */
const repeatable = ({ multiple, summary }) => multiple || /may be repeated/i.test(summary);

/** The list of options, in mdoc, and what becomes of one that is given twice. */
export function optionList(flags) {
  const entries = Object.entries(flags);
  const items = entries.flatMap(([name, flag]) => item(name, flag));
  const all = entries.filter(([, flag]) => repeatable(flag));
  const except = all.map(([name, { char }]) => `.Fl ${char ?? `-${name}`}`);
  const list = [
    '.Bl -tag -width Ds',
    ...items,
    '.It Fl -help',
    'Show a summary of the options.',
    '.El',
  ];
  if (items.length === 0) return list;
  const rule = 'Of an option given more than once the last one counts';
  return [
    ...list,
    '.Pp',
    ...(all.length > 0 ? [`${rule}, except for`, ...listed(except)] : [`${rule}.`]),
  ];
}

/** The synopsis, in mdoc: options with a letter, then those without. */
export function synopsis(verb, { flags = {}, args = {} }) {
  const lines = [`.Nm vale ${verb}`];
  const words = Object.entries(flags).map(([name, flag]) => {
    const spelled = flag.char
      ? `Fl ${flag.char}${flag.type === 'option' ? ` Ar ${value(flag)}` : ''}`
      : `Fl -${name}${flag.type === 'option' ? ` Ns = Ns Ar ${value(flag)}` : ''}`;
    return flag.required ? `.${spelled}` : `.Op ${spelled}`;
  });
  return [...lines, ...words, ...Object.keys(args).map((name) => `.Op Ar ${name}`)];
}

/** The actions below a verb, in mdoc; what the verb's own flags mean is not said again. */
export function actionList(verb, commands) {
  const common = Object.keys(commands[verb].flags);
  const actions = Object.entries(commands).filter(([name]) => name.startsWith(`${verb}:`));
  const items = actions.flatMap(([name, { summary, flags = {}, args = {} }]) => {
    const words = Object.entries(args).map(([arg, { required }]) =>
      required ? `Ar ${arg}` : `Op Ar ${arg}`,
    );
    const own = Object.entries(flags).filter(([flag]) => !common.includes(flag));
    const also = Object.entries(flags).filter(([flag]) => common.includes(flag));
    const spelled = also.map(([flag, { char }]) => `.Fl ${char ?? `-${flag}`}`);
    return [
      `.It ${['Cm', ...name.split(':').slice(1), ...words].join(' ')}`,
      ...prose(summary),
      ...(spelled.length > 0 ? ['Takes', ...listed(spelled)] : []),
      ...own.flatMap(([flag, { summary: text }]) => [
        '.Pp',
        'With',
        `.Fl -${flag} :`,
        ...prose(text),
      ]),
    ];
  });
  return ['.Bl -tag -width Ds', ...items, '.El'];
}

/** Macro lines joined as "a, b and c." */
function listed(lines) {
  return lines.flatMap((line, i) => {
    if (i === lines.length - 1) return [...(i > 0 ? ['and'] : []), `${line} .`];
    return [i < lines.length - 2 ? `${line} ,` : line];
  });
}

/** The page with the text between its markers replaced. Throws if a marker is missing. */
export function fill(page, name, lines) {
  const begin = `.\\" BEGIN ${name}, written by scripts/man.mjs\n`;
  const end = `.\\" END ${name}\n`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`no markers for ${name}`);
  return page.slice(0, from + begin.length) + `${lines.join('\n')}\n` + page.slice(to);
}

/** The manual page of a verb as it should be. */
export function manPage(verb, page, commands) {
  const parts = {
    SYNOPSIS: () => synopsis(verb, commands[verb]),
    OPTIONS: () => optionList(commands[verb].flags ?? {}),
    ACTIONS: () => actionList(verb, commands),
  };
  return Object.entries(parts)
    .filter(([name]) => page.includes(`BEGIN ${name},`))
    .reduce((text, [name, lines]) => fill(text, name, lines()), page);
}

export const manFile = (verb) => inRoot('man', `vale-${verb}.8`);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bundle } = await import('./bundle.mjs');
  await bundle();
  const { COMMANDS } = await import('../dist/commands.js');
  for (const verb of VERBS.filter((name) => COMMANDS[name])) {
    const file = manFile(verb);
    writeFileSync(file, manPage(verb, readFileSync(file, 'utf8'), COMMANDS));
  }
}
