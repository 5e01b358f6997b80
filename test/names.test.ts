// SPDX-License-Identifier: BSD-2-Clause
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type Exists,
  NameError,
  parse,
  parsePersistent,
  parseSwitch,
  parseSwitchOrPort,
  toOpenRequest,
} from '../src/port/name.js';
import { badNames, goodNames, type World } from './support/names-table.js';

function exists(world: World = {}): Exists {
  const sets = { switch: world.switches, port: world.ports, interface: world.interfaces };
  return (kind, name) => sets[kind]?.includes(name) ?? false;
}

function refusal(action: () => unknown): NameError {
  try {
    action();
  } catch (error) {
    if (error instanceof NameError) return error;
    throw error;
  }
  throw new Error('accepted');
}

const show = (name: string): string => JSON.stringify(name);

describe('names that mean something', () => {
  for (const { name, means, world } of goodNames)
    it(`${show(name)} is ${means.fullName}${world ? ` where ${JSON.stringify(world)}` : ''}`, () => {
      expect(parse(name, { exists: exists(world) })).toMatchObject({ options: {}, ...means });
    });
});

describe('names that are refused', () => {
  for (const { name, code, token, hint, world } of badNames)
    it(`${show(name)}: ${show(token)}`, () => {
      const error = refusal(() => parse(name, { exists: exists(world) }));
      expect(error).toMatchObject({ code, offendingToken: token });
      expect(error.hint).toContain(hint);
      expect(error.message).toContain(error.hint);
      expect(error.message).toMatch(/^"[^\p{C}]*": [^\p{C}]+$/u);
    });
});

describe('a name that may be a switch or a port', () => {
  it('is the switch where one exists, else the port', () => {
    expect(parseSwitchOrPort('vale0', { exists: exists({ switches: ['vale0'] }) })).toMatchObject({
      kind: 'switch',
      switch: 'vale0',
    });
    expect(parseSwitchOrPort('vale0')).toMatchObject({ kind: 'port', fullName: 'vale:vale0' });
  });

  it('is refused where both exist, with both spellings', () => {
    const both = exists({ switches: ['vale', 'vale0'], ports: ['vale:vale0'] });
    const { message } = refusal(() => parseSwitchOrPort('vale0', { exists: both }));
    expect(message).toContain('vale0: for the switch');
    expect(message).toContain('vale:vale0 for the port');
    expect(parseSwitchOrPort('vale0:', { exists: both })).toMatchObject({ switch: 'vale0' });
    expect(parseSwitchOrPort('vale:vale0', { exists: both })).toMatchObject({
      fullName: 'vale:vale0',
    });
  });

  it('as a port beside a switch of that name carries a warning that suggests the other', () => {
    const spec = parse('vale0', { exists: exists({ switches: ['vale0'] }) });
    expect(spec.fullName).toBe('vale:vale0');
    expect(spec.warning).toContain('use vale0:NAME');
    expect(
      parse('vale:vale0', { exists: exists({ switches: ['vale0'] }) }).warning,
    ).toBeUndefined();
  });
});

describe('a name of a switch', () => {
  it('may end with a colon', () => {
    expect(parseSwitch('vale0').switch).toBe('vale0');
    expect(parseSwitch('vale0:').switch).toBe('vale0');
  });

  it.each([
    ['vale0:a', ':a', 'use "vale0"'],
    ['eth0', 'eth0', 'as in vale0'],
    ['vale-foo', '-', 'use letters, digits and _'],
    ['vale123456789012', 'vale123456789012', 'at most 15'],
  ])('cannot be %s', (name, token, hint) => {
    expect(refusal(() => parseSwitch(name))).toMatchObject({
      code: 'EINVAL',
      offendingToken: token,
    });
    expect(refusal(() => parseSwitch(name)).hint).toContain(hint);
  });
});

describe('a name of a persistent port', () => {
  it('is a name of its own, with wishes for its memory', () => {
    expect(toOpenRequest(parsePersistent('p0@3@conf:slots=64'))).toMatchObject({
      name: 'p0',
      memId: 3,
      txSlots: 64,
      rxSlots: 64,
    });
  });

  it.each(['vale0', 'vale0:a', 'p0^', 'netmap:p0-1', 'p0/x', 'p0{1'])('cannot be %s', (name) => {
    expect(refusal(() => parsePersistent(name)).code).toBe('EINVAL');
  });
});

describe('what a name asks the device for', () => {
  it('is its rings, flags, memory and wishes', () => {
    expect(toOpenRequest(parse('vale0:a-2/x@3@conf:rings=4'))).toEqual({
      name: 'vale0:a',
      mode: 4,
      ringId: 2,
      flags: 0x800,
      memId: 3,
      txRings: 4,
      rxRings: 4,
    });
    expect(toOpenRequest(parse('vale-foo'))).toEqual({
      name: 'vale:vale-foo',
      mode: 1,
      ringId: 0,
      flags: 0,
    });
  });

  it('shares the memory of the port that @share names', () => {
    const asked: string[] = [];
    const request = toOpenRequest(parse('vale0:a@share=vale-b'), (port) => {
      asked.push(port.fullName);
      return 7;
    });
    expect(request.memId).toBe(7);
    expect(asked).toEqual(['vale:vale-b']);
  });

  it('cannot be memory from a file', () => {
    const error = refusal(() => toOpenRequest(parse('vale0:a@extmem=/x')));
    expect(error).toMatchObject({ code: 'EOPNOTSUPP', offendingToken: 'extmem' });
  });
});

const letters = (set: string, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...set), minLength: 1, maxLength: max });
const IDENTIFIER = 'abcXYZ019_';

describe('whatever is typed', () => {
  it('is understood or refused in one line, never anything else', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(
          'vale',
          'vale0',
          'netmap',
          ':',
          '-',
          '{',
          '}',
          '*',
          '^',
          '/',
          '@',
          '1',
          'x',
        ),
        fc.constantFrom(
          'conf',
          'share',
          'extmem',
          '=',
          ',',
          'slots',
          'port',
          ' ',
          '\n',
          '__proto__',
        ),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, fc.boolean(), (parts, all) => {
        const name = parts.join('');
        for (const read of [parse, parseSwitchOrPort, parsePersistent])
          try {
            expect(read(name, { exists: () => all })).toHaveProperty('text', name);
          } catch (error) {
            if (!(error instanceof NameError)) throw error;
            expect(error.message).not.toMatch(/\p{C}/u);
          }
      }),
      { numRuns: 2000 },
    );
  });

  it('means the same when its full name is typed again', () => {
    const base = fc.oneof(
      fc
        .tuple(letters(IDENTIFIER, 11), letters(`${IDENTIFIER}-`, 15))
        .map(([s, p]) => `vale${s}:${p}`),
      letters(`${IDENTIFIER}-`, 11).map((p) => `vale${p}`),
      letters(`${IDENTIFIER}-.`, 15),
    );
    const suffix = fc.constantFrom('', '{1', '}x_1', '^', '^2', '*', '/x', '@3', '@conf:slots=3');
    fc.assert(
      fc.property(base, suffix, (name, more) => {
        let spec;
        try {
          spec = parse(name + more);
        } catch (error) {
          if (error instanceof NameError) return;
          throw error;
        }
        const { kind, fullName, pipe } = spec;
        const listed = pipe === undefined ? kind : 'port';
        const known: Exists = (what, other) => what === listed && other === fullName;
        expect(parse(fullName, { exists: known })).toMatchObject({ kind, fullName, pipe });
      }),
      { numRuns: 2000 },
    );
  });

  it('is accepted back when a listing printed it', () => {
    // Programs that do not use this grammar may give a port any name the device takes.
    const anything = fc.string({
      unit: fc.constantFrom(...`${IDENTIFIER}-.+^*&/@ `),
      minLength: 1,
      maxLength: 15,
    });
    const listed = fc.oneof(
      fc.tuple(letters(IDENTIFIER, 11), anything).map(([s, p]) => `vale${s}:${p}`),
      letters(`${IDENTIFIER}.-`, 15).filter((name) => !/^(vale|netmap|\.\.?$)/.test(name)),
    );
    fc.assert(
      fc.property(fc.uniqueArray(listed, { minLength: 1, maxLength: 6 }), (ports) => {
        const world = exists({ ports });
        for (const name of ports)
          for (const read of [parse, parseSwitchOrPort])
            expect(read(name, { exists: world })).toMatchObject({
              fullName: name,
              mode: 1,
              flags: 0,
            });
      }),
      { numRuns: 1000 },
    );
  });
});
