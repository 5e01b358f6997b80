// SPDX-License-Identifier: BSD-2-Clause
// Where the parts of a name are, and whether each can be one: prefix, base, ring number, pipe. What they mean together
// is name.ts's.
import { NameError, quote } from './name-error.js';
import { ringNumber } from './name-suffix.js';

/** The switch of a name that starts with "vale" and has no colon. */
export const DEFAULT_SWITCH = 'vale';
/** Prefix of a TAP device's name. */
export const TAP = 'tap';
/** Most characters of a switch's name, of the part after the colon, and of an interface's name. */
export const MAX_PART = 15;
/** Whether something of that kind exists now. Port names are full names, as listed. */
export type Exists = (kind: 'switch' | 'port' | 'interface', name: string) => boolean;

export interface Pipe {
  /** "{" or "}". */
  role: 'master' | 'slave';
  id: string;
}

const ENDS_NAME = /[{}*^/@]/;
const IDENTIFIER = /^[A-Za-z0-9_]*$/;

/** Where a name's parts are, before its base is cut into name and ring. */
export interface Head {
  kind: 'port' | 'interface';
  switch?: string;
  /** Everything after the prefix. */
  rest: string;
  /** "tap:" stood before it. */
  tap?: boolean;
  /** After a colon "-" may start a ring number; without one it is an ordinary character. */
  colon: boolean;
}

export function splitPrefix(text: string, exists: Exists): Head {
  const end = text.search(ENDS_NAME);
  const head = end < 0 ? text : text.slice(0, end);
  const colon = head.indexOf(':');
  if (colon < 0) {
    if (head.startsWith(DEFAULT_SWITCH))
      return { kind: 'port', switch: DEFAULT_SWITCH, rest: text, colon: false };
    if (head.startsWith('netmap') && !exists('interface', head) && !exists('port', head))
      throw new NameError(text, head, 'no ":" after "netmap"', 'write netmap:NAME');
    return { kind: 'interface', rest: text, colon: false };
  }
  const prefix = head.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (prefix === 'netmap') {
    if (rest.startsWith('vale'))
      throw new NameError(text, 'netmap:', 'a switch port takes no "netmap:"', `write ${rest}`);
    return { kind: 'interface', rest, colon: true };
  }
  if (prefix.startsWith('vale')) {
    checkSwitch(text, prefix);
    return { kind: 'port', switch: prefix, rest, colon: true };
  }
  if (prefix === TAP) return { kind: 'interface', rest, colon: true, tap: true };
  if (prefix.startsWith('netmap'))
    throw new NameError(
      text,
      prefix.slice('netmap'.length),
      'nothing may stand between "netmap" and ":"',
      'write netmap:NAME',
    );
  throw new NameError(
    text,
    `${prefix}:`,
    `${quote(`${prefix}:`)} is no prefix`,
    prefixHint(prefix, rest),
  );
}

function prefixHint(prefix: string, rest: string): string {
  if (prefix.toLowerCase().startsWith('vale'))
    return `names are case-sensitive: write vale${prefix.slice(4)}:${rest}`;
  return 'a switch is "vale" with letters and digits, as in vale0:a; an interface has no ":"';
}

export function checkSwitch(text: string, name: string): void {
  if (!name.startsWith('vale'))
    throw new NameError(
      text,
      name,
      `${quote(name)} is no switch`,
      'a switch is "vale" with letters and digits, as in vale0',
    );
  if (!IDENTIFIER.test(name)) {
    const bad = [...name].find((c) => !IDENTIFIER.test(c)) ?? name;
    throw new NameError(
      text,
      bad,
      `${quote(bad)} cannot be in a switch's name`,
      'use letters, digits and _ before the ":"',
    );
  }
  if (name.length > MAX_PART)
    throw new NameError(
      text,
      name,
      `the switch's name has ${name.length} characters`,
      `use at most ${MAX_PART}`,
    );
}

/** Cuts the base name off `head.rest`: its ring number, and what follows it. */
export function splitBase(
  text: string,
  head: Head,
  taken: (port: string) => boolean,
): { port: string; ringId?: number; after: string } {
  const { rest } = head;
  const end = rest.search(ENDS_NAME);
  const whole = end < 0 ? rest : rest.slice(0, end);
  const after = rest.slice(whole.length);
  // Names of others' making (an interface "eth0.5-1", the host side "eth0^" of an attached NIC)
  // are taken as they stand, and so is a monitor as listings name it ("a/rt#0"); a pipe still has its
  // two parts.
  if (rest !== '' && (!/[{}]/.test(rest) || rest.includes('#')) && taken(rest))
    return { port: rest, after: '' };
  if (whole !== '' && taken(whole)) return { port: whole, after };
  // Digits before a pipe belong to the name: the pipe's ring number stands after its id.
  const ring = head.colon && !/^[{}]/.test(after) ? /^(.*)-(\d*)$/s.exec(whole) : null;
  const port = ring?.[1] ?? whole;
  checkBase(text, head, port);
  if (ring === null) return { port, after };
  const digits = ring[2] ?? '';
  if (digits === '')
    throw new NameError(
      text,
      '-',
      'no ring number after "-"',
      `give one, as in ${head.kind === 'port' ? `${head.switch}:` : ''}${whole}0, or drop the "-"`,
    );
  return { port, ringId: ringNumber(text, digits), after };
}

function checkBase(text: string, head: Head, port: string): void {
  const what = head.kind === 'port' ? 'port' : 'interface';
  if (port === '') {
    const example = head.kind === 'port' ? `${head.switch}:a` : 'eth0';
    throw new NameError(
      text,
      text === '' ? '' : head.rest,
      `no name of ${what === 'port' ? 'a port' : 'an interface'}`,
      `give one, as in ${example}`,
    );
  }
  const allowed = head.kind === 'port' ? /^[A-Za-z0-9_-]$/ : /^[A-Za-z0-9_.-]$/;
  const bad = [...port].find((c) => !allowed.test(c)) ?? (port.startsWith('-') ? '-' : undefined);
  if (bad !== undefined) {
    const where =
      bad === '-'
        ? `cannot begin the name of ${what === 'port' ? 'a port' : 'an interface'}`
        : `cannot be in the name of ${what === 'port' ? 'a port' : 'an interface'}`;
    throw new NameError(
      text,
      bad,
      `${quote(bad)} ${where}`,
      `use letters, digits${what === 'port' ? '' : ', .'}, _ and -`,
    );
  }
  if (port === '.' || port === '..')
    throw new NameError(text, port, `${quote(port)} is no interface`, 'give its name, as in eth0');
  if (port.length > MAX_PART)
    throw new NameError(
      text,
      port,
      `the ${what}'s name has ${port.length} characters`,
      `use at most ${MAX_PART}`,
    );
}

/** "{" and "}" mean a pipe, whatever has a name with them. */
export function refuseBraces(text: string, rest: string, after: string, exists: Exists): void {
  if (!/^[{}]/.test(after)) return;
  const whole = [rest, rest.replace(/[*^/@].*$/s, '')].find(
    (name) => /^[\w.:+{}-]+$/.test(name) && exists('interface', name),
  );
  if (whole === undefined) return;
  throw new NameError(
    text,
    after.charAt(0),
    `a network interface has this name, and ${quote(after.charAt(0))} means a pipe here`,
    `give it another, as in ip link set '${whole}' name ${whole.replaceAll(/[{}]/g, '_')}`,
  );
}

export function splitPipe(text: string, after: string): { pipe?: Pipe; length: number } {
  const mark = after.charAt(0);
  if (mark !== '{' && mark !== '}') return { length: 0 };
  const id = /^[A-Za-z0-9_]*/.exec(after.slice(1))?.[0] ?? '';
  const next = after.charAt(1 + id.length);
  if (next !== '' && !/[*^/@-]/.test(next))
    throw new NameError(
      text,
      next,
      `${quote(next)} cannot be in a pipe's id`,
      'use letters, digits and _',
    );
  if (id === '')
    throw new NameError(text, mark, `no pipe id after ${quote(mark)}`, `give one, as in ${mark}1`);
  return { pipe: { role: mark === '{' ? 'master' : 'slave', id }, length: 1 + id.length };
}
