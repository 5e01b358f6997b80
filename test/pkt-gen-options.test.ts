// SPDX-License-Identifier: BSD-2-Clause
// What the generator's options mean, one by one and together.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BadValue } from '../src/errors.js';
import { addressRange, formatAddress } from '../src/options/address.js';
import { macRange } from '../src/options/mac.js';
import { integer, seconds } from '../src/options/number.js';
import {
  forPort,
  pktGenConfig,
  routeOf,
  type Machine,
  type PktGenFlags,
} from '../src/options/pkt-gen.js';
import { ringConfig } from '../src/options/ring-config.js';

describe('numbers', () => {
  const rule = { what: 'a number', min: 1, max: 10_000_000, suffix: true };

  test.each([
    ['1', 1],
    ['10k', 10_000],
    ['10K', 10_000],
    ['10M', 10_000_000],
    ['0010', 10],
  ])('%s', (text, value) => expect(integer(text, rule)).toBe(value));

  test.each(['', '0', '11M', '1G', '-1', '1.5', '0x10', '1kk', ' 1', '1e3'])('not %j', (text) => {
    expect(() => integer(text, rule)).toThrow(BadValue);
  });

  test('a suffix only where one makes sense', () => {
    expect(() => integer('1k', { what: 'a size' })).toThrow(BadValue);
  });

  test.each([
    ['10', 10],
    ['0.5', 0.5],
    ['.25', 0.25],
    ['2s', 2],
  ])('%s seconds', (text, value) => expect(seconds(text)).toBe(value));

  test.each(['0', '-1', 'x', '1m', ''])('not %j seconds', (text) => {
    expect(() => seconds(text)).toThrow(BadValue);
  });
});

describe('addresses', () => {
  const shown = (text: string, family: 4 | 6) => {
    const { start, end, portStart, portEnd } = addressRange(text, family);
    return [formatAddress(start), formatAddress(end), portStart, portEnd];
  };

  test.each<[string, 4 | 6, unknown[]]>([
    ['10.0.0.1', 4, ['10.0.0.1', '10.0.0.1', 1234, 1234]],
    ['10.0.0.1:53', 4, ['10.0.0.1', '10.0.0.1', 53, 53]],
    ['10.0.0.1-10.0.0.9', 4, ['10.0.0.1', '10.0.0.9', 1234, 1234]],
    ['10.0.0.1:1-10.0.0.9:7', 4, ['10.0.0.1', '10.0.0.9', 1, 7]],
    ['10.0.0.1:53-10.0.0.9', 4, ['10.0.0.1', '10.0.0.9', 53, 53]],
    ['10.0.0.9:7-10.0.0.1:1', 4, ['10.0.0.1', '10.0.0.9', 1, 7]],
    ['2001:db8::1', 6, ['2001:db8::1', '2001:db8::1', 1234, 1234]],
    ['[2001:db8::1]:53', 6, ['2001:db8::1', '2001:db8::1', 53, 53]],
    ['[2001:db8::1]:1-[2001:db8::f]:9', 6, ['2001:db8::1', '2001:db8::f', 1, 9]],
    ['::-::ffff', 6, ['::', '::ffff', 1234, 1234]],
    ['::ffff:10.0.0.1', 6, ['::ffff:a00:1', '::ffff:a00:1', 1234, 1234]],
  ])('%s', (text, family, means) => expect(shown(text, family)).toEqual(means));

  test.each<[string, 4 | 6]>([
    ['', 4],
    ['10.0.0', 4],
    ['10.0.0.256', 4],
    ['10.0.0.1:', 4],
    ['10.0.0.1:65536', 4],
    ['10.0.0.1:1:2', 4],
    ['10.0.0.1-', 4],
    ['10.0.0.1-10.0.0.2-10.0.0.3', 4],
    ['2001:db8::1', 4],
    ['10.0.0.1', 6],
    ['fe80::1%eth0', 6],
    ['[::1', 6],
    ['[::1]53', 6],
  ])('not %j as IPv%i', (text, family) => {
    expect(() => addressRange(text, family)).toThrow(BadValue);
  });

  test('every IPv6 address keeps its 16 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const { start } = addressRange(formatAddress(bytes), 6);
        expect([...start]).toEqual([...bytes]);
      }),
    );
  });

  test('MAC addresses and ranges of them', () => {
    const range = { start: '02:00:00:00:00:01', end: '02:00:00:00:00:ff' };
    expect(macRange('2:0:0:0:0:1-02:00:00:00:00:FF')).toEqual(range);
    expect(macRange('02:00:00:00:00:ff-02:00:00:00:00:01')).toEqual(range);
    for (const bad of [
      '',
      '02:00:00:00:00',
      '02:00:00:00:00:100',
      '02-00-00-00-00-01',
      'g:0:0:0:0:0',
    ])
      expect(() => macRange(bad)).toThrow(BadValue);
  });
});

test.each([
  ['512', [512, 512, 0, 0]],
  ['512,256', [512, 256, 0, 0]],
  ['512,256,4', [512, 256, 4, 4]],
  ['512,256,4,2', [512, 256, 4, 2]],
  ['0,0,2', [0, 0, 2, 2]],
])('-C %s', (text, [txSlots, rxSlots, txRings, rxRings]) => {
  expect(ringConfig(text)).toEqual({ txSlots, rxSlots, txRings, rxRings });
});

const machine: Machine = { onlineCpus: 4, usableCpus: 4, randomSeed: 42 };
const bare: PktGenFlags = {
  function: 'tx',
  count: 0,
  size: [],
  burst: undefined,
  family: undefined,
  source: undefined,
  destination: undefined,
  sourceMac: undefined,
  destinationMac: undefined,
  affinity: undefined,
  cpus: undefined,
  threads: 1,
  rate: 0,
  dump: false,
  header: undefined,
  pcap: undefined,
  randomSource: false,
  randomDestination: false,
  fragments: 1,
  maxFragment: 0,
  indirect: false,
  once: false,
  verbose: 0,
  rubbish: false,
  options: 0,
  statistics: false,
  duration: 0,
  seed: undefined,
  busy: false,
  spin: undefined,
};

describe('from flags to configuration', () => {
  const config = (flags: Partial<PktGenFlags>, on: Partial<Machine> = {}) =>
    pktGenConfig({ ...bare, ...flags }, { ...machine, ...on });

  test("nothing given: the reference's defaults", () => {
    expect(config({})).toMatchObject({ size: 60, sizeMin: 0, burst: 512, family: 4, seed: 42 });
    expect(routeOf(config({}))).toBe(
      '10.0.0.1 -> 10.1.0.1 (00:00:00:00:00:00 -> ff:ff:ff:ff:ff:ff)',
    );
  });

  test('ping and pong go one by one unless told otherwise', () => {
    expect(config({ function: 'ping' }).burst).toBe(1);
    expect(config({ function: 'pong', burst: 0 }).burst).toBe(1);
    expect(config({ function: 'ping', burst: 8 }).burst).toBe(8);
  });

  test('-l twice is a range of random sizes', () => {
    expect(config({ size: [1514, 60] })).toMatchObject({ size: 1514, sizeMin: 60 });
    expect(config({ size: [64, 64] })).toMatchObject({ size: 64, sizeMin: 0 });
    expect(() => config({ size: [60, 64] })).toThrow(
      'expected at most the first -l, 60, as the least random size for -l but received 64',
    );
  });

  test('what does not fit in a frame is refused by its option, and never by default', () => {
    expect(() => config({ function: 'txseq', size: [45] })).toThrow(
      'expected at least the 46 bytes that txseq needs for -l but received 45',
    );
    expect(() => config({ function: 'ping', size: [1514, 53] })).toThrow(/54 bytes.* 53$/);
    expect(config({ function: 'ping', family: 6 }).size).toBe(74);
    const port = { name: 'vale0:a', mac: '00:00:00:00:00:00', mtu: 65536, headerLength: 12 };
    const flags = { ...bare, maxFragment: 25 };
    expect(() => forPort(config(flags), flags, port)).toThrow(
      'expected at least the 26 bytes of headers for -M but received 25',
    );
  });

  test("a capture's frames are not described by addresses", () => {
    expect(routeOf(config({ function: 'tx', pcap: 'a.pcap' }))).toBe(
      'Frames of a.pcap, as they are',
    );
  });

  test('addresses choose the family, -4 and -6 force it', () => {
    expect(config({ source: '2001:db8::7' }).family).toBe(6);
    expect(config({ destination: '[2001:db8::7]:1-[2001:db8::8]:2' }).family).toBe(6);
    expect(config({ destination: '10.2.0.1:1-10.2.0.2:9' }).family).toBe(4);
    expect(config({ family: 6 }).source.start).toHaveLength(16);
    // The headers alone are 62 bytes: the frame must be whole.
    expect(config({ family: 6 }).size).toBe(62);
    expect(config({ family: 6, size: [60] }).size).toBe(60);
    expect(() => config({ family: 4, source: '2001:db8::7' })).toThrow(/for -s but received/);
    expect(() => config({ source: '10.0.0.1', destination: '::1' })).toThrow(/IPv4 .* for -d/);
  });

  test('-o and the options of the same meaning are one', () => {
    const all = config({ options: 32 + 64 + 256 + 512 + 1024 });
    const same = { indirect: true, dump: true, rubbish: true };
    expect(all).toMatchObject({ ...same, randomSource: true, randomDestination: true });
    expect(config({ ...same, randomSource: true, randomDestination: true }).options).toBe(1888);
  });

  test('CPUs: -a alone goes round all of them, -c bounds it', () => {
    expect(config({ affinity: 3 })).toMatchObject({ affinity: 3, cpus: 4 });
    expect(config({ affinity: 1, cpus: 2 })).toMatchObject({ affinity: 1, cpus: 2 });
    expect(config({})).toMatchObject({ affinity: -1 });
    expect(() => config({ affinity: 4 })).toThrow('expected a CPU from 0 to 3 for -a');
    expect(() => config({ cpus: 5 })).toThrow('at most the 4 CPUs online for -c but received 5');
  });

  test('no spinning where two processes would share the only CPU', () => {
    expect(config({}).spin).toBe(50);
    expect(config({}, { usableCpus: 1 }).spin).toBe(0);
    expect(config({ spin: 7 }, { usableCpus: 1 }).spin).toBe(7);
  });

  test('the port decides about source MAC, header and size', () => {
    const port = { name: 'eth0', mac: '02:00:00:00:00:07', mtu: 1514, headerLength: 12 };
    const on = (flags: Partial<PktGenFlags>) => forPort(config(flags), { ...bare, ...flags }, port);
    expect(on({}).sourceMac.start).toBe('02:00:00:00:00:07');
    expect(on({}).headerLength).toBe(12);
    expect(on({ header: 0 }).headerLength).toBe(0);
    const typed = { start: '02:00:00:00:00:01', end: '02:00:00:00:00:01' };
    expect(on({ sourceMac: typed }).sourceMac).toEqual(typed);
    expect(() => on({ size: [1515] })).toThrow('at most the 1514 bytes that eth0 carries');
    expect(on({ function: 'rx', size: [1515] }).size).toBe(1515);
  });

  test('contradictions', () => {
    expect(() => config({ function: 'rx', pcap: 'x.pcap' })).toThrow('-P plays frames');
    expect(() => config({ function: 'ping', threads: 2 })).toThrow('one thread');
  });
});
