// SPDX-License-Identifier: BSD-2-Clause
/**
 * The one grammar of names. What a user types for a port, a switch or an interface becomes a
 * PortSpec here, or a NameError that says what is wrong; every verb and the library use it.
 *
 *     vale0:a        port "a" on switch "vale0"            netmap:p0   persistent port or interface
 *     vale-foo       port "vale-foo" on switch "vale"      eth0        interface (a wire)
 *     tap:t0         TAP device "t0", made if need be
 *     vale0:a{1      pipe, } the other end
 *     …-2 …^ …^1 …*  one ring, host rings, one host ring, all and host
 *     …/x @3 @conf:slots=512                               see name-suffix.ts
 *
 * Nothing here reads anything but its arguments. Whoever knows what exists passes `exists`: a port
 * or interface that carries the whole name as it stands wins over any reading of its parts.
 */
import type { AttachHow, OpenRequest } from '../native-types.js';
import { machineOption } from './machines.js';
import { NameError, quote } from './name-error.js';
import { type NameOptions, parseSuffix, ringNumber } from './name-suffix.js';
import { RegMode } from './registration.js';

export { NameError, quote } from './name-error.js';

/** The switch of a name that starts with "vale" and has no colon. */
export const DEFAULT_SWITCH = 'vale';
/** Prefix of a TAP device's name. */
const TAP = 'tap';
/** Most characters of a switch's name, of the part after the colon, and of an interface's name. */
export const MAX_PART = 15;
/** Most characters of a full name: the ABI's field is 64 bytes. */
export const MAX_NAME = 63;

/** Whether something of that kind exists now. Port names are full names, as listed. */
export type Exists = (kind: 'switch' | 'port' | 'interface', name: string) => boolean;

export interface NameContext {
  exists?: Exists;
}

export interface Pipe {
  /** "{" or "}". */
  role: 'master' | 'slave';
  id: string;
}

export interface PortSpec {
  /** 'port' is on a switch; 'interface' is a wire or a persistent port under its own name. */
  kind: 'port' | 'interface';
  /** As typed. */
  text: string;
  /** Only for kind 'port'. */
  switch?: string;
  /** Without switch and pipe: "a", "eth0". */
  port: string;
  pipe?: Pipe;
  /** NR_REG_*: which rings. */
  mode: RegMode;
  /** For the one-ring modes. */
  ringId: number;
  /** NR_* bits. */
  flags: number;
  /** 0 = none given. */
  memId: number;
  options: NameOptions;
  /** What the device and listings call it, pipe included: "vale:vale-foo", "vale0:a{1", "eth0". */
  fullName: string;
  /** One line for stderr about a name that may not mean what its author thinks. */
  warning?: string;
}

export interface SwitchSpec {
  kind: 'switch';
  text: string;
  switch: string;
}

const ENDS_NAME = /[{}*^/@]/;
const IDENTIFIER = /^[A-Za-z0-9_]*$/;
const nothingExists: Exists = () => false;

/** Where a name's parts are, before its base is cut into name and ring. */
interface Head {
  kind: 'port' | 'interface';
  switch?: string;
  /** Everything after the prefix. */
  rest: string;
  /** "tap:" stood before it. */
  tap?: boolean;
  /** After a colon "-" may start a ring number; without one it is an ordinary character. */
  colon: boolean;
}

/**
 * Parses the name of a port or interface.
 * @throws NameError
 */
export function parse(text: string, context: NameContext = {}): PortSpec {
  const exists = context.exists ?? nothingExists;
  const head = splitPrefix(text, exists);
  const full = (port: string): string =>
    head.switch !== undefined ? `${head.switch}:${port}` : head.tap ? `${TAP}:${port}` : port;
  const base = splitBase(
    text,
    head,
    (port) => exists('port', full(port)) || exists('interface', port),
  );
  refuseBraces(text, head.rest, base.after, exists);
  const { pipe, length } = splitPipe(text, base.after);
  const suffix = parseSuffix(text, base.after.slice(length), { ringId: base.ringId });
  const fullName = full(base.port) + (pipe ? (pipe.role === 'master' ? '{' : '}') + pipe.id : '');
  if (fullName.length > MAX_NAME)
    throw new NameError(
      text,
      fullName,
      `the name has ${fullName.length} characters`,
      `use at most ${MAX_NAME}`,
    );
  const spec: PortSpec = {
    kind: head.kind,
    text,
    switch: head.switch,
    port: base.port,
    pipe,
    ...suffix,
    fullName,
  };
  if (head.kind === 'port' && !head.colon && exists('switch', base.port))
    spec.warning = `${quote(base.port)} opens port ${fullName}, and a switch ${base.port} exists too; for a port on that switch use ${base.port}:NAME`;
  return spec;
}

/**
 * What exists for the name of something to attach: an interface of another namespace, which cannot
 * be seen from here, is taken to be there, and so is a virtual machine.
 */
export function attachable(exists: Exists, how: AttachHow): Exists {
  if (how.netns === undefined && machineOption(how) === undefined) return exists;
  return (kind, name) => exists(kind, name) || (kind === 'interface' && /^[\w.-]+$/.test(name));
}

/**
 * Parses the name of a switch: "vale0" or "vale0:".
 * @throws NameError
 */
export function parseSwitch(text: string): SwitchSpec {
  const name = text.endsWith(':') ? text.slice(0, -1) : text;
  const colon = name.indexOf(':');
  if (colon >= 0)
    throw new NameError(
      text,
      name.slice(colon),
      'this is a port, not a switch',
      `use ${quote(name.slice(0, colon))}`,
    );
  checkSwitch(text, name);
  return { kind: 'switch', text, switch: name };
}

/**
 * Parses what may be either: "vale0:" is a switch; "vale0" is the switch if one exists, else the
 * port vale:vale0; anything else is a port.
 * @throws NameError also when "vale0" is both
 */
export function parseSwitchOrPort(text: string, context: NameContext = {}): SwitchSpec | PortSpec {
  if (/^vale[A-Za-z0-9_]*:$/.test(text)) return parseSwitch(text);
  const exists = context.exists ?? nothingExists;
  if (!/^vale[A-Za-z0-9_]*$/.test(text) || !exists('switch', text)) return parse(text, context);
  const port = `${DEFAULT_SWITCH}:${text}`;
  if (exists('port', port))
    throw new NameError(
      text,
      text,
      'both a switch and a port have this name',
      `write ${text}: for the switch or ${port} for the port`,
    );
  return parseSwitch(text);
}

/**
 * Parses the name of a persistent port to make or remove: a name of its own, on no switch and with
 * no ring, flag or pipe; "@conf:" and "@3" say what to make it with.
 * @throws NameError
 */
export function parsePersistent(text: string, context: NameContext = {}): PortSpec {
  if (text === '')
    throw new NameError(text, text, 'no name of a persistent port', 'give one, as in p0');
  const spec = parse(text, context);
  if (spec.kind === 'port')
    throw new NameError(
      text,
      spec.switch ?? '',
      'a persistent port has a name of its own, which does not start with "vale"',
      'pick one such as "p0", then attach it as in vale0:p0',
    );
  if (spec.pipe !== undefined || spec.mode !== RegMode.AllNic || spec.flags !== 0)
    throw new NameError(
      text,
      text.replace(/^netmap:/, '').slice(spec.port.length),
      'a persistent port is named without pipe, rings or flags',
      `use ${quote(spec.port)}`,
    );
  return spec;
}

/**
 * The request that opens what a name means.
 * @param memIdOf answers "@share=PORT": the memory id of that port; undefined when there is none
 * @throws NameError when the name asks for what only other devices can do
 */
export function toOpenRequest(
  spec: PortSpec,
  memIdOf?: (port: PortSpec) => number | undefined,
): OpenRequest {
  const { conf, share, extmem } = spec.options;
  if (extmem !== undefined)
    throw new NameError(
      spec.text,
      'extmem',
      'memory from a file is not supported',
      'use @share=PORT or @MEMID to share memory',
      'EOPNOTSUPP',
    );
  let memId = spec.memId;
  if (share !== undefined) {
    if (memIdOf === undefined)
      throw new NameError(
        spec.text,
        'share',
        'memory cannot be shared by port name here',
        'use @MEMID',
        'EOPNOTSUPP',
      );
    memId = memIdOf(parse(share)) ?? noSuchShare(spec.text, share);
  }
  return {
    name: spec.fullName,
    mode: spec.mode,
    ringId: spec.ringId,
    flags: spec.flags,
    ...(memId === 0 ? {} : { memId }),
    ...conf,
  };
}

/** There is no port `share` whose memory could be used. */
export function noSuchShare(text: string, share: string): never {
  throw new NameError(
    text,
    share,
    `there is no port ${quote(share)} to share memory with`,
    'open that one first, or leave this out',
    'ENXIO',
  );
}

function splitPrefix(text: string, exists: Exists): Head {
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

function checkSwitch(text: string, name: string): void {
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
function splitBase(
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
function refuseBraces(text: string, rest: string, after: string, exists: Exists): void {
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

function splitPipe(text: string, after: string): { pipe?: Pipe; length: number } {
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
