// SPDX-License-Identifier: BSD-2-Clause
/** Names as people type them: what each means, or why it is refused. test/names.test.ts walks it. */
import type { PortSpec } from '../../src/port/name.js';

/** What exists while a name is read; most rows need nothing. */
export interface World {
  switches?: string[];
  ports?: string[];
  interfaces?: string[];
}

export interface GoodName {
  name: string;
  /** The fields that matter; the others are at their defaults. */
  means: Partial<PortSpec> & { fullName: string };
  world?: World;
}

export interface BadName {
  name: string;
  code: 'EINVAL' | 'EOPNOTSUPP';
  /** The part that is wrong. */
  token: string;
  /** What to do. */
  hint: string;
  world?: World;
}

const port = (sw: string, name: string, more: Partial<PortSpec> = {}): GoodName['means'] => ({
  kind: 'port',
  switch: sw,
  port: name,
  fullName: `${sw}:${name}`,
  ...more,
});
const wire = (name: string, more: Partial<PortSpec> = {}): GoodName['means'] => ({
  kind: 'interface',
  switch: undefined,
  port: name,
  fullName: name,
  ...more,
});

const ALL = 1;
const HOST = 2;
const BOTH = 3;
const ONE = 4;
const ONE_HOST = 8;

export const goodNames: GoodName[] = [
  // switch and port
  { name: 'vale0:a', means: port('vale0', 'a', { mode: ALL, ringId: 0, flags: 0, memId: 0 }) },
  { name: 'vale:x', means: port('vale', 'x') },
  { name: 'vale_1:x_2', means: port('vale_1', 'x_2') },
  { name: 'vale0:A9', means: port('vale0', 'A9') },
  { name: 'valeXYZ:0', means: port('valeXYZ', '0') },
  { name: 'vale12345678901:abcdefghijklmno', means: port('vale12345678901', 'abcdefghijklmno') },
  { name: 'vale0:vale1', means: port('vale0', 'vale1') },
  { name: 'vale0:netmap', means: port('vale0', 'netmap') },

  // the default switch
  { name: 'vale-foo', means: port('vale', 'vale-foo') },
  { name: 'vale-bar', means: port('vale', 'vale-bar') },
  { name: 'vale0', means: port('vale', 'vale0') },
  { name: 'vale', means: port('vale', 'vale') },
  { name: 'valentine', means: port('vale', 'valentine') },
  { name: 'vale-1', means: port('vale', 'vale-1', { mode: ALL, ringId: 0 }) },
  { name: 'vale-', means: port('vale', 'vale-') },
  { name: 'vale-foo-2', means: port('vale', 'vale-foo-2', { mode: ALL }) },
  { name: 'vale-foo^', means: port('vale', 'vale-foo', { mode: HOST }) },
  { name: 'vale-foo*', means: port('vale', 'vale-foo', { mode: BOTH }) },
  { name: 'vale-foo/x', means: port('vale', 'vale-foo', { flags: 0x800 }) },
  { name: 'vale-foo@2', means: port('vale', 'vale-foo', { memId: 2 }) },
  {
    name: 'vale-foo{1',
    means: {
      ...port('vale', 'vale-foo', { pipe: { role: 'master', id: '1' } }),
      fullName: 'vale:vale-foo{1',
    },
  },
  {
    name: 'vale-foo@conf:slots=512',
    means: port('vale', 'vale-foo', { options: { conf: { txSlots: 512, rxSlots: 512 } } }),
  },

  // interfaces and persistent ports
  { name: 'em0', means: wire('em0') },
  { name: 'eth0', means: wire('eth0') },
  { name: 'eth0.100', means: wire('eth0.100') },
  { name: 'br-0a1b2c3d4e5f', means: wire('br-0a1b2c3d4e5f', { mode: ALL }) },
  { name: 'eth0-1', means: wire('eth0-1', { mode: ALL, ringId: 0 }) },
  { name: 'p0', means: wire('p0') },
  { name: 'val', means: wire('val') },
  { name: 'netmap:em0', means: wire('em0') },
  { name: 'netmap:p0', means: wire('p0') },
  { name: 'netmap:br-lan', means: wire('br-lan') },
  { name: 'netmap:netmap', means: wire('netmap') },
  { name: 'netmap0', means: wire('netmap0'), world: { interfaces: ['netmap0'] } },

  // rings
  { name: 'netmap:eth0-1', means: wire('eth0', { mode: ONE, ringId: 1 }) },
  { name: 'netmap:eth0*', means: wire('eth0', { mode: BOTH }) },
  { name: 'netmap:eth0^', means: wire('eth0', { mode: HOST }) },
  { name: 'netmap:eth0^2', means: wire('eth0', { mode: ONE_HOST, ringId: 2 }) },
  { name: 'eth0^', means: wire('eth0', { mode: HOST }) },
  { name: 'vale0:a-0', means: port('vale0', 'a', { mode: ONE, ringId: 0 }) },
  { name: 'vale0:a-3', means: port('vale0', 'a', { mode: ONE, ringId: 3 }) },
  { name: 'vale0:a-4094', means: port('vale0', 'a', { mode: ONE, ringId: 4094 }) },
  { name: 'vale0:a-007', means: port('vale0', 'a', { mode: ONE, ringId: 7 }) },
  { name: 'vale0:my-port', means: port('vale0', 'my-port', { mode: ALL }) },
  { name: 'vale0:my-port-2', means: port('vale0', 'my-port', { mode: ONE, ringId: 2 }) },
  { name: 'vale0:a-1-2', means: port('vale0', 'a-1', { mode: ONE, ringId: 2 }) },
  { name: 'vale0:a-3b', means: port('vale0', 'a-3b', { mode: ALL }) },

  // the whole name exists, and wins
  {
    name: 'vale0:a-3',
    means: port('vale0', 'a-3', { mode: ALL }),
    world: { ports: ['vale0:a-3'] },
  },
  {
    name: 'vale0:a-3/x',
    means: port('vale0', 'a-3', { mode: ALL, flags: 0x800 }),
    world: { ports: ['vale0:a-3'] },
  },
  {
    name: 'vale0:a-3-1',
    means: port('vale0', 'a-3', { mode: ONE, ringId: 1 }),
    world: { ports: ['vale0:a-3'] },
  },
  {
    name: 'vale0:a/rt#0',
    means: port('vale0', 'a/rt#0', { mode: ALL, flags: 0 }),
    world: { ports: ['vale0:a', 'vale0:a/rt#0'] },
  },
  {
    name: 'vale0:a{1/r#0',
    means: port('vale0', 'a{1/r#0', { mode: ALL, flags: 0 }),
    world: { ports: ['vale0:a{1/r#0'] },
  },
  {
    name: 'netmap:br-12',
    means: wire('br-12', { mode: ALL }),
    world: { interfaces: ['br-12'] },
  },
  {
    name: 'vale0:br-12',
    means: port('vale0', 'br-12', { mode: ALL }),
    world: { interfaces: ['br-12'] },
  },
  {
    name: 'vale0:eth0.5',
    means: port('vale0', 'eth0.5'),
    world: { interfaces: ['eth0.5'] },
  },
  {
    name: 'vale0:veth0^',
    means: port('vale0', 'veth0^', { mode: ALL }),
    world: { ports: ['vale0:veth0', 'vale0:veth0^'] },
  },
  {
    name: 'vale0:veth0^',
    means: port('vale0', 'veth0', { mode: HOST }),
    world: { ports: ['vale0:veth0'] },
  },
  { name: 'vale0:v.1', means: port('vale0', 'v.1'), world: { ports: ['vale0:v.1'] } },

  // pipes
  {
    name: 'vale0:a{1',
    means: { ...port('vale0', 'a', { pipe: { role: 'master', id: '1' } }), fullName: 'vale0:a{1' },
  },
  {
    name: 'vale0:a}lb_0',
    means: {
      ...port('vale0', 'a', { pipe: { role: 'slave', id: 'lb_0' } }),
      fullName: 'vale0:a}lb_0',
    },
  },
  {
    name: 'netmap:p{x/xT@1',
    means: {
      ...wire('p', { pipe: { role: 'master', id: 'x' }, flags: 0x4800, memId: 1 }),
      fullName: 'p{x',
    },
  },
  {
    name: 'vale0:a{1-2',
    means: {
      ...port('vale0', 'a', { pipe: { role: 'master', id: '1' }, mode: ONE, ringId: 2 }),
      fullName: 'vale0:a{1',
    },
  },
  {
    name: 'vale0:a-1{2',
    means: {
      ...port('vale0', 'a-1', { pipe: { role: 'master', id: '2' }, mode: ALL }),
      fullName: 'vale0:a-1{2',
    },
  },

  // flags and memory
  { name: 'vale0:a/rt', means: port('vale0', 'a', { flags: 0x300 }) },
  { name: 'vale0:a/z', means: port('vale0', 'a', { flags: 0x400 }) },
  { name: 'vale0:a/R', means: port('vale0', 'a', { flags: 0x2000 }) },
  { name: 'vale0:a/xx', means: port('vale0', 'a', { flags: 0x800 }) },
  { name: 'vale0:a-1/xT', means: port('vale0', 'a', { mode: ONE, ringId: 1, flags: 0x4800 }) },
  { name: 'vale0:a@7', means: port('vale0', 'a', { memId: 7 }) },
  { name: 'vale0:a@7/x', means: port('vale0', 'a', { memId: 7, flags: 0x800 }) },
  { name: 'vale0:a@7@7', means: port('vale0', 'a', { memId: 7 }) },
  { name: 'vale0:a*@65535', means: port('vale0', 'a', { mode: BOTH, memId: 65535 }) },

  // options
  {
    name: 'vale0:a@conf:rings=2,slots=512,rx-slots=256',
    means: port('vale0', 'a', {
      options: { conf: { txRings: 2, rxRings: 2, txSlots: 512, rxSlots: 256 } },
    }),
  },
  {
    name: 'vale0:a@conf:rx_slots=256,slots=512,host-rings=1',
    means: port('vale0', 'a', {
      options: { conf: { txSlots: 512, rxSlots: 256, hostTxRings: 1, hostRxRings: 1 } },
    }),
  },
  {
    name: 'vale0:a/x@3@conf:tx_rings=4',
    means: port('vale0', 'a', { flags: 0x800, memId: 3, options: { conf: { txRings: 4 } } }),
  },
  { name: 'vale0:a@share=vale0:b', means: port('vale0', 'a', { options: { share: 'vale0:b' } }) },
  {
    name: 'vale0:a@conf:slots=64@share:port=vale-b',
    means: port('vale0', 'a', {
      options: { conf: { txSlots: 64, rxSlots: 64 }, share: 'vale-b' },
    }),
  },
  {
    name: 'vale0:a@extmem=/dev/hugepages/x',
    means: port('vale0', 'a', { options: { extmem: { file: '/dev/hugepages/x' } } }),
  },
  {
    name: 'vale0:a@extmem:file=/tmp/m,buf-num=100,buf_size=4096',
    means: port('vale0', 'a', {
      options: { extmem: { file: '/tmp/m', bufNum: 100, bufSize: 4096 } },
    }),
  },
];

const SWITCH_HINT =
  'a switch is "vale" with letters and digits, as in vale0:a; an interface has no ":"';
const PORT_CHARS = 'use letters, digits, _ and -';
const WIRE_CHARS = 'use letters, digits, ., _ and -';
const FLAGS = 'use some of x z t r R T after "/"';
const FOLLOW = 'only "/" with flags or "@" with a memory id or options may follow';
const PIPE_FIRST = 'put a pipe right after the name, as in vale0:a{1-0';

const bad = (name: string, token: string, hint: string, more: Partial<BadName> = {}): BadName => ({
  name,
  code: 'EINVAL',
  token,
  hint,
  ...more,
});

export const badNames: BadName[] = [
  // nothing there
  bad('', '', 'give one, as in eth0'),
  bad('vale0:', '', 'give one, as in vale0:a'),
  bad('vale:', '', 'give one, as in vale:a'),
  bad('netmap:', '', 'give one, as in eth0'),
  bad('netmap:^', '^', 'give one, as in eth0'),
  bad('vale0:{1', '{1', 'give one, as in vale0:a'),
  bad('netmap:{1', '{1', 'give one, as in eth0'),
  bad('vale0:-3', '-3', 'give one, as in vale0:a'),
  bad('@3', '@3', 'give one, as in eth0'),
  bad('*', '*', 'give one, as in eth0'),

  // prefixes
  bad('foo:a', 'foo:', SWITCH_HINT),
  bad('eth0:1', 'eth0:', SWITCH_HINT),
  bad(':a', ':', SWITCH_HINT),
  bad('VALE0:a', 'VALE0:', 'names are case-sensitive: write vale0:a'),
  bad('netmap', 'netmap', 'write netmap:NAME'),
  bad('netmap0', 'netmap0', 'write netmap:NAME'),
  bad('netmapX:eth0', 'X', 'write netmap:NAME'),
  bad('netmap:vale0:0', 'netmap:', 'write vale0:0'),
  bad('netmap:vale0', 'netmap:', 'write vale0'),
  bad('vale-foo:a', '-', 'use letters, digits and _ before the ":"'),
  bad('vale.0:a', '.', 'use letters, digits and _ before the ":"'),
  bad('vale 0:a', ' ', 'use letters, digits and _ before the ":"'),
  bad('valé:a', 'valé:', SWITCH_HINT),
  bad('valeé:a', 'é', 'use letters, digits and _ before the ":"'),

  // characters
  bad('vale0:a+', '+', PORT_CHARS),
  bad('vale0:v.1', '.', PORT_CHARS),
  bad('vale0:a:b', ':', PORT_CHARS),
  bad('vale0:a b', ' ', PORT_CHARS),
  bad('vale0:a\n', '\n', PORT_CHARS),
  bad('vale0:\u001b[31m', '\u001b', PORT_CHARS),
  bad('vale0:ü', 'ü', PORT_CHARS),
  bad('vale0:💥', '💥', PORT_CHARS),
  bad('vale0:--help', '-', PORT_CHARS),
  bad('vale-foo+', '+', PORT_CHARS),
  bad('netmap:eth0&', '&', WIRE_CHARS),
  bad('eth0 ', ' ', WIRE_CHARS),
  bad('-i', '-', WIRE_CHARS),
  bad('..', '..', 'give its name, as in eth0'),
  bad('/dev/netmap', '/dev/netmap', 'give one, as in eth0'),
  bad('vale0:a\\b', '\\', PORT_CHARS),

  // lengths
  bad('vale123456789012:a', 'vale123456789012', 'use at most 15'),
  bad('vale0:abcdefghijklmnop', 'abcdefghijklmnop', 'use at most 15'),
  bad('vale-abcdefghijk', 'vale-abcdefghijk', 'use at most 15'),
  bad('abcdefghijklmnop', 'abcdefghijklmnop', 'use at most 15'),
  bad(`vale0:a{${'x'.repeat(60)}`, `vale0:a{${'x'.repeat(60)}`, 'use at most 63'),

  // rings
  bad('vale0:a-', '-', 'give one, as in vale0:a-0, or drop the "-"'),
  bad('netmap:eth0-', '-', 'give one, as in eth0-0, or drop the "-"'),
  bad('vale0:a-4095', '4095', 'use a ring from 0 to 4094'),
  bad('vale0:a^4095', '4095', 'use a ring from 0 to 4094'),
  bad('vale0:a-99999999999999999999', '99999999999999999999', 'use a ring from 0 to 4094'),
  bad('vale0:a^x', 'x', FOLLOW),
  bad('vale0:a^*', '*', FOLLOW),
  bad('vale0:a*3', '3', FOLLOW),
  bad('vale0:a-1^', '^', FOLLOW),
  bad('vale0:a-1*', '*', FOLLOW),
  bad('vale0:a*-1', '-1', FOLLOW),
  bad('vale-foo^:a', ':a', FOLLOW),

  // pipes
  bad('vale0:a{', '{', 'give one, as in {1'),
  bad('vale0:a}', '}', 'give one, as in }1'),
  bad('vale0:a{/x', '{', 'give one, as in {1'),
  bad('vale0:pipe{1}2', '}', 'use letters, digits and _'),
  bad('vale0:a{1{2', '{', 'use letters, digits and _'),
  bad('vale0:a{b.c', '.', 'use letters, digits and _'),
  bad('vale0:a{1-', '-', 'give one, as in vale0:a-0'),
  bad('vale0:a*{2', '{2', PIPE_FIRST),

  // flags and memory
  bad('vale0:a/', '/', 'give some of x z t r R T, or drop the "/"'),
  bad('vale0:a/q', 'q', FLAGS),
  bad('vale0:a/X', 'X', FLAGS),
  bad('vale0:a/x/', '/', FLAGS),
  bad('vale0:a/x-1', '-', FLAGS),
  bad('vale0:a/constructor', 'c', FLAGS),
  bad('vale0:a@', '@', 'give a memory id as in @3 or an option as in @conf:slots=512'),
  bad('vale0:a@0', '@0', 'use @1 to @65535'),
  bad('vale0:a@65536', '@65536', 'use @1 to @65535'),
  bad('vale0:a@1@2', '@2', 'keep one of @1 and @2'),
  bad('vale0:a@1-2', '-2', FOLLOW),
  bad('vale0:a@-1', '-1', 'use @conf:, @share= or @extmem:'),

  // options
  bad('vale0:a@@', '@', 'give a memory id as in @3 or an option as in @conf:slots=512'),
  bad('vale0:a@bogus=1', 'bogus', 'use @conf:, @share= or @extmem:'),
  bad('vale0:a@conf', 'conf', 'write it as in @conf:slots=512'),
  bad('vale0:a@conf:', 'conf', 'write it as in @conf:slots=512'),
  bad('vale0:a@conf=512', '=512', 'write it as in @conf:slots=512'),
  bad('vale0:a@conf:slots', 'slots', 'write slots=VALUE'),
  bad('vale0:a@conf:slots=', 'slots', 'write slots=VALUE'),
  bad('vale0:a@conf:slots=many', 'many', 'give slots a decimal number'),
  bad('vale0:a@conf:slots=-1', '-1', 'give slots a decimal number'),
  bad('vale0:a@conf:slots=4294967296', '4294967296', 'give slots a decimal number'),
  bad('vale0:a@conf:slots=1,slots=2', 'slots', 'give it once'),
  bad('vale0:a@conf:slots=1', 'slots=1', 'ask for 2 or more'),
  bad('vale0:a@conf:rx-slots=1', 'rx_slots=1', 'ask for 2 or more'),
  {
    ...bad('brk{1', '{', "give it another, as in ip link set 'brk{1' name brk_1"),
    world: { interfaces: ['brk{1'] },
  },
  {
    ...bad('vale0:brk{1', '{', "give it another, as in ip link set 'brk{1' name brk_1"),
    world: { interfaces: ['brk{1'] },
  },
  bad('vale0:a@conf:-slots=1', '-slots', 'use some of rings, host_rings, slots'),
  bad('vale0:a@conf:toString=1', 'toString', 'use some of rings, host_rings, slots'),
  bad('vale0:a@conf:slots=1,', '', 'use some of rings, host_rings, slots'),
  bad('vale0:a@share', 'share', 'write it as in @share=vale0:b'),
  bad('vale0:a@3@share=vale0:b', 'share=vale0:b', 'keep one of @3 and @share'),
  bad('vale0:a@extmem:buf-num=3', 'extmem:buf-num=3', 'add file=FILE'),
  bad('vale0:a@extmem:file=x,buf-num=y', 'y', 'give buf_num a decimal number'),
  bad('vale0:a@offset=16', 'offset', 'drop it: offsets are asked for by programs, not in names', {
    code: 'EOPNOTSUPP',
  }),
];
