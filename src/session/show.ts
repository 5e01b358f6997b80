// SPDX-License-Identifier: BSD-2-Clause
// Shows what there is once, or again and again until the user stops it.
import type { Snapshot } from './control.js';
import { ratesBetween, type Rates } from './rates.js';
import { pause } from './supervise.js';

export interface ShowFlags {
  plain: boolean;
  json: boolean;
  watch: boolean;
  /** s; undefined: 1 */
  interval?: number | undefined;
}

/** The ways a snapshot can be shown; the dear ones are loaded when they are used. */
export interface View {
  plain(snapshot: Snapshot): string[];
  json(): Promise<(snapshot: Snapshot, rates: Rates | undefined) => unknown>;
  /** For a terminal; no lines = there is nothing. */
  table(): Promise<(snapshot: Snapshot, rates: Rates | undefined) => string[]>;
}

type Renderer = (snapshot: Snapshot, rates: Rates | undefined) => string[];

async function renderer(view: View, flags: ShowFlags): Promise<Renderer> {
  if (flags.json) {
    const [shape, { toJson }] = await Promise.all([view.json(), import('../report/json.js')]);
    return (snapshot, rates) => [toJson(shape(snapshot, rates), flags.watch ? 0 : 2)];
  }
  if (flags.plain || !process.stdout.isTTY) return (snapshot) => view.plain(snapshot);
  return view.table();
}

function print(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}

/** Home, every line with the rest of the old one erased, then the rest of the screen. */
function redraw(lines: readonly string[], first: boolean): void {
  const rows = Math.max(2, process.stdout.rows ?? 24) - 1;
  const fit =
    lines.length > rows
      ? [
          ...lines.slice(0, rows - 1),
          `(${lines.length - rows + 1} more lines: enlarge the terminal)`,
        ]
      : lines;
  process.stdout.write(
    `${first ? '\x1b[2J' : ''}\x1b[H${fit.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`,
  );
}

/** @param look takes a snapshot; called once, or every interval with --watch */
export async function show(
  view: View,
  flags: ShowFlags,
  look: () => Snapshot,
  stop?: AbortSignal,
): Promise<void> {
  const render = await renderer(view, flags);
  let snapshot = look();
  if (!flags.watch || stop === undefined) {
    const lines = render(snapshot, undefined);
    const terminal = process.stdout.isTTY && !flags.plain && !flags.json;
    if (lines.length === 0 && terminal)
      process.stderr.write(
        `no ports in ${snapshot.directory}; one lives while a program has it open, as in: vale pkt-gen -i vale0:a\n`,
      );
    print(lines);
    return;
  }
  const redraws =
    process.stdout.isTTY && !flags.plain && !flags.json && process.env['TERM'] !== 'dumb';
  let rates: Rates = new Map();
  for (let first = true; ; first = false) {
    const lines = render(snapshot, rates);
    if (redraws)
      redraw(
        [
          `${new Date(snapshot.time * 1000).toTimeString().slice(0, 8)}  ${snapshot.directory}`,
          '',
          ...lines,
        ],
        first,
      );
    else print(first || flags.json ? lines : ['', ...lines]);
    await pause(flags.interval ?? 1, stop);
    if (stop.aborted) return;
    const next = look();
    rates = ratesBetween(snapshot, next);
    snapshot = next;
  }
}
