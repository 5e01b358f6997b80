// SPDX-License-Identifier: BSD-2-Clause
// npm run bench -- [--quick] [--only NAME]... [--compare REV] [--json] [--check] [--list]
// npm run bench -- gate [--update]
// npm run bench -- vm
// npm run bench -- transfer
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { inRoot, say } from '../scripts/lib.mjs';
import { agentTrials } from './agents.mjs';
import { chart } from './chart.mjs';
import { against, checkout } from './compare.mjs';
import { gate } from './gate.mjs';
import { commandLine, Interrupted, Runner, Skip } from './measure.mjs';
import { peerTrials } from './peers.mjs';
import { document, legend, table } from './report.mjs';
import { judge } from './statistics.mjs';
import { trials as own } from './trials.mjs';
import { transfer } from './transfer.mjs';
import { virtualMachines } from './vm.mjs';

const usage = `usage: npm run bench -- [options]
       npm run bench -- gate [options]   instructions a frame against a baseline
       npm run bench -- vm [options]     virtual machines, by what joins them
       npm run bench -- transfer [options]   a gigabyte between two of them while their agents are killed
  --quick        short windows, three pairs each, no callgrind: at most 60 s
  --compare REV  another revision of ours in turns with this one, instead of the limits
  --only NAME    only this trial; NAME* for all that start so; may be repeated
  --pairs N      pairs of windows a figure (default 5)
  --seconds S    length of a window (default 0.2)
  --json         the result on stdout as one JSON object; it is in bench/results/ in any case
  --check        exit 3 if a bar is missed
  --list         the trials' names, groups and commands
`;

function usageError(text) {
  say(`${text}; npm run bench -- --help lists the options`);
  process.exit(2);
}

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        compare: { type: 'string' },
        pairs: { type: 'string' },
        seconds: { type: 'string' },
        json: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    usageError(error.message.split('. ')[0]);
  }
  const number = (key, fallback, least, most) => {
    const value = values[key] === undefined ? fallback : Number(values[key]);
    if (!(value >= least && value <= most))
      usageError(`--${key} ${values[key]}: not a number in ${least}..${most}`);
    return value;
  };
  return {
    ...values,
    pairs: Math.round(number('pairs', values.quick ? 3 : 5, 1, 101)),
    seconds: number('seconds', values.quick ? 0.15 : 0.2, 0.02, 30),
  };
}

function chosen({ only, quick }) {
  const matches = (name, wish) =>
    wish.endsWith('*') ? name.startsWith(wish.slice(0, -1)) : name === wish;
  for (const wish of only ?? []) {
    if (!trials.some(({ name }) => matches(name, wish)))
      usageError(`--only ${wish}: no such trial; --list names them`);
  }
  return only
    ? trials.filter(({ name }) => only.some((wish) => matches(name, wish)))
    : trials.filter((trial) => !quick || trial.quick !== false);
}

function describeRun(options) {
  const git = (...args) => {
    const { status, stdout } = spawnSync('git', args, { cwd: inRoot(), encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  return {
    time: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD'),
    modified: (git('status', '--porcelain', '--untracked-files=no') ?? '') !== '',
    quick: options.quick,
    compare: options.compare,
    pairs: options.pairs,
    windowSeconds: options.seconds,
    machine: {
      cpu: os.cpus()[0]?.model,
      processors: os.availableParallelism(),
      memory: os.totalmem(),
      kernel: `${os.type()} ${os.release()}`,
      node: process.version,
      load: os.loadavg()[0],
    },
  };
}

async function runAll(selected, runner) {
  const rows = [];
  const began = Date.now();
  const elapsed = () => (Date.now() - began) / 1000;
  for (const [at, trial] of selected.entries()) {
    process.stderr.write(
      `[${at + 1}/${selected.length}, ${elapsed().toFixed(0)} s] ${trial.name}\n`,
    );
    const start = elapsed();
    const row = {
      trial,
      command: commandLine(trial),
      limitCommand:
        trial.limit && (trial.limit.tool || trial.limit.command) && commandLine(trial.limit),
    };
    try {
      row.result = await runner.run(trial);
      if (trial.bar && row.result[trial.bar.of]) row.verdict = judge(trial.bar, row.result);
    } catch (error) {
      if (error instanceof Interrupted) break;
      if (error instanceof Skip) row.skipped = error.message;
      else row.error = error.message;
    }
    row.seconds = elapsed() - start;
    rows.push(row);
  }
  return rows;
}

const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'vale-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const directory = (name) => {
  mkdirSync(join(scratch, name), { mode: 0o700 });
  return join(scratch, name);
};
const environment = { VALE_DIR: directory('own') };
if (process.argv[2] === 'gate') process.exit(gate(environment));
if (process.argv[2] === 'vm') process.exit(await virtualMachines({ environment, scratch }));
if (process.argv[2] === 'transfer') process.exit(await transfer({ environment, scratch }));

const trials = [...own, ...agentTrials, ...(await peerTrials())];
const options = readOptions();
if (options.help) {
  process.stdout.write(usage);
  process.exit(0);
}
if (options.list) {
  for (const trial of trials)
    process.stdout.write(`${trial.name}\t${trial.group}\t${commandLine(trial)}\n`);
  process.exit(0);
}
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const runner = new Runner({
  ...options,
  retrySeconds: options.quick ? 6 : 90,
  budget: options.quick ? 50 : 700,
  environment,
  scratch,
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.interrupt());

let selected = chosen(options);
if (options.compare) {
  try {
    const other = checkout(options.compare);
    process.on('exit', other.remove);
    // A layout may differ, and another one is refused: each build has a runtime directory.
    selected = against(selected, { ...other, directory: directory('other') });
  } catch (error) {
    usageError(`--compare ${options.compare}: ${error.message}`);
  }
}

const run = describeRun(options);
const started = Date.now();
const rows = await runAll(selected, runner);
run.seconds = (Date.now() - started) / 1000;
run.complete = !runner.interrupted;
const result = document(run, rows);
mkdirSync(inRoot('bench/results'), { recursive: true });
const file = join('bench/results', `${run.time.replaceAll(':', '-')}.json`);
writeFileSync(inRoot(file), `${JSON.stringify(result, undefined, 2)}\n`);
const picture = chart(result);
if (picture) writeFileSync(inRoot(file.replace(/json$/, 'svg')), picture);
process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${table(rows)}\n${legend}`);
say(
  `${run.complete ? 'done' : 'interrupted'} after ${run.seconds.toFixed(0)} s; ${file}${picture ? ' and .svg' : ''}`,
);

const missed = rows.filter(({ verdict }) => verdict === 'missed').map(({ trial }) => trial.name);
const failed = rows.filter(({ error }) => error !== undefined);
if (failed.length > 0 && run.complete) process.exitCode = 1;
else if (options.check && missed.length > 0) {
  say(`bars missed: ${missed.join(', ')}`);
  process.exitCode = 3;
}
