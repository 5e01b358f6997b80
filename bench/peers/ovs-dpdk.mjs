// SPDX-License-Identifier: BSD-2-Clause
// Open vSwitch with DPDK, action NORMAL, two vhost-user ports, virtio-user clients in testpmd. Own: its
// polling thread has a processor, one client sends and receives on both ports on the other, both
// directions counted together. Shared: a sender, a receiver and the switch, three processes on two
// processors.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { ours } from '../peers.mjs';

const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
const DAEMON = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

// OVS asks DPDK for --in-memory unless told --legacy-mem, and --no-huge does not go with the former.
/** Database, switch and two ports in the peer's folder; resolves when the sockets are there. */
async function openvswitch(tools) {
  const folder = tools.folder;
  const environment = {
    OVS_RUNDIR: folder,
    OVS_LOGDIR: folder,
    OVS_DBDIR: folder,
    OVS_SYSCONFDIR: folder,
  };
  const database = join(folder, 'conf.db');
  const remote = join(folder, 'db.sock');
  const vsctl = (...args) =>
    tools.call('ovs-vsctl', [`--db=unix:${remote}`, '--no-wait', ...args], environment);
  tools.call('ovsdb-tool', ['create', database, SCHEMA], environment);
  tools.start('ovsdb-server', [database, `--remote=punix:${remote}`], environment);
  await tools.until(() => existsSync(remote), 'ovsdb-server made no socket');
  vsctl('init');
  const memory = tools.withHugePages() ? '--socket-mem 1024' : '--no-huge --legacy-mem -m 3072';
  for (const setting of [
    'dpdk-init=true',
    'pmd-cpu-mask=0x2',
    'dpdk-lcore-mask=0x1',
    `dpdk-extra="${memory} --no-pci --no-telemetry --file-prefix=valebench${process.pid}ovs"`,
  ])
    vsctl('set', 'Open_vSwitch', '.', `other_config:${setting}`);
  vsctl(
    'add-br',
    'br0',
    '--',
    'set',
    'bridge',
    'br0',
    'datapath_type=netdev',
    'fail-mode=standalone',
  );
  for (const port of ['v0', 'v1'])
    vsctl('add-port', 'br0', port, '--', 'set', 'Interface', port, 'type=dpdkvhostuser');
  const daemon = tools.start(
    DAEMON,
    [`unix:${remote}`, `--unixctl=${join(folder, 'ctl')}`],
    environment,
  );
  await tools.until(
    () => ['v0', 'v1'].every((port) => existsSync(join(folder, port))) || daemon.exitCode !== null,
    'ovs-vswitchd opened no vhost-user port',
    30,
  );
  if (daemon.exitCode !== null)
    throw new Error(`ovs-vswitchd: ${daemon.output.trim().split('\n').at(-1)}`);
  // Nobody need be learned before the first frame, and nothing is flooded into the bridge's own port.
  for (const [i, mac] of MACS.entries())
    tools.call('ovs-appctl', ['-t', join(folder, 'ctl'), 'fdb/add', 'br0', `v${i}`, '0', mac]);
  return ['v0', 'v1'].map((port) => join(folder, port));
}

const virtio = (index, path, mac) =>
  `net_virtio_user${index},path=${path},queue_size=1024,mac=${mac}`;

const figure = (size, place) => ({
  name: `${size}-${place}`,
  size,
  ours: ours[place](size),
  bar: { of: 'ratio', min: size === 60 ? 10 : 2 },
  start: async (tools) => {
    const sockets = await openvswitch(tools);
    const txpkts = `--txpkts=${size}`;
    if (place === 'own') {
      const client = await tools.testpmd({
        name: 'client',
        vdevs: sockets.map((path, i) => virtio(i, path, MACS[i])),
        mode: 'flowgen',
        main: '1',
        worker: '0',
        // What is sent by port 0 goes to port 1's address, and the other way round.
        args: [txpkts, '--flowgen-flows=1', `--eth-peer=0,${MACS[1]}`, `--eth-peer=1,${MACS[0]}`],
        eal: ['--single-file-segments'],
      });
      await tools.sleep(1);
      await client.ask('start');
      await client.flowing('RX');
      return () => client.rate('RX', tools.seconds);
    }
    const receiver = await tools.testpmd({
      name: 'receiver',
      vdevs: [virtio(0, sockets[1], MACS[1])],
      mode: 'rxonly',
      main: '(0-1)',
      worker: '(0-1)',
      eal: ['--single-file-segments'],
    });
    await receiver.ask('start');
    const sender = await tools.testpmd({
      name: 'sender',
      vdevs: [virtio(0, sockets[0], MACS[0])],
      mode: 'txonly',
      main: '(0-1)',
      worker: '(0-1)',
      args: [txpkts, `--eth-peer=0,${MACS[1]}`],
      eal: ['--single-file-segments'],
    });
    await tools.sleep(1);
    await sender.ask('start');
    await receiver.flowing('RX');
    return () => receiver.rate('RX', tools.seconds);
  },
});

export default {
  name: 'ovs-dpdk',
  title: 'OVS-DPDK, NORMAL, vhost-user',
  needs: {
    commands: [
      ...['ovsdb-server', 'ovsdb-tool', 'ovs-vsctl', 'ovs-appctl', DAEMON],
      ...['dpdk-testpmd', 'stdbuf'],
    ],
    packages: 'openvswitch-switch-dpdk dpdk',
    root: true,
  },
  figures: [60, 1514].flatMap((size) => [figure(size, 'own'), figure(size, 'shared')]),
};
