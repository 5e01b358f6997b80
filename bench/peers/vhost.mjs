// SPDX-License-Identifier: BSD-2-Clause
// DPDK's vhost library as a switch of two virtual machines: testpmd forwards between two sockets. Both
// are met by the same two machines without a machine (native/bench/vhost.cc) on one processor; what serves
// the sockets, testpmd's polling thread, our agents, or one agent of ours, is on the other.
import { join } from 'node:path';

const PORTS = ['vm1', 'vm2'];

const machines =
  (tools, size, [a, b], processes) =>
  async () => {
    const args = { a, b, size, processes: processes.join(',') };
    return tools.runner.window({ tool: 'vhost', args }, tools.runner.options.seconds);
  };

/** A port for each machine, what serves them on processor 1. */
const agents = (size, how) => async (tools) => {
  const { sockets, processes } = tools.serveMachines(PORTS, ...how);
  for (const process of processes) tools.call('taskset', ['-apc', '1', String(process)]);
  return machines(tools, size, sockets, processes);
};

const figure = (size, together) => ({
  name: together ? `${size}-together` : `${size}`,
  size,
  ours: { start: agents(size, together ? ['--agent', 'vms'] : []) },
  // Of one process with one thread, as testpmd is.
  bar: together && size === 60 ? { of: 'ratio', min: 1.5 } : undefined,
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
  title: "DPDK testpmd's vhost between two vhost-user masters, against one agent of ours, or two",
  needs: {
    commands: ['dpdk-testpmd', 'stdbuf', 'taskset'],
    packages: 'dpdk util-linux',
    root: true,
  },
  figures: [60, 1514].flatMap((size) => [figure(size, true), figure(size, false)]),
};
