// SPDX-License-Identifier: BSD-2-Clause
/**
 * What may follow a port's name: which rings ("*", "^", "^N", "-N"), flags ("/x"), the memory
 * ("@3"), and options ("@conf:slots=512@share=vale0:b"). Pure text in, values out.
 */
import { NameError, quote } from './name-error.js';
import { FLAG_LETTERS, MAX_MEM_ID, MAX_RING, RegMode } from './registration.js';

/** The wishes of "@conf:". Rings and slots; absent = the default. */
export interface ConfOption {
  txSlots?: number;
  rxSlots?: number;
  txRings?: number;
  rxRings?: number;
  hostTxRings?: number;
  hostRxRings?: number;
}

/** "@extmem:": the region is a file of the caller's. Sizes in bytes. */
export interface ExtmemOption {
  file: string;
  ifNum?: number;
  ifSize?: number;
  ringNum?: number;
  ringSize?: number;
  bufNum?: number;
  bufSize?: number;
}

export interface NameOptions {
  conf?: ConfOption;
  /** "@share=PORT": use the memory of that port. The text is itself a name. */
  share?: string;
  extmem?: ExtmemOption;
}

export interface NameSuffix {
  mode: RegMode;
  /** Ring number, meaningful for the one-ring modes. */
  ringId: number;
  /** NR_* bits. */
  flags: number;
  /** 0 = none given. */
  memId: number;
  options: NameOptions;
}

const CONF_KEYS: Readonly<Record<string, readonly (keyof ConfOption)[]>> = {
  rings: ['txRings', 'rxRings'],
  host_rings: ['hostTxRings', 'hostRxRings'],
  slots: ['txSlots', 'rxSlots'],
  tx_rings: ['txRings'],
  rx_rings: ['rxRings'],
  host_tx_rings: ['hostTxRings'],
  host_rx_rings: ['hostRxRings'],
  tx_slots: ['txSlots'],
  rx_slots: ['rxSlots'],
};

const EXTMEM_KEYS: Readonly<Record<string, keyof ExtmemOption>> = {
  file: 'file',
  if_num: 'ifNum',
  if_size: 'ifSize',
  ring_num: 'ringNum',
  ring_size: 'ringSize',
  buf_num: 'bufNum',
  buf_size: 'bufSize',
};

/** Bigger numbers do not fit the request's 32-bit fields. */
const MAX_VALUE = 0xffffffff;

const leadingDigits = (text: string): string => /^\d*/.exec(text)?.[0] ?? '';

/** "-N" and "^N": digits of a ring number, checked. */
export function ringNumber(input: string, digits: string): number {
  const ring = Number(digits);
  if (ring > MAX_RING)
    throw new NameError(
      input,
      digits,
      `ring ${quote(digits)} is out of range`,
      `use a ring from 0 to ${MAX_RING}`,
    );
  return ring;
}

/**
 * Parses everything after the base name and pipe. `given` is what the name part already decided
 * (the "-N" of "vale0:a-3").
 */
export function parseSuffix(
  input: string,
  text: string,
  given: { ringId?: number } = {},
): NameSuffix {
  const result: NameSuffix = { mode: RegMode.AllNic, ringId: 0, flags: 0, memId: 0, options: {} };
  let rest = text;
  if (given.ringId !== undefined) {
    result.mode = RegMode.OneNic;
    result.ringId = given.ringId;
  } else {
    rest = parseRings(input, text, result);
  }
  while (rest !== '') {
    if (rest.startsWith('/')) {
      rest = parseFlags(input, rest.slice(1), result);
    } else if (/^@\d/.test(rest)) {
      rest = parseMemId(input, rest.slice(1), result);
    } else if (rest.startsWith('@')) {
      parseOptions(input, rest, result);
      rest = '';
    } else {
      throw new NameError(input, rest, `${quote(rest)} cannot stand here`, unexpectedHint(rest));
    }
  }
  return result;
}

function unexpectedHint(rest: string): string {
  return rest.startsWith('{') || rest.startsWith('}')
    ? 'put a pipe right after the name, as in vale0:a{1-0'
    : 'only "/" with flags or "@" with a memory id or options may follow';
}

function parseRings(input: string, text: string, result: NameSuffix): string {
  if (text.startsWith('*')) {
    result.mode = RegMode.NicAndHost;
    return text.slice(1);
  }
  if (text.startsWith('^')) {
    const digits = leadingDigits(text.slice(1));
    result.mode = digits === '' ? RegMode.Host : RegMode.OneHost;
    if (digits !== '') result.ringId = ringNumber(input, digits);
    return text.slice(1 + digits.length);
  }
  if (text.startsWith('-')) {
    const digits = leadingDigits(text.slice(1));
    if (digits === '')
      throw new NameError(input, '-', 'no ring number after "-"', 'give one, as in vale0:a-0');
    result.mode = RegMode.OneNic;
    result.ringId = ringNumber(input, digits);
    return text.slice(1 + digits.length);
  }
  return text;
}

function parseFlags(input: string, text: string, result: NameSuffix): string {
  if (text === '')
    throw new NameError(
      input,
      '/',
      'no flags after "/"',
      'give some of x z t r R T, or drop the "/"',
    );
  for (let i = 0; i < text.length; i++) {
    const letter = text.charAt(i);
    if (letter === '@') return text.slice(i);
    const bit = Object.hasOwn(FLAG_LETTERS, letter) ? FLAG_LETTERS[letter] : undefined;
    if (bit === undefined)
      throw new NameError(
        input,
        letter,
        `${quote(letter)} is no flag`,
        'use some of x z t r R T after "/"',
      );
    result.flags |= bit;
  }
  return '';
}

function parseMemId(input: string, text: string, result: NameSuffix): string {
  const digits = leadingDigits(text);
  const id = Number(digits);
  if (id < 1 || id > MAX_MEM_ID)
    throw new NameError(
      input,
      `@${digits}`,
      `memory id ${quote(digits)} is out of range`,
      `use @1 to @${MAX_MEM_ID}`,
    );
  if (result.memId !== 0 && result.memId !== id)
    throw new NameError(
      input,
      `@${digits}`,
      'two different memory ids',
      `keep one of @${result.memId} and @${digits}`,
    );
  result.memId = id;
  return text.slice(digits.length);
}

function parseOptions(input: string, text: string, result: NameSuffix): void {
  for (const option of text.slice(1).split('@')) {
    if (option === '')
      throw new NameError(
        input,
        '@',
        'nothing after "@"',
        'give a memory id as in @3 or an option as in @conf:slots=512',
      );
    const name = /^[^:=]*/.exec(option)?.[0] ?? '';
    const body = option.slice(name.length);
    switch (name) {
      case 'conf':
        result.options.conf = { ...result.options.conf, ...parseConf(input, body) };
        break;
      case 'share':
        parseShare(input, body, result);
        break;
      case 'extmem':
        result.options.extmem = parseExtmem(input, body);
        break;
      case 'offset':
        throw new NameError(
          input,
          name,
          'option "offset" is disabled',
          'drop it: offsets are asked for by programs, not in names',
          'EOPNOTSUPP',
        );
      default:
        throw new NameError(
          input,
          name,
          `${quote(name)} is no option`,
          'use @conf:, @share= or @extmem:',
        );
    }
  }
}

/** ":key=value,key=value", or "=value" for the option's default key. Keys come back with "_". */
function parseKeys(
  input: string,
  option: string,
  body: string,
  known: readonly string[],
  defaultKey?: string,
): Map<string, string> {
  const values = new Map<string, string>();
  const example =
    option === 'conf' ? '@conf:slots=512' : `@${option}=${option === 'share' ? 'vale0:b' : 'FILE'}`;
  if (body.length <= 1)
    throw new NameError(
      input,
      option,
      `option ${quote(option)} says nothing`,
      `write it as in ${example}`,
    );
  if (body.startsWith('=')) {
    if (defaultKey === undefined)
      throw new NameError(
        input,
        body,
        `option ${quote(option)} needs a key`,
        `write it as in ${example}`,
      );
    return values.set(defaultKey, body.slice(1));
  }
  for (const pair of body.slice(1).split(',')) {
    const equals = pair.indexOf('=');
    const typed = equals < 0 ? pair : pair.slice(0, equals);
    const key = typed.charAt(0) + typed.slice(1).replaceAll('-', '_');
    if (!known.includes(key))
      throw new NameError(
        input,
        typed,
        `${quote(typed)} is no key of ${quote(option)}`,
        `use some of ${known.join(', ')}`,
      );
    if (equals < 0 || equals === pair.length - 1)
      throw new NameError(input, typed, `${quote(typed)} has no value`, `write ${typed}=VALUE`);
    if (values.has(key))
      throw new NameError(input, typed, `${quote(typed)} is given twice`, 'give it once');
    values.set(key, pair.slice(equals + 1));
  }
  return values;
}

function numberValue(input: string, key: string, value: string): number {
  if (!/^\d+$/.test(value) || Number(value) > MAX_VALUE)
    throw new NameError(
      input,
      value,
      `${quote(value)} is no number`,
      `give ${key} a decimal number`,
    );
  return Number(value);
}

function parseConf(input: string, body: string): ConfOption {
  const values = parseKeys(input, 'conf', body, Object.keys(CONF_KEYS));
  const conf: ConfOption = {};
  // The table lists general keys first, so the specific ones override them in whatever order typed.
  for (const [key, fields] of Object.entries(CONF_KEYS)) {
    const value = values.get(key);
    if (value === undefined) continue;
    const number = numberValue(input, key, value);
    if (number === 1 && key.endsWith('slots'))
      throw new NameError(
        input,
        `${key}=${value}`,
        'a ring of one slot holds no frame, for one always stays free',
        'ask for 2 or more',
      );
    for (const field of fields) conf[field] = number;
  }
  return conf;
}

function parseShare(input: string, body: string, result: NameSuffix): void {
  const port = parseKeys(input, 'share', body, ['port'], 'port').get('port');
  if (result.memId !== 0)
    throw new NameError(
      input,
      `share${body}`,
      'a memory id and a port to share with',
      `keep one of @${result.memId} and @share`,
    );
  result.options.share = port;
}

function parseExtmem(input: string, body: string): ExtmemOption {
  const values = parseKeys(input, 'extmem', body, Object.keys(EXTMEM_KEYS), 'file');
  const file = values.get('file');
  if (file === undefined)
    throw new NameError(input, `extmem${body}`, 'option "extmem" names no file', 'add file=FILE');
  const extmem: ExtmemOption = { file };
  for (const [key, value] of values) {
    const field = EXTMEM_KEYS[key];
    if (field !== undefined && field !== 'file') extmem[field] = numberValue(input, key, value);
  }
  return extmem;
}
