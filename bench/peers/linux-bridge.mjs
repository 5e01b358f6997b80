// SPDX-License-Identifier: BSD-2-Clause
// The kernel's bridge between two veth pairs, in a network namespace of its own. Clients are our own
// pkt-gen on the ends, through AF_PACKET. The bridge runs in its sender's system calls, so it has no
// processor to itself: own means one for the sender and one for the receiver, shared that both go
// where the system puts them. As veths: ours is a switch between the same veths, with an agent for each.
import { ours } from '../peers.mjs';

const ENDS = ['left', 'right'];

/** Joins the inner ends by a bridge. */
function bridge({ ip }) {
  ip('link', 'add', 'name', 'middle', 'type', 'bridge');
  for (const end of ENDS) ip('link', 'set', `${end}br`, 'master', 'middle');
  ip('link', 'set', 'middle', 'up');
}

/** Attaches them to a switch. */
const attach =
  (backend) =>
  ({ tools, namespace }) => {
    for (const end of ENDS) {
      const port = `valeveth:${end}br`;
      tools.ctl('attach', port, '--netns', namespace, '--backend', backend);
      tools.finally(() => tools.ctl('detach', port));
    }
  };

/** Frames a second from one outer end to the other. */
const through = (join, size, place) => async (tools) => {
  const namespace = `valebench${process.pid}`;
  const ip = (...args) => tools.call('ip', ['-n', namespace, ...args]);
  tools.call('ip', ['netns', 'add', namespace]);
  tools.finally(() => tools.call('ip', ['netns', 'del', namespace]));
  for (const end of ENDS) {
    ip('link', 'add', 'name', end, 'type', 'veth', 'peer', 'name', `${end}br`);
    for (const name of [end, `${end}br`]) ip('link', 'set', name, 'up');
  }
  join({ tools, namespace, ip });
  await tools.sleep(0.3);
  const [macA, macB] = ENDS.map((end) => /link\/ether (\S+)/.exec(ip('link', 'show', end))[1]);
  const inside = ['netns', 'exec', namespace, process.execPath, 'bin/vale.js', 'pkt-gen'];
  const tool = (...args) => [...inside, '-w', '0', ...args];
  const cpu = (n) => (place === 'own' ? ['-a', String(n)] : []);
  const environment = tools.runner.options.environment;
  // A frame from b, so that it is known where b is.
  tools.call('ip', tool('-f', 'tx', '-i', 'right', '-n', '1', '-S', macB, '-D', macA), environment);
  return async () => {
    const seconds = tools.seconds;
    const whole = ['--json', '--duration', String(seconds + 1)];
    const receiver = tools.start(
      'ip',
      tool('-f', 'rx', '-i', 'right', ...whole, ...cpu(1)),
      environment,
    );
    await tools.sleep(0.4);
    const frame = ['-l', String(size), '-S', macA, '-D', macB];
    tools.start(
      'ip',
      tool('-f', 'tx', '-i', 'left', '--duration', String(seconds), ...frame, ...cpu(0)),
      environment,
    );
    await tools.until(() => receiver.exitCode !== null, 'pkt-gen did not end');
    return JSON.parse(receiver.output.slice(receiver.output.indexOf('{'))).frames_per_second;
  };
};

const figure = (size, place) => ({
  name: `${size}-${place}`,
  size,
  ours: ours[place](size),
  bar: size === 60 ? { of: 'ratio', min: 100 } : undefined,
  start: through(bridge, size, place),
});

/** The whole way veth, switch, veth beside veth, bridge, veth. */
const veths = (backend) => ({
  name: `60-veths-${backend}`,
  size: 60,
  ours: { start: through(attach(backend), 60, 'shared') },
  start: through(bridge, 60, 'shared'),
});

export default {
  name: 'linux-bridge',
  title: 'Linux bridge between veths',
  needs: { commands: ['ip'], packages: 'iproute2', root: true },
  figures: [
    ...[60, 1514].flatMap((size) => [figure(size, 'own'), figure(size, 'shared')]),
    ...['packet', 'xdp'].map(veths),
  ],
};
