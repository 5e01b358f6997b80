// SPDX-License-Identifier: BSD-2-Clause
// DPDK's vhost library as a switch of two virtual machines: testpmd forwards between two sockets. Both
// are met by the same two machines without a machine (native/bench/vhost.cc) on one processor; what serves
// the sockets, testpmd's polling thread or our agents, is on the other.
import { join } from 'node:path';

const PORTS = ['vm1', 'vm2'];

const machines =
  (tools, size, [a, b], processes) =>
  async () => {
    const args = { a, b, size, processes: processes.join(',') };
    return tools.runner.window({ tool: 'vhost', args }, tools.runner.options.seconds);
  };

/** A port for each machine, agents on processor 1. */
const agents = (size) => async (tools) => {
  const { sockets, processes } = tools.serveMachines(PORTS);
  for (const process of processes) tools.call('taskset', ['-apc', '1', String(process)]);
  return machines(tools, size, sockets, processes);
};

const figure = (size) => ({
  name: `${size}`,
  size,
  ours: { start: agents(size) },
  bar: size === 60 ? { of: 'ratio', min: 1.5 } : undefined,
  start: async (tools) => {
    const sockets = PORTS.map((name) => join(tools.folder, name));
    const pmd = await tools.testpmd({
      name: 'vhost',
      vdevs: sockets.map((socket, i) => `net_vhost${i},iface=${socket}`),
      mode: 'io',
      main: '0',
      worker: '1',
    });
    await pmd.ask('start');
    return machines(tools, size, sockets, [pmd.pid]);
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
