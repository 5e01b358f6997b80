// SPDX-License-Identifier: BSD-2-Clause
// From windows to the figures of a row: medians with least and most, ratios pair by pair, and what the
// windows say of where the two processors were.
import { NEAR } from './trials/limits.mjs';

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const spread = (values) => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

/** Where two processors are to each other, from the round trip of a line between them, s. */
export function placement(roundTrip) {
  if (roundTrip < 35e-9) return 'sibling';
  return roundTrip < NEAR ? 'near' : 'far';
}

/** Of a window: where the processors were; 'moved' when they were elsewhere at its end. */
function placeOf({ roundTripBefore, roundTripAfter }) {
  const [before, after] = [placement(roundTripBefore), placement(roundTripAfter)];
  return before === after ? before : 'moved';
}

/** Medians by place when the windows saw more than one, else undefined: a flip must show. */
function byPlace(windows, value) {
  if (windows[0].roundTripBefore === undefined) return undefined;
  const groups = {};
  for (const window of windows) (groups[placeOf(window)] ??= []).push(window);
  const entries = Object.entries(groups);
  if (entries.length === 1) return undefined;
  return Object.fromEntries(
    entries.map(([place, some]) => [
      place,
      { median: median(some.map(value)), windows: some.length },
    ]),
  );
}

const each = (windows, field) =>
  windows[0][field] === undefined ? undefined : median(windows.map((window) => window[field]));

/**
 * A row's result.
 * @param kept pairs {limit, figure} of windows
 */
export function summary(trial, kept) {
  const scale = trial.scale ?? 1;
  const value = (window) => window[trial.field ?? 'framesPerSecond'] * scale;
  const figures = kept.map(({ figure }) => figure);
  const all = kept.flatMap(({ limit, figure }) => (limit ? [limit, figure] : [figure]));
  const timed = all.filter((window) => window.roundTripBefore !== undefined);
  let limitOf;
  if (trial.limit) limitOf = ({ limit }) => value(limit);
  else if (trial.floor) limitOf = ({ figure }) => figure[trial.floor.field] * scale;
  const ratios = limitOf && kept.map((pair) => value(pair.figure) / limitOf(pair));
  return {
    value: spread(figures.map(value)),
    ratio: ratios && spread(ratios),
    // Of all pairs, those with more of the figure than of the limit.
    above: ratios && { pairs: ratios.filter((ratio) => ratio > 1).length, of: ratios.length },
    limitValue: limitOf && spread(kept.map(limitOf)),
    // A frame's round trip in round trips of a line, window by window.
    ofLine: trial.ofLine
      ? spread(figures.map((f) => (2 * value(f)) / (f.roundTripBefore + f.roundTripAfter)))
      : undefined,
    places: byPlace(figures, value),
    bitsPerSecond: each(figures, 'bitsPerSecond'),
    dropped:
      figures[0].dropped === undefined
        ? undefined
        : median(figures.map((f) => f.dropped / Math.max(1, f.offered))),
    framesPerSleep: each(figures, 'framesPerSleep'),
    p99: each(figures, 'p99'),
    p999: each(figures, 'p999'),
    evenness: each(figures, 'evenness'),
    // Of programs that use one processor nothing: then what was measured around the row holds.
    roundTrip:
      timed.length > 0
        ? {
            before: median(timed.map((window) => window.roundTripBefore)),
            after: median(timed.map((window) => window.roundTripAfter)),
          }
        : undefined,
    windows: kept,
  };
}

/** 'met', 'missed', or why the bar says nothing about this result. */
export function judge(bar, result) {
  if (bar.whenNear && result.roundTrip) {
    const trip = Math.max(result.roundTrip.before, result.roundTrip.after);
    if (placement(trip) === 'far') return 'not judged: far';
  }
  const value = result[bar.of].median;
  return value >= (bar.min ?? -Infinity) && value <= (bar.max ?? Infinity) ? 'met' : 'missed';
}
