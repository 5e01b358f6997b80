// SPDX-License-Identifier: BSD-2-Clause
// DPDK's vhost library as a switch of two virtual machines: testpmd forwards between two sockets. Both
// are met by the same two machines without a machine (native/bench/vhost.cc) on one processor; what serves
// the sockets, testpmd's polling thread or our agents, is on the other.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const PORTS = ['vm1', 'vm2'];

const machines = (tools, size, processes) => async () => {
  const [a, b] = PORTS.map((name) => join(tools.folder, name));
  const args = { a, b, size, processes: processes.join(',') };
  return tools.runner.window({ tool: 'vhost', args }, tools.runner.options.seconds);
};

const vale = (tools, ...args) =>
  tools.call(process.execPath, ['bin/vale.js', 'ctl', ...args], tools.runner.options.environment);

/** A port for each machine, agents on processor 1. */
const agents = (size) => async (tools) => {
  for (const name of PORTS) {
    vale(tools, '-a', `valevhost:${name}`, '--vhost-user', join(tools.folder, name));
    tools.finally(() => vale(tools, '-d', `valevhost:${name}`));
  }
  const { ports } = JSON.parse(vale(tools, '--json'));
  const served = ports.flatMap((port) => port.interface?.process_id ?? []);
  const processes = [...new Set(served)];
  for (const process of processes)
    spawnSync('taskset', ['-apc', '1', String(process)], { stdio: 'ignore' });
  return machines(tools, size, processes);
};

const figure = (size) => ({
  name: `${size}`,
  size,
  ours: { start: agents(size) },
  bar: size === 60 ? { of: 'ratio', min: 1.5 } : undefined,
  start: async (tools) => {
    const pmd = await tools.testpmd({
      name: 'vhost',
      vdevs: PORTS.map((name, i) => `net_vhost${i},iface=${join(tools.folder, name)}`),
      mode: 'io',
      main: '0',
      worker: '1',
    });
    await pmd.ask('start');
    return machines(tools, size, [pmd.pid]);
  },
});

export default {
  name: 'vhost',
  title: "DPDK testpmd's vhost between two vhost-user masters, against our agents",
  needs: {
    commands: ['dpdk-testpmd', 'stdbuf', 'taskset'],
    packages: 'dpdk util-linux',
    root: true,
  },
  figures: [60, 1514].map(figure),
};
