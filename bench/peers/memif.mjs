// SPDX-License-Identifier: BSD-2-Clause
// DPDK's memif, point to point: no switch. Two testpmd, a processor each; the client that sends has its
// buffers mapped by neither (copy) or is the zero-copy one. Shared: a third testpmd hands on from the one to
// the other, on two processors for all three.
import { join } from 'node:path';

import { ours } from '../peers.mjs';

const figure = (size, zeroCopy) => ({
  name: `${size}${zeroCopy ? '-zero-copy' : ''}`,
  size,
  ours: ours.own(size),
  start: async (tools) => {
    const socket = join(tools.folder, 'memif');
    const common = `socket=${socket},socket-abstract=no,rsize=10,bsize=2048`;
    const receiver = await tools.testpmd({
      name: 'server',
      vdevs: [`net_memif0,role=server,${common}`],
      mode: 'rxonly',
      main: '0',
      worker: '1',
    });
    await receiver.ask('start');
    const sender = await tools.testpmd({
      name: 'client',
      vdevs: [`net_memif0,role=client,${zeroCopy ? 'zero-copy=yes,' : ''}${common}`],
      mode: 'txonly',
      main: '1',
      worker: '0',
      args: [`--txpkts=${size}`],
      eal: ['--single-file-segments'],
    });
    await tools.sleep(0.5);
    await sender.ask('start');
    await tools.sleep(0.3);
    return () => receiver.rate('RX', tools.seconds);
  },
});

/** Sender, one that forwards between two memifs, and receiver, wherever the system puts them. */
const shared = (size) => ({
  name: `${size}-shared`,
  size,
  ours: ours.shared(size),
  start: async (tools) => {
    const memif = (role, side) =>
      `role=${role},socket=${join(tools.folder, side)},socket-abstract=no,rsize=10,bsize=2048`;
    const end = (name, mode, vdevs, more = {}) =>
      tools.testpmd({
        ...{ name, mode, vdevs, main: '(0-1)', worker: '(0-1)' },
        ...{ eal: ['--single-file-segments'], ...more },
      });
    const middle = await end('middle', 'io', [
      `net_memif0,${memif('server', 'left')}`,
      `net_memif1,${memif('server', 'right')}`,
    ]);
    await middle.ask('start');
    const receiver = await end('receiver', 'rxonly', [`net_memif0,${memif('client', 'right')}`]);
    await receiver.ask('start');
    const sender = await end('sender', 'txonly', [`net_memif0,${memif('client', 'left')}`], {
      args: [`--txpkts=${size}`],
    });
    await tools.sleep(0.5);
    await sender.ask('start');
    await receiver.flowing('RX');
    return () => receiver.rate('RX', tools.seconds);
  },
});

/**
 * One frame that two testpmd hand back and forth: the receiving end forwards what comes to where it came
 * from, the other one does so too and begins with a burst of one. Frames a second at one end are round
 * trips a second, so this is a mean; ours is compared by its mean, both ends looking without a pause.
 */
const roundTrip = {
  name: 'round-trip',
  metric: 'time',
  field: 'mean',
  ours: { tool: 'latency', args: { receiver: 'busy' } },
  bar: { of: 'ratio', min: 1 },
  start: async (tools) => {
    const socket = join(tools.folder, 'memif');
    const common = `socket=${socket},socket-abstract=no,rsize=10,bsize=2048`;
    const end = (name, role, main, worker, eal) =>
      tools.testpmd({
        name,
        vdevs: [`net_memif0,role=${role},${common}`],
        mode: 'io',
        main,
        worker,
        args: ['--burst=1', '--txpkts=60'],
        eal,
      });
    const answering = await end('server', 'server', '0', '1', []);
    await answering.ask('start');
    const asking = await end('client', 'client', '1', '0', ['--single-file-segments']);
    await tools.sleep(1);
    await asking.ask('start tx_first 1');
    await tools.sleep(0.3);
    return async () => 1 / (await asking.rate('RX', tools.seconds));
  },
};

export default {
  name: 'memif',
  title: 'DPDK memif, point to point, no switch',
  needs: { commands: ['dpdk-testpmd', 'stdbuf'], packages: 'dpdk', root: true },
  figures: [
    ...[60, 1514].flatMap((size) => [figure(size, true), figure(size, false), shared(size)]),
    roundTrip,
  ],
};
