// SPDX-License-Identifier: BSD-2-Clause
// What every verb shares, seen from outside: errors, exit codes, help, closed pipes.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { lastWins, readWords } from '../src/argv.js';
import { explain, expected, nearest, UsageError } from '../src/errors.js';
import { candidates, missingAddon, packageRoot } from '../src/native.js';
import { toJson } from '../src/report/json.js';
import { terminal } from '../src/report/terminal.js';
import { bitRate, byteCount, count, packetRate } from '../src/report/units.js';

const root = packageRoot();
const bin = join(root, 'bin', 'vale.js');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

function vale(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

describe('a wrong command line is one line on stderr and exit code 2', () => {
  test.each([
    [['pktgen'], "vale: unknown command 'pktgen': did you mean 'pkt-gen'?"],
    [['briddge'], "vale: unknown command 'briddge': did you mean 'bridge'?"],
    [['README.md'], "vale: unknown command 'README.md': see vale --help"],
    [['--verison'], "vale: unknown option '--verison': see vale --help"],
    [['help', 'ctll'], "vale: unknown command 'ctll': did you mean 'ctl'?"],
    [
      ['pkt-gen', '-i', 'vale0:a', '--durration', '1'],
      "vale: unknown option '--durration': did you mean '--duration'?",
    ],
    [['pkt-gen', '-i', 'vale0:a', '-XQ'], "vale: unknown option '-Q' in '-XQ': see --help"],
    [['pkt-gen', '-i', 'vale0:a', '-l'], 'vale: missing value for -l: see --help'],
    [['pkt-gen', '-i', '-f', 'tx'], 'vale: missing value for -i: see --help'],
    [['pkt-gen', '-f', 'tx'], 'vale: missing -i PORT: see --help'],
    [
      ['pkt-gen', '-i', 'vale0:a', '--json', '--ndjson'],
      'vale: --json and --ndjson exclude each other: give one of them',
    ],
    [
      ['bridge', 'vale0:a', 'vale1:b', '--json', '--ndjson'],
      'vale: --json and --ndjson exclude each other: give one of them',
    ],
    [['pkt-gen', '-i', 'vale0:a', '-X=1'], "vale: unknown option '-=' in '-X=1': see --help"],
    [['pkt-gen', '-i', 'vale0:a', '--dump=1'], 'vale: --dump takes no value: --dump=1'],
    [['pkt-gen', '-i', 'vale0:a', 'more'], "vale: unexpected argument 'more': see --help"],
    [
      ['pkt-gen', '-i', 'vale0:a', '-f', 'bogus'],
      'vale: expected one of rx, tx, ping, pong, txseq, rxseq for -f but received bogus',
    ],
    [
      ['pkt-gen', '-i', 'vale0:a', '-l', '-4'],
      'vale: expected a size from 16 to 65536 for -l but received -4',
    ],
    [
      ['pkt-gen', '-i', 'vale0:a', '--size=5'],
      'vale: expected a size from 16 to 65536 for --size but received 5',
    ],
    [
      ['pkt-gen', '-i', 'vale0:a', '-T', ''],
      'vale: expected milliseconds from 10 to 3600000 for -T but received ""',
    ],
  ])('vale %j', (args, line) => {
    expect(vale(args)).toEqual({ status: 2, stdout: '', stderr: `${line}\n` });
  });

  test('of a repeated single-value option the last one counts, a wrong earlier one does not', () => {
    const { stderr } = vale(['pkt-gen', '-i', 'a', '-T', '0', '-T', '100', '-f', 'bogus']);
    expect(stderr).toContain('for -f but received bogus');
  });
});

describe('help and version', () => {
  test('--version tells package, platform and Node', () => {
    const line = `vale-switch ${version} (${process.platform}-${process.arch}, node ${process.version})\n`;
    expect(vale(['--version'])).toEqual({ status: 0, stdout: line, stderr: '' });
  });

  test('every verb is listed with a summary, and has a page of its own', () => {
    const { stdout } = vale(['--help']);
    expect(vale(['help']).stdout).toBe(stdout);
    expect(vale([]).stdout).toBe(stdout);
    for (const verb of ['pkt-gen', 'bridge', 'ctl']) {
      expect(stdout).toMatch(new RegExp(`^  ${verb} +\\S`, 'm'));
      const page = vale([verb, '--help']);
      expect(page.status).toBe(0);
      expect(page.stdout).toContain(`$ vale ${verb}`);
      expect(vale(['help', verb]).stdout).toBe(page.stdout);
    }
  });

  test('-h is help, except in ctl, where it attaches', () => {
    expect(vale(['pkt-gen', '-h']).stdout).toBe(vale(['pkt-gen', '--help']).stdout);
    expect(vale(['ctl', '-h'])).toMatchObject({ status: 2, stdout: '' });
  });

  test.each(['40', '80', '110'])('COLUMNS=%s is honoured, without colour in a pipe', (COLUMNS) => {
    const { stdout } = vale(['pkt-gen', '--help'], { COLUMNS });
    expect(stdout).not.toContain('\u001b');
    const long = stdout.split('\n').filter((line) => line.length > Number(COLUMNS));
    // A single word may be longer than the line.
    expect(long.filter((line) => line.trim().includes('  '))).toEqual([]);
  });
});

describe('the end of the process', () => {
  test('a reader that goes away early is a normal end without a word', async () => {
    const child = spawn(process.execPath, [bin, 'pkt-gen', '--help'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.each([[['--version']], [['pkt-gen', '-h']], [['ctl', '--json']]])(
    'output that cannot be written is an error: vale %j >/dev/full',
    (args) => {
      const full = openSync('/dev/full', 'w');
      const { status, stderr } = spawnSync(process.execPath, [bin, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', full, 'pipe'],
      });
      closeSync(full);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: 'vale: cannot write to standard output: no space left on that device\n',
      });
    },
  );

  test('an error has its own exit code, or 1; more lines become one', () => {
    expect(explain(new UsageError('x'))).toEqual({ line: 'x', exitCode: 2 });
    expect(explain(new Error('one\n  two'))).toEqual({ line: 'one; two', exitCode: 1 });
    expect(explain('text')).toEqual({ line: 'text', exitCode: 1 });
    expect(expected('a number', '-n', '').message).toBe('expected a number for -n but received ""');
  });
});

describe('reading words', () => {
  const flags = {
    size: { type: 'option', char: 'l', multiple: true },
    rate: { type: 'option', char: 'R' },
    four: { type: 'boolean', char: '4' },
    table: { type: 'boolean', allowNo: true },
  } as const;
  const read = (...argv: string[]) => readWords(argv, flags as never);

  test('values may stick to their option, follow it, or begin with a minus and a digit', () => {
    const values = read('-l60', '-l=61', '-l', '62', '--size=63', '--size', '64', '-R', '-4').flags;
    expect(values.map(({ value }) => value)).toEqual(['60', '61', '62', '63', '64', '-4']);
  });

  test('-4 is a flag where no value is due, single letters combine, -- ends them', () => {
    expect(read('-4', '-4R', '5', '--no-table', '--', '-4')).toEqual({
      flags: [
        { name: 'four', spelled: '-4' },
        { name: 'four', spelled: '-4' },
        { name: 'rate', spelled: '-R', value: '5' },
        { name: 'table', spelled: '--no-table', negated: true },
      ],
      args: ['-4'],
    });
  });

  test('the last of a single-value option is kept, all of a multiple one are', () => {
    const words = read('-R1', '-l1', '-R2', '-l2').flags;
    expect(lastWins(words, flags as never).map(({ value }) => value)).toEqual(['1', '2', '2']);
  });

  test('a near word is offered, a far one is not', () => {
    expect(nearest('brigde', ['bridge', 'ctl'])).toBe('bridge');
    expect(nearest('pkt', ['bridge', 'pkt-gen'])).toBe('pkt-gen');
    expect(nearest('README.md', ['bridge', 'ctl'])).toBeUndefined();
    expect(nearest('xyz', ['ctl'])).toBeUndefined();
  });
});

describe('what is printed', () => {
  test('JSON keeps 64-bit counters exact, and is otherwise what JSON.stringify prints', () => {
    expect(toJson({ n: 18446744073709551615n, list: new BigUint64Array([1n]) })).toBe(
      '{"n":18446744073709551615,"list":[1]}',
    );
    const value = {
      a: [1, 'x"\n', null, undefined, NaN],
      b: undefined,
      c: {},
      d: [],
      e: new Date(0),
    };
    expect(toJson(value)).toBe(JSON.stringify(value));
    expect(toJson(value, 2)).toBe(JSON.stringify(value, null, 2));
  });

  test('units are scaled by 1000, and rounding carries over', () => {
    expect(packetRate(14_880_952)).toBe('14.881 Mpps');
    expect(packetRate(999.9996)).toBe('1.000 Kpps');
    expect(packetRate(0)).toBe('0.000 pps');
    expect(bitRate(9_523_809_520)).toBe('9.524 Gbit/s');
    expect(byteCount(999)).toBe('999 B');
    expect(byteCount(42_369_024n)).toBe('42.369 MB');
    expect(count(12345678n)).toBe('12,345,678');
  });

  test.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{ isTTY: false }, { FORCE_COLOR: '1' }, true],
    [{ isTTY: true }, { FORCE_COLOR: '0' }, false],
  ])('colour on %j with %j: %s', (stream, env, color) => {
    expect(terminal(stream, env).color).toBe(color);
  });

  test('COLUMNS wins over the terminal, 80 is the default', () => {
    expect(terminal({ columns: 100 }, { COLUMNS: '60' }).columns).toBe(60);
    expect(terminal({ columns: 100 }, { COLUMNS: 'x' }).columns).toBe(100);
    expect(terminal({}, {}).columns).toBe(80);
  });
});

describe('the addon', () => {
  test('one built here wins over the shipped one', () => {
    expect(candidates('/p', 'linux', 'x64')).toEqual([
      '/p/build/native/vale.node',
      '/p/prebuilds/linux-x64/vale.node',
    ]);
  });

  test('without a binary, one line names the packages and the build command', () => {
    const line = missingAddon('/p', 'linux', 'arm64');
    expect(line).toContain('linux-arm64');
    expect(line).toContain('apt-get install g++ make');
    expect(line).toContain('make -C /p/native');
    expect(line).not.toContain('\n');
  });
});
