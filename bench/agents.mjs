// SPDX-License-Identifier: BSD-2-Clause
// What attached interfaces and virtual machines cost while nothing happens: many agents, each with an
// interface of a network namespace made for this, or with a machine that does nothing; their time on a
// processor and their memory.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { has, inRoot } from '../scripts/lib.mjs';
import { Skip } from './measure.mjs';
import { spread } from './statistics.mjs';

const AGENTS = 32;
/** s after the last was attached, so that what attaching caused is over. */
const SETTLE = 2;

/** ns that a process's threads were on a processor so far. */
export function onProcessor(pid) {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'))
    .reduce((sum, line) => sum + Number(line.split(' ')[0]), 0);
}

/** How often a process was woken by the eventfds that it never reads, as those that guests kick by. */
export function kicksOf(pid) {
  return readdirSync(`/proc/${pid}/fdinfo`)
    .map((fd) => {
      try {
        return readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
      } catch {
        return ''; // closed meanwhile
      }
    })
    .reduce(
      (sum, text) => sum + parseInt(/^eventfd-count:\s*(\S+)/m.exec(text)?.[1] ?? '0', 16),
      0,
    );
}

/** Bytes of a process, what it shares counted in parts. */
function proportional(pid) {
  const [, kib] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

export const total = (numbers) => numbers.reduce((sum, n) => sum + n, 0);
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Calls body with the process ids of agents that have nothing to do. */
async function withAgents(runner, body) {
  if (process.getuid?.() !== 0) throw new Skip('attaching interfaces takes root');
  for (const tool of ['ip', 'unshare', 'nsenter'])
    if (!has(tool)) throw new Skip(`${tool} is missing: apt-get install iproute2 util-linux`);
  const names = Array.from({ length: AGENTS }, (_, i) => `idle${i}`);
  const setUp = [
    'sysctl -qw net.ipv6.conf.default.disable_ipv6=1',
    ...names.map((name, i) =>
      i % 2 === 0 ? `ip link add ${name} type veth peer name idle${i + 1}` : `:`,
    ),
    ...names.map((name) => `ip link set ${name} up`),
    'echo ready',
    'exec sleep 3600',
  ].join('\n');
  const holder = spawn('unshare', ['-n', 'sh', '-ec', setUp], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [said] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    if (!Buffer.isBuffer(said))
      throw new Error('no network namespace with interfaces could be made');
    return await attached(runner, names, () => ['--netns', String(holder.pid)], body);
  } finally {
    holder.kill('SIGKILL');
  }
}

/** Calls body with the process ids of those who serve ports of these names, while they do. */
async function attached(runner, names, options, body) {
  const ctl = (...args) => runner.capture(process.execPath, ['bin/vale.js', 'ctl', ...args]);
  const served = [];
  try {
    for (const name of names) {
      await ctl('attach', `valebench:${name}`, ...options(name));
      served.push(name);
    }
    const { stdout } = await ctl('list', '--json');
    const pids = JSON.parse(stdout).ports.flatMap((port) => port.interface?.process_id ?? []);
    await pause(SETTLE);
    return await body([...new Set(pids)]);
  } finally {
    const environment = { ...process.env, ...runner.options.environment };
    for (const name of served)
      spawnSync(process.execPath, ['bin/vale.js', 'ctl', 'detach', `valebench:${name}`], {
        env: environment,
      });
  }
}

/** Calls body with the process ids of who serves machines that do nothing. */
async function withMachines(runner, body) {
  const folder = mkdtempSync(join(runner.options.scratch, 'machines-'));
  const names = Array.from({ length: AGENTS }, (_, i) => `vm${i}`);
  const socket = (name) => join(folder, name);
  return attached(
    runner,
    names,
    (name) => ['--vhost-user', socket(name)],
    async (pids) => {
      const sockets = ['--sockets', names.map(socket).join(',')];
      const machines = spawn(inRoot('build/native/bench/machines'), sockets, {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      try {
        const [said] = await Promise.race([once(machines.stdout, 'data'), once(machines, 'exit')]);
        if (!Buffer.isBuffer(said)) throw new Error('the virtual machines were not served');
        await pause(SETTLE);
        return await body(pids);
      } finally {
        machines.kill('SIGKILL');
      }
    },
  );
}

const result = (figures) => ({ value: spread(figures), repeated: 0, disturbed: 0 });

/** Their share of one processor, altogether. */
const measureShare = (runner) => async (pids) => {
  const seconds = runner.options.quick ? 3 : 10;
  const before = process.hrtime.bigint();
  const spent = total(pids.map(onProcessor));
  await pause(seconds);
  const used = total(pids.map(onProcessor)) - spent;
  return result([used / Number(process.hrtime.bigint() - before)]);
};

/** Bytes of each. */
const measureMemory = (runner) =>
  withAgents(runner, async (pids) => result(pids.map(proportional)));

const common = {
  group: `Attached interfaces: ${AGENTS} agents with nothing to do`,
  kind: 'agents',
  command: ['bin/vale.js', 'ctl', 'attach', 'valebench:idle0', '--netns', 'PID'],
  quick: false,
};

export const agentTrials = [
  {
    ...common,
    name: `idle-agents-${AGENTS}`,
    metric: 'share',
    measure: (runner) => withAgents(runner, measureShare(runner)),
    bar: { of: 'value', max: 0.01 },
  },
  { ...common, name: 'agent-memory', metric: 'bytes', measure: measureMemory },
  {
    ...common,
    name: `idle-machines-${AGENTS}`,
    group: `Virtual machines: ${AGENTS} ports whose machines do nothing`,
    command: ['bin/vale.js', 'ctl', 'attach', 'valebench:vm0', '--vhost-user', 'SOCKET'],
    metric: 'share',
    measure: (runner) => withMachines(runner, measureShare(runner)),
    bar: { of: 'value', max: 0.01 },
  },
];
