// SPDX-License-Identifier: BSD-2-Clause
// vde_switch: frames as datagrams through a process in the middle. Own: the switch has a processor, one
// client sends and receives on the other. Shared: three processes on both.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { ours } from '../peers.mjs';

const figure = (size, place) => ({
  name: `${size}-${place}`,
  size,
  ours: ours[place](size),
  bar: size === 60 ? { of: 'ratio', min: 100 } : undefined,
  start: async (tools) => {
    const socket = join(tools.folder, 'switch');
    const daemon = tools.start('vde_switch', ['-s', socket, '-n', '32']);
    await tools.until(() => existsSync(join(socket, 'ctl')), 'vde_switch made no socket');
    if (place === 'own')
      spawnSync('taskset', ['-pc', '1', String(daemon.pid)], { stdio: 'ignore' });
    const args = { switch: socket, size, ...(place === 'shared' ? { apart: true } : {}) };
    return async () =>
      (await tools.runner.window({ tool: 'vde', args }, tools.seconds)).framesPerSecond;
  },
});

export default {
  name: 'vde',
  title: 'vde_switch',
  needs: { commands: ['vde_switch', 'taskset'], packages: 'vde2 util-linux', root: false },
  figures: [60, 1514].flatMap((size) => [figure(size, 'own'), figure(size, 'shared')]),
};
