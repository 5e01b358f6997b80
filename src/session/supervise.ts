// SPDX-License-Identifier: BSD-2-Clause
// Running an engine: sampling it, stopping it, waiting for it.
import { setTimeout as sleep } from 'node:timers/promises';

import type { EngineSample, NativeEngine } from '../native-types.js';

/** An interval shorter than this says nothing, ms. */
const SHORTEST_INTERVAL = 10;
/** How long a stopped engine may take to drain before the report goes out without it, ms. */
const DRAIN_LIMIT = 700;

/**
 * Runs until the engine is done or `stop` fires: a call of `sample` every `intervalMs` with what the
 * engine did so far, and a last one when it has ended. Resolves with false when the engine, asked to
 * stop, did not within `drainLimit` ms, 0.7 s unless said otherwise. Rejects with a thread's error, after that last sample.
 */
export async function supervise(
  engine: NativeEngine,
  intervalMs: number,
  stop: AbortSignal,
  sample: (samples: EngineSample[]) => void,
  drainLimit = DRAIN_LIMIT,
): Promise<boolean> {
  let ended = false;
  let failure: unknown;
  const done = engine.done
    .catch((error: unknown) => {
      failure = error;
    })
    .then(() => {
      ended = true;
    });
  const onStop = () => engine.stop();
  stop.addEventListener('abort', onStop);
  if (stop.aborted) engine.stop();

  let last = performance.now();
  let next = last + intervalMs;
  while (!(await within(next - performance.now(), done, stop))) {
    last = performance.now();
    next = Math.max(next + intervalMs, last);
    sample(engine.sample());
  }
  stop.removeEventListener('abort', onStop);
  if (!ended) await (drainLimit === Infinity ? done : within(drainLimit, done));
  await within(SHORTEST_INTERVAL - (performance.now() - last));
  sample(engine.sample());
  if (failure !== undefined) throw failure;
  return ended;
}

/** Waits at most `ms`; true when `done` settled or `stop` fired first. */
async function within(ms: number, done?: Promise<void>, stop?: AbortSignal): Promise<boolean> {
  const timer = new AbortController();
  const signal = stop ? AbortSignal.any([timer.signal, stop]) : timer.signal;
  const time = sleep(Math.max(0, ms), false, { signal }).catch(() => true);
  const early = await Promise.race([time, ...(done ? [done.then(() => true)] : [])]);
  timer.abort();
  return early;
}

/** Seconds of waiting that end early when `stop` fires. */
export async function pause(seconds: number, stop: AbortSignal): Promise<void> {
  if (seconds > 0 && !stop.aborted)
    await sleep(seconds * 1000, undefined, { signal: stop }).catch(() => undefined);
}
