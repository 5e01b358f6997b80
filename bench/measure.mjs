// SPDX-License-Identifier: BSD-2-Clause
// Runs trials: one window is one run of a measuring program. What is compared is taken in
// alternation, limit then figure, so that both meet the same machine.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { has, inRoot, make } from '../scripts/lib.mjs';
import { placement, spread, summary } from './statistics.mjs';

/** A trial that cannot run here; the message says why and what to do. */
export class Skip extends Error {}

/** Thrown out of a run that SIGINT ended. */
export class Interrupted extends Error {}

const toolPath = (tool, build = 'native') => join('build', build, 'bench', tool);

function toolArguments(args) {
  return Object.entries(args).flatMap(([key, value]) =>
    value === true ? [`--${key}`] : [`--${key}`, String(value)],
  );
}

/** The command of a figure as a user would type it in the package's root. */
export function commandLine({ tool, args, command, peer }) {
  if (peer) return `bench/peers/${peer.name}.mjs`;
  return command
    ? ['node', ...command].join(' ')
    : [toolPath(tool), ...toolArguments(args)].join(' ');
}

const roundTrips = (window) =>
  window.roundTripBefore === undefined ? [] : [window.roundTripBefore, window.roundTripAfter];

/**
 * Did the processors stay where they were, and the processes on them, through these windows? A
 * receiver that sleeps is off its processor by itself, and a ping-pong is on one side at a time.
 */
function undisturbed(windows, { receiverSleeps, sleepsInTurns }) {
  const places = new Set(windows.flatMap(roundTrips).map(placement));
  const ran = (window) =>
    sleepsInTurns ||
    ((receiverSleeps || (window.cpuShare ?? 1) > 0.93) &&
      (receiverSleeps || (window.peerCpuShare ?? 1) > 0.93));
  return places.size <= 1 && windows.every(ran);
}

export class Runner {
  /** @param {{seconds: number, pairs: number, retrySeconds: number, budget: number, quick: boolean,
   *   environment: Record<string, string>}} options
   *  retrySeconds: how long disturbed windows may be taken again, over the whole run
   *  budget: s after which what is left is measured once only, so that the run ends in time */
  constructor(options) {
    this.options = options;
    this.child = undefined;
    this.interrupted = false;
    this.retryLeft = options.retrySeconds;
    this.lateAt = Date.now() + options.budget * 1000;
  }

  late() {
    return Date.now() > this.lateAt;
  }

  /** After this every run in progress or to come throws Interrupted. */
  interrupt() {
    this.interrupted = true;
    this.child?.kill('SIGINT');
  }

  /** stdout and stderr of a command that must succeed. */
  async capture(command, args, environment = {}) {
    if (this.interrupted) throw new Interrupted();
    const child = spawn(command, args, {
      cwd: inRoot(),
      env: { ...process.env, ...this.options.environment, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status, signal) => resolve(signal ?? status));
    });
    if (this.interrupted) throw new Interrupted();
    if (code !== 0) {
      const why = stderr.trim().split('\n').at(-1) || `ended with ${code}`;
      throw new Error(`${command} ${args.join(' ')}: ${why}`);
    }
    return { stdout, stderr };
  }

  /** One run of a measuring program; figure.root: another checkout's. */
  async window(figure, seconds) {
    const args = [...toolArguments(figure.args), '--seconds', String(seconds)];
    const path = join(figure.root ?? inRoot(), toolPath(figure.tool));
    const environment = figure.directory ? { VALE_DIR: figure.directory } : {};
    const { stdout } = await this.capture(path, args, environment);
    return JSON.parse(stdout);
  }

  /** A row's result, with the round trip of a line before and after, whatever was measured. */
  async run(trial) {
    if (trial.privileged && process.getuid?.() !== 0) throw new Skip('needs root');
    trial.check?.();
    const before = await this.roundTrip();
    const result = await this.measured(trial);
    const after = await this.roundTrip();
    return { ...result, roundTrip: result.roundTrip ?? { before, after } };
  }

  measured(trial) {
    if (trial.kind === 'startup') return this.startup(trial);
    if (trial.kind === 'instructions') return this.instructions(trial);
    if (trial.measure) return trial.measure(this);
    return this.figure(trial);
  }

  /** Of one cache line between the two processors, now, s. */
  async roundTrip() {
    return (await this.window({ tool: 'line', args: {} }, 0)).roundTripBefore;
  }

  /** A window of a figure; of a program that takes no round trips itself, between two of them if asked. */
  async windowOf(figure, seconds) {
    if (!figure.roundTrips) return this.window(figure, seconds);
    const roundTripBefore = await this.roundTrip();
    const window = await this.window(figure, seconds);
    return { ...window, roundTripBefore, roundTripAfter: await this.roundTrip() };
  }

  /** Takes windows of the figure, each beside one of its limit when it has one. */
  async figure(trial) {
    const { pairs, quick } = this.options;
    const seconds = trial.seconds?.[quick ? 'quick' : 'full'] ?? this.options.seconds;
    const receiverSleeps = trial.receiverSleeps ?? (trial.args.receiver ?? 'busy') !== 'busy';
    const wanted = Math.min(trial.windows ?? pairs, quick ? 3 : Infinity);
    const kept = [];
    let repeated = 0;
    let disturbed = 0;
    while (kept.length < wanted && !(kept.length > 0 && this.late())) {
      const started = Date.now();
      const limit = trial.limit && (await this.window(trial.limit, seconds));
      const figure = await this.windowOf(trial, seconds);
      const clean = undisturbed(limit ? [limit, figure] : [figure], {
        receiverSleeps,
        sleepsInTurns: trial.sleepsInTurns,
      });
      if (!clean && repeated < wanted && this.retryLeft > 0 && !this.late()) {
        this.retryLeft -= (Date.now() - started) / 1000;
        repeated++;
        continue;
      }
      if (!clean) disturbed++;
      kept.push({ limit, figure });
    }
    return { ...summary(trial, kept), repeated, disturbed };
  }

  /** Wall time of two node commands in alternation. */
  async startup(trial) {
    const once = async (command) => {
      const start = process.hrtime.bigint();
      await this.capture(process.execPath, command);
      return Number(process.hrtime.bigint() - start) * 1e-9;
    };
    const windows = [];
    const wanted = trial.windows[this.options.quick ? 'quick' : 'full'];
    while (windows.length < wanted && !(windows.length > 4 && this.late())) {
      windows.push({ limit: await once(trial.limit.command), figure: await once(trial.command) });
    }
    return this.compared(windows);
  }

  /** Instructions a frame, with counters and with them compiled out. */
  async instructions(trial) {
    if (!has('valgrind')) throw new Skip('valgrind is missing: apt-get install valgrind');
    const build = 'no-counters';
    await make([
      `BUILD=../build/${build}`,
      'CXXFLAGS=-O2 -g1 -DVALE_NO_COUNTERS',
      `../${toolPath(trial.tool, build)}`,
    ]);
    const perFrame = async (path) => {
      const collected = async (frames) => {
        const args = [...toolArguments(trial.args), '--frames', String(frames)];
        const { stderr } = await this.capture('valgrind', [
          '--tool=callgrind',
          '--callgrind-out-file=/dev/null',
          inRoot(path),
          ...args,
        ]);
        const [, count] = /Collected : (\d+)/.exec(stderr) ?? [];
        if (count === undefined) throw new Error('valgrind printed no instruction count');
        return Number(count);
      };
      // The difference of two lengths leaves out everything that happens once.
      const [few, many] = [25_600, 102_400];
      return ((await collected(many)) - (await collected(few))) / (many - few);
    };
    const limit = await perFrame(toolPath(trial.tool, build));
    const figure = await perFrame(toolPath(trial.tool));
    return this.compared([{ limit, figure }]);
  }

  compared(windows) {
    return {
      value: spread(windows.map(({ figure }) => figure)),
      ratio: spread(windows.map(({ figure, limit }) => figure / limit)),
      limitValue: spread(windows.map(({ limit }) => limit)),
      repeated: 0,
      disturbed: 0,
      windows,
    };
  }
}
