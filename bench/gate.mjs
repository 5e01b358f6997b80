// SPDX-License-Identifier: BSD-2-Clause
// npm run bench -- gate: instructions a frame of the main paths, against bench/baseline.json. Counting
// instructions needs no quiet machine: with fixed frames in a fixed order every run counts the same.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { has, inRoot, say } from '../scripts/lib.mjs';

const usage = `usage: npm run bench -- gate [options]
  --update            write what is counted now to bench/baseline.json: commit it with the change
  --planted PERCENT   count the build with a loss planted in it; a gate that works exits 3 from 5 on
  exit 3: a path takes more than 4 % more instructions a frame than the baseline says
`;

const BASELINE = 'bench/baseline.json';
// A loss of 5 % must be reported, however what was planted is rounded and whatever a clock adds.
const LIMIT = 0.04;

// glibc chooses its memcpy by what the processor can do; the gate must not. Names that a version
// does not know are ignored.
const TUNABLES = `glibc.cpu.hwcaps=${[
  'AVX2',
  'AVX2_Usable',
  'AVX512VL',
  'AVX512VL_Usable',
  'AVX_Fast_Unaligned_Load',
  'ERMS',
  'FSRM',
]
  .map((name) => `-${name}`)
  .join(',')}`;

function options() {
  try {
    return parseArgs({
      args: process.argv.slice(3),
      options: {
        update: { type: 'boolean', default: false },
        planted: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return { wrong: error.message.split('. ')[0] };
  }
}

/** What decides about instruction counts besides our source. */
function toolchain() {
  const line = (command, ...args) =>
    spawnSync(command, args, { encoding: 'utf8' }).stdout?.split('\n')[0].trim();
  return {
    compiler: line(process.env['CXX'] ?? 'c++', '--version'),
    libc: line('getconf', 'GNU_LIBC_VERSION'),
    machine: process.arch,
    flags: process.env['CXXFLAGS'] ?? 'default',
  };
}

function ran(command, args, environment) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, GLIBC_TUNABLES: TUNABLES, ...environment },
  });
  if (error !== undefined || status !== 0) {
    const why = error?.message ?? stderr.trim().split('\n').at(-1);
    throw new Error(`${command} ${args.join(' ')}: ${why}`);
  }
  return { stdout, stderr };
}

/**
 * Instructions a frame of one path; `planted` more of them where there are any. A receiver's clock asks
 * the system now and then, which adds up to 2 %: the least of three runs is its own.
 */
function count(program, path, planted, environment) {
  const runs = Array.from({ length: path.startsWith('receive') ? 3 : 1 }, () =>
    countOnce(program, path, planted, environment),
  );
  return Math.min(...runs);
}

function countOnce(program, path, planted, environment) {
  const { stdout, stderr } = ran(
    'valgrind',
    [
      '--tool=callgrind',
      '--callgrind-out-file=/dev/null',
      '--toggle-collect=counted_*',
      // Where rxsync is counted: off again while the system is asked for the time.
      ...(path.startsWith('receive') ? ['--toggle-collect=vale::WallClock::read*'] : []),
      program,
      '--path',
      path,
      ...(planted === undefined ? [] : ['--planted', String(planted)]),
    ],
    environment,
  );
  const collected = /Collected : (\d+)/.exec(stderr)?.[1];
  if (collected === undefined) throw new Error('valgrind printed no instruction count');
  return Number(collected) / JSON.parse(stdout).frames;
}

const places = (value) => Math.round(value * 100) / 100;

/** The gate; returns the exit code. environment: what the measuring programs run in. */
export function gate(environment) {
  const { update, planted, help, wrong } = options();
  if (help) {
    process.stdout.write(usage);
    return 0;
  }
  const percent = planted === undefined ? undefined : Number(planted);
  if (wrong !== undefined || (percent !== undefined && !(percent >= 0 && percent <= 100))) {
    say(
      `gate: ${wrong ?? `--planted ${planted}: not a number in 0..100`}; --help lists the options`,
    );
    return 2;
  }

  const here = toolchain();
  const baseline = update ? undefined : JSON.parse(readFileSync(inRoot(BASELINE), 'utf8'));
  const other = Object.keys(here).filter((key) => baseline && baseline[key] !== here[key]);
  const why = has('valgrind')
    ? other.map((key) => `${BASELINE} is for ${key} ${baseline[key]}, here is ${here[key]}`)[0]
    : 'valgrind is missing: apt-get install valgrind';
  if (why !== undefined) {
    // Where the suite runs, a gate that looks at nothing is open.
    say(`gate: skipped: ${why}`);
    return process.env['CI'] || update ? 1 : 0;
  }

  const plain = inRoot('build/native/bench/paths');
  const program = percent === undefined ? plain : inRoot('build/native/bench/paths_planted');
  const names = ran(program, ['--list'], environment).stdout.trim().split('\n');
  if (update) {
    const paths = Object.fromEntries(
      names.map((name) => [name, places(count(program, name, undefined, environment))]),
    );
    writeFileSync(inRoot(BASELINE), `${JSON.stringify({ ...here, paths }, undefined, 2)}\n`);
    process.stdout.write(`${JSON.stringify(paths, undefined, 2)}\n`);
    say(`gate: ${BASELINE} is new: commit it, and say in the commit why`);
    return 0;
  }

  const lost = [];
  process.stdout.write('path              baseline       now   change\n');
  for (const name of names) {
    // A planted loss is held to what this very tree takes, however far that is from the baseline.
    const before =
      percent === undefined
        ? baseline.paths[name]
        : places(count(plain, name, undefined, environment));
    if (before === undefined) {
      say(`gate: ${BASELINE} does not have ${name}: npm run bench -- gate --update`);
      return 1;
    }
    // In pairs, because the planted loop has two instructions a turn.
    const more = percent === undefined ? undefined : 2 * Math.round((before * percent) / 200);
    const now = places(count(program, name, more, environment));
    const change = now / before - 1;
    const note = change > LIMIT ? '  LOST' : change < -LIMIT ? '  better: renew the baseline' : '';
    if (change > LIMIT) lost.push(name);
    process.stdout.write(
      `${name.padEnd(16)}${before.toFixed(2).padStart(10)}${now.toFixed(2).padStart(10)}` +
        `${`${(change * 100).toFixed(1)} %`.padStart(9)}${note}\n`,
    );
  }
  if (lost.length === 0) return 0;
  say(`gate: more than ${LIMIT * 100} % more instructions a frame: ${lost.join(', ')}`);
  return 3;
}
