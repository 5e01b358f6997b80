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
import {
  checkSwitch,
  DEFAULT_SWITCH,
  type Exists,
  MAX_PART,
  type Pipe,
  refuseBraces,
  splitBase,
  splitPipe,
  splitPrefix,
  TAP,
} from './name-parts.js';
import { type NameOptions, parseSuffix } from './name-suffix.js';
import { RegMode } from './registration.js';

export { NameError, quote } from './name-error.js';
export { DEFAULT_SWITCH, MAX_PART, type Exists, type Pipe } from './name-parts.js';

/** Most characters of a full name: the ABI's field is 64 bytes. */
export const MAX_NAME = 63;

export interface NameContext {
  exists?: Exists;
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

const nothingExists: Exists = () => false;

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
  const could = (name: string): boolean => name.length <= MAX_PART && /^[\w.-]+$/.test(name);
  return (kind, name) => exists(kind, name) || (kind === 'interface' && could(name));
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
