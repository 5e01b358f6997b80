// SPDX-License-Identifier: BSD-2-Clause
// What attached interfaces and virtual machines cost while nothing happens: many agents, each with an
// interface of a network namespace made for this, or with a machine that does nothing; their time on a
// processor and their memory.
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { has, inRoot } from '../scripts/lib.mjs';
import { Skip } from './measure.mjs';
import { Tools } from './peer-tools.mjs';
import { spread } from './statistics.mjs';

const AGENTS = 32;
/** How often their share is taken, s. What they do without being asked they do once a second. */
const WINDOWS = 5;
const WINDOW = 2;
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
  return withTools(runner, 'agents', async (tools) => {
    const holder = tools.start('unshare', ['-n', 'sh', '-ec', setUp]);
    await tools.until(() => holder.output.includes('ready'), 'no interfaces were made');
    const inside = ['--netns', String(holder.pid)];
    const processes = tools.attach('valebench', names, () => inside);
    await tools.sleep(SETTLE);
    return body(processes);
  });
}

/** Calls body with the process ids of who serves machines that do nothing. */
function withMachines(runner, body) {
  const names = Array.from({ length: AGENTS }, (_, i) => `vm${i}`);
  return withTools(runner, 'machines', async (tools) => {
    const { sockets, processes } = tools.serveMachines(names);
    const served = ['--sockets', sockets.join(',')];
    const machines = tools.start(inRoot('build/native/bench/machines'), served);
    await tools.until(() => machines.output !== '', 'the virtual machines were not served');
    await tools.sleep(SETTLE);
    return body(processes);
  });
}

async function withTools(runner, name, body) {
  const folder = mkdtempSync(join(runner.options.scratch, `${name}-`));
  const tools = new Tools({ runner, folder, seconds: 0 });
  try {
    return await body(tools);
  } finally {
    await tools.end();
  }
}

const result = (figures) => ({ value: spread(figures), repeated: 0, disturbed: 0 });

/** Their share of one processor, altogether. */
const measureShare = async (pids) => {
  const shares = [];
  while (shares.length < WINDOWS) {
    const before = process.hrtime.bigint();
    const spent = total(pids.map(onProcessor));
    await sleep(WINDOW * 1000);
    const used = total(pids.map(onProcessor)) - spent;
    shares.push(used / Number(process.hrtime.bigint() - before));
  }
  return result(shares);
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
    measure: (runner) => withAgents(runner, measureShare),
    bar: { of: 'value', max: 0.01 },
  },
  { ...common, name: 'agent-memory', metric: 'bytes', measure: measureMemory },
  {
    ...common,
    name: `idle-machines-${AGENTS}`,
    group: `Virtual machines: ${AGENTS} ports whose machines do nothing`,
    command: ['bin/vale.js', 'ctl', 'attach', 'valevhost:vm0', '--vhost-user', 'SOCKET'],
    metric: 'share',
    measure: (runner) => withMachines(runner, measureShare),
    bar: { of: 'value', max: 0.01 },
  },
];
