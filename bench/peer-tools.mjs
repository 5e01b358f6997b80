// SPDX-License-Identifier: BSD-2-Clause
// What measurements with other programs beside the ports share: processes that end with the measurement, DPDK's testpmd as an
// object, network namespaces.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { inRoot } from '../scripts/lib.mjs';
import { takeHugePages } from './huge-pages.mjs';
import { Interrupted } from './measure.mjs';

/** Processes and files of one peer while it is measured; end() leaves nothing behind. */
export class Tools {
  /** @param {{runner: import('./measure.mjs').Runner, folder: string, seconds: number}} options */
  constructor({ runner, folder, seconds }) {
    this.runner = runner;
    this.folder = folder; // for sockets and files of the peer
    this.seconds = seconds; // of a window
    this.children = [];
    this.endings = [];
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Sleeps; ends early, by throwing, if the run was interrupted. */
  async sleep(seconds) {
    const until = Date.now() + seconds * 1000;
    for (let left = seconds * 1000; left > 0; left = until - Date.now()) {
      if (this.runner.interrupted) throw new Interrupted();
      await sleep(Math.min(left, 100));
    }
  }

  /** A command that must succeed; its stdout. */
  call(command, args, environment = {}) {
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      cwd: inRoot(),
      encoding: 'utf8',
      env: { ...process.env, ...environment },
      timeout: 20_000,
    });
    if (status !== 0) {
      const why = error?.message ?? stderr.trim().split('\n').at(-1);
      throw new Error(`${command} ${args.join(' ')}: ${why}`);
    }
    return stdout;
  }

  /** `vale ctl` on this run's own switches; its stdout. */
  ctl(...args) {
    const { environment } = this.runner.options;
    return this.call(process.execPath, ['bin/vale.js', 'ctl', ...args], environment);
  }

  /**
   * A port with a vhost-user socket for each name until end(), and the processes that serve these.
   * @param how further options of attach
   */
  serveMachines(names, ...how) {
    const sockets = names.map((name) => join(this.folder, name));
    const processes = this.attach('valevhost', names, (i) => ['--vhost-user', sockets[i], ...how]);
    return { sockets, processes };
  }

  /**
   * Ports of these names until end(); the processes that serve them.
   * @param options of attach, by the name's place
   */
  attach(onSwitch, names, options) {
    for (const [i, name] of names.entries()) {
      if (this.runner.interrupted) throw new Interrupted();
      this.ctl('-a', `${onSwitch}:${name}`, ...options(i));
      this.finally(() => this.ctl('-d', `${onSwitch}:${name}`));
    }
    const { ports } = JSON.parse(this.ctl('--json'));
    return [...new Set(ports.flatMap((port) => port.interface?.process_id ?? []))];
  }

  /** A process that runs until end(); `output` grows with what it prints. */
  start(command, args, environment = {}) {
    const child = spawn(command, args, {
      cwd: inRoot(),
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.output = '';
    child.on('error', (error) => (child.output += error.message));
    child.stdin.on('error', () => {}); // it has ended; whoever waits for its answer says so
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => (child.output += data));
    this.children.push(child);
    return child;
  }

  /** Waits until `done()` holds; an error that names `what` after `seconds`. */
  async until(done, what, seconds = 15) {
    for (const end = Date.now() + seconds * 1000; !done();) {
      if (Date.now() > end) throw new Error(`${what} within ${seconds} s`);
      await this.sleep(0.05);
    }
  }

  /** Whether DPDK gets huge pages until end(); where it does not, it must be told. */
  withHugePages() {
    this.hugePages ??= takeHugePages(this);
    return this.hugePages;
  }

  /** Runs `undo` at the end, the last one first. */
  finally(undo) {
    this.endings.push(undo);
  }

  async end() {
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) continue;
      const ended = new Promise((resolve) => child.on('close', resolve));
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(killer);
    }
    const failures = [];
    for (const undo of this.endings.reverse()) {
      try {
        undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /**
   * testpmd with virtual devices, forwarding; in huge pages, where there are enough.
   * @param {{name: string, vdevs: string[], mode: string, main: string, worker: string, args?: string[],
   *   eal?: string[]}} options main, worker: the processors of the thread that waits for commands and of
   *   the one that forwards, as in --lcores
   */
  async testpmd({ name, vdevs, mode, main, worker, args = [], eal = [] }) {
    const prefix = `valebench${process.pid}${name}`;
    const child = this.start('stdbuf', [
      '-o0',
      'dpdk-testpmd',
      ...(this.withHugePages() ? ['--socket-mem', '512'] : ['--no-huge', '-m', '512']),
      ...['--no-pci', '--no-telemetry', `--file-prefix=${prefix}`],
      ...['--lcores', `0@${main},1@${worker}`, ...eal],
      ...vdevs.map((vdev) => `--vdev=${vdev}`),
      '--',
      // Enough for two ports' rings of 1024, and not more than a third-level cache holds: with 32768 the
      // pool hands out buffers that are in memory, and testpmd takes 1.4 (60 bytes) to 2.4 times as long.
      ...['-i', `--forward-mode=${mode}`, '--total-num-mbufs=8192', ...args],
    ]);
    const prompts = () => child.output.split('testpmd> ').length - 1;
    const answered = async (before) => {
      await this.until(
        () => prompts() > before || child.exitCode !== null,
        `testpmd (${name}) did not answer`,
        40,
      );
      if (child.exitCode === null) return;
      const lines = child.output.trim().split('\n');
      throw new Error(
        `testpmd (${name}): ${lines.find((l) => /error|cause/i.test(l)) ?? lines.at(-1)}`,
      );
    };
    await answered(0);
    const ask = async (command) => {
      const [before, from] = [prompts(), child.output.length];
      child.stdin.write(`${command}\n`);
      await answered(before);
      return child.output.slice(from);
    };
    /** Sum over the ports of packets received or sent so far, and when, s. */
    const count = async (direction) => {
      const text = await ask('show port stats all');
      const found = [...text.matchAll(new RegExp(`${direction}-packets: (\\d+)`, 'g'))];
      return {
        at: Number(process.hrtime.bigint()) * 1e-9,
        packets: found.reduce((sum, [, n]) => sum + Number(n), 0),
      };
    };
    return {
      pid: child.pid,
      ask,
      count,
      /** Waits until packets flow: a peer may have memory to prepare first. */
      flowing: async (direction) => {
        for (let tries = 0; (await count(direction)).packets < 10_000; tries++) {
          if (tries === 40) throw new Error(`testpmd (${name}): nothing flows after 20 s`);
          await this.sleep(0.5);
        }
      },
      /** Packets a second over `seconds`. */
      rate: async (direction, seconds) => {
        const first = await count(direction);
        await this.sleep(seconds);
        const last = await count(direction);
        return (last.packets - first.packets) / (last.at - first.at);
      },
    };
  }
}
