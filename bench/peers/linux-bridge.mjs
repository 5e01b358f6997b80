// SPDX-License-Identifier: BSD-2-Clause
// The kernel's bridge between two veth pairs, in a network namespace of its own. Clients are our own
// pkt-gen on the ends, through AF_PACKET. The bridge runs in its sender's system calls, so it has no
// processor to itself: own means one for the sender and one for the receiver, shared that both go
// where the system puts them.
import { ours } from '../peers.mjs';

const figure = (size, place) => ({
  name: `${size}-${place}`,
  size,
  ours: ours[place](size),
  bar: size === 60 ? { of: 'ratio', min: 100 } : undefined,
  start: async (tools) => {
    const namespace = `valebench${process.pid}`;
    const ip = (...args) => tools.call('ip', ['-n', namespace, ...args]);
    tools.call('ip', ['netns', 'add', namespace]);
    tools.finally(() => tools.call('ip', ['netns', 'del', namespace]));
    ip('link', 'add', 'name', 'middle', 'type', 'bridge');
    for (const end of ['left', 'right']) {
      ip('link', 'add', 'name', end, 'type', 'veth', 'peer', 'name', `${end}br`);
      ip('link', 'set', `${end}br`, 'master', 'middle');
      for (const name of [end, `${end}br`]) ip('link', 'set', name, 'up');
    }
    ip('link', 'set', 'middle', 'up');
    await tools.sleep(0.3);
    const [macA, macB] = ['left', 'right'].map(
      (end) => /link\/ether (\S+)/.exec(ip('link', 'show', end))[1],
    );
    // A frame from b, so that the bridge knows where b is.
    const tool = (...args) => [
      'netns',
      'exec',
      namespace,
      process.execPath,
      'bin/vale.js',
      'pkt-gen',
      ...args,
    ];
    const cpu = (n) => (place === 'own' ? ['-a', String(n)] : []);
    const environment = tools.runner.options.environment;
    tools.call(
      'ip',
      tool('-f', 'tx', '-i', 'right', '-n', '1', '-w', '0', '-S', macB, '-D', macA),
      environment,
    );
    return async () => {
      const seconds = tools.seconds;
      const receiver = tools.start(
        'ip',
        tool(
          '-f',
          'rx',
          '-i',
          'right',
          '-w',
          '0',
          '--json',
          '--duration',
          String(seconds + 1),
          ...cpu(1),
        ),
        environment,
      );
      await tools.sleep(0.4);
      const common = ['-w', '0', '-l', String(size), '-S', macA, '-D', macB, ...cpu(0)];
      tools.start(
        'ip',
        tool('-f', 'tx', '-i', 'left', '--duration', String(seconds), ...common),
        environment,
      );
      await tools.until(() => receiver.exitCode !== null, 'pkt-gen did not end');
      return JSON.parse(receiver.output.slice(receiver.output.indexOf('{'))).frames_per_second;
    };
  },
});

export default {
  name: 'linux-bridge',
  title: 'Linux bridge between veths',
  needs: { commands: ['ip'], packages: 'iproute2', root: true },
  figures: [60, 1514].flatMap((size) => [figure(size, 'own'), figure(size, 'shared')]),
};
