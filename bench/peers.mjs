// SPDX-License-Identifier: BSD-2-Clause
// Other programs that do what ours does, as trials: every file of bench/peers/ is one peer. Windows of
// ours precede and follow those of the peer; what is slow to start is started once.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

import { inRoot } from '../scripts/lib.mjs';
import { Skip } from './measure.mjs';
import { Tools } from './peer-tools.mjs';
import { median, spread } from './statistics.mjs';

// Root's programs, where the PATH is a user's.
const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
process.env['PATH'] = PLACES.join(delimiter);

/** Windows of the peer and of ours; of ours so many come first. */
const WINDOWS = 5;
const FIRST = 3;

function installed(command) {
  return (isAbsolute(command) ? [''] : PLACES).some((folder) => {
    try {
      accessSync(isAbsolute(command) ? command : join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @throws Skip, with what to install */
export function checkNeeds({ commands, packages, root }) {
  const missing = commands.filter((command) => !installed(command));
  if (missing.length > 0)
    throw new Skip(`${missing.join(', ')} not installed: apt-get install ${packages}`);
  if (root && process.getuid?.() !== 0) throw new Skip('needs root');
}

/**
 * `start` resolves to a function that takes one window: a figure, or an object of a measuring program that
 * has it. What it started ends with the last window.
 */
async function windowsOf(start, times, tools, figure) {
  const windows = [];
  try {
    const sample = await start(tools);
    for (let i = 0; i < times; i++) {
      const taken = await sample();
      windows.push(typeof taken === 'number' ? { [figure.field]: taken } : taken);
    }
  } finally {
    await tools.end();
  }
  return windows;
}

/** Windows of ours, then of the peer while it runs, then of ours again; a pair is one of each, in order. */
async function measured(peer, described, runner) {
  const figure = { field: 'framesPerSecond', seconds: 0.5, ...described };
  let nth = 0;
  const tools = () =>
    new Tools({
      runner,
      folder: join(runner.options.scratch, `${peer.name}-${figure.name}-${nth++}`),
      seconds: figure.seconds,
    });
  const startOurs =
    figure.ours.start ?? (() => () => runner.window(figure.ours, runner.options.seconds));
  // Ours first, before there is anything that polls on a processor.
  const own = await windowsOf(startOurs, FIRST, tools(), figure);
  const theirs = tools();
  const windows = await windowsOf(figure.start, WINDOWS, theirs, figure);
  own.push(...(await windowsOf(startOurs, WINDOWS - FIRST, tools(), figure)));
  const value = (window) => window[figure.field];
  // One window without a frame would be a rate of 0 or an endless time: no ratio, but a peer that failed.
  if (!windows.every((window) => value(window) > 0 && value(window) < Infinity))
    throw new Error('no frame got through');
  // Above 1: ours is better.
  const better = (theirs_, ours_) => (figure.metric === 'time' ? theirs_ / ours_ : ours_ / theirs_);
  const perFrame = (some) =>
    some[0].switchPerFrame === undefined
      ? undefined
      : median(some.map((window) => window.switchPerFrame));
  return {
    value: spread(windows.map(value)),
    ratio: spread(windows.map((window, i) => better(value(window), value(own[i])))),
    limitValue: spread(own.map(value)),
    bitsPerSecond: figure.size && median(windows.map(value)) * figure.size * 8,
    hugePages: theirs.hugePages,
    switchPerFrame: perFrame(windows),
    oursPerFrame: perFrame(own),
    repeated: 0,
    disturbed: 0,
    windows: windows.map((window, i) => ({ limit: own[i], figure: window })),
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
      metric: figure.metric ?? 'rate',
      kind: 'peer',
      quick: false,
      peer: { name: peer.name, figure: figure.name, size: figure.size },
      limit: { name: 'ours', ...figure.ours },
      bar: figure.bar,
      check: () => checkNeeds(peer.needs),
      measure: (runner) => measured(peer, figure, runner),
    })),
  );
}

/** What ours does in the places of a peer's figures. */
export const ours = {
  own: (size) => ({ tool: 'switch', args: { size, batch: 256 } }),
  shared: (size) => ({ tool: 'switch', args: { size, batch: 256, receiver: 'block' } }),
};
