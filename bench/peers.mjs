// SPDX-License-Identifier: BSD-2-Clause
// Other programs that do what ours does, as trials: every file of bench/peers/ is one peer. A window of
// ours precedes each window of the peer; what is slow to start is started once.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { inRoot } from '../scripts/lib.mjs';
import { Skip } from './measure.mjs';
import { Tools } from './peer-tools.mjs';
import { median, spread } from './statistics.mjs';

const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function installed(command) {
  return PLACES.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function checkNeeds({ commands, packages, root }) {
  const missing = commands.filter((command) => !installed(command));
  if (missing.length > 0)
    throw new Skip(`${missing.join(', ')} not installed: apt-get install ${packages}`);
  if (root && process.getuid?.() !== 0) throw new Skip('needs root');
}

/** Windows of ours and of the peer in turns; the peer keeps running in between. */
async function measured(peer, figure, runner) {
  checkNeeds(peer.needs);
  const line = () => runner.window({ tool: 'line', args: {} }, 0);
  const ours = () => runner.window(figure.ours, runner.options.seconds);
  const tools = new Tools({
    runner,
    folder: join(runner.options.scratch, `${peer.name}-${figure.name}`),
    seconds: 0.7,
  });
  const before = await line();
  const windows = [];
  // Ours first, before there is anything that polls on a processor.
  const own = [await ours(), await ours(), await ours()];
  try {
    const sample = await figure.start(tools);
    for (let i = 0; i < 3; i++) windows.push({ framesPerSecond: await sample() });
  } finally {
    await tools.end();
  }
  own.push(await ours(), await ours());
  const after = await line();
  const rate = ({ framesPerSecond }) => framesPerSecond;
  const middle = median(own.map(rate));
  if (windows.every((window) => !(rate(window) > 0))) throw new Error('no frame got through');
  return {
    value: spread(windows.map(rate)),
    ratio: spread(windows.map((window) => middle / rate(window))),
    limitValue: spread(own.map(rate)),
    bitsPerSecond: figure.size && median(windows.map(rate)) * figure.size * 8,
    roundTrip: { before: before.roundTripBefore, after: after.roundTripBefore },
    repeated: 0,
    disturbed: 0,
    windows: [...own.map((figure_) => ({ ours: figure_ })), ...windows.map((w) => ({ figure: w }))],
  };
}

/** The trials of all peers; what is missing is skipped by name when its turn comes. */
export async function peerTrials() {
  const files = readdirSync(inRoot('bench/peers')).filter((file) => file.endsWith('.mjs'));
  const peers = await Promise.all(
    files.sort().map(async (file) => (await import(`./peers/${file}`)).default),
  );
  return peers.flatMap((peer) =>
    peer.figures.map((figure) => ({
      name: `peer-${peer.name}-${figure.name}`,
      group: `Peers: ${peer.title}`,
      metric: 'rate',
      kind: 'peer',
      quick: false,
      peer: { name: peer.name, figure: figure.name, size: figure.size },
      limit: { name: 'ours', ...figure.ours },
      bar: figure.bar,
      measure: (runner) => measured(peer, figure, runner),
    })),
  );
}

/** What ours does in the places of a peer's figures. */
export const ours = {
  own: (size) => ({ tool: 'switch', args: { size, batch: 256 } }),
  shared: (size) => ({ tool: 'switch', args: { size, batch: 256, receiver: 'block' } }),
};
