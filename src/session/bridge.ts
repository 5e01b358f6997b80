// SPDX-License-Identifier: BSD-2-Clause
// One run of the bridge: open both ports, run the engine, sample it, report.
import { availableParallelism } from 'node:os';

import { UsageError } from '../errors.js';
import type { NativeBinding, NativePort, NativeRuntime, WireOptions } from '../native-types.js';
import { defaultSpin } from '../options/flags.js';
import type { BridgeEnd, BridgeReporter } from '../report/bridge.js';
import type { Output } from '../report/output.js';
import { forwardedCounters } from './counters.js';
import { Meter } from './meter.js';
import { unequal, type Carrier } from './mtu.js';
import {
  onSwitch,
  openForThreads,
  openRuntime,
  refuseWireOptions,
  resolvePort,
  type OpenSpec,
} from './open.js';
import { pause, supervise } from './supervise.js';

export interface BridgeJob {
  /** As typed; a is `${b}^` for an interface and its host stack, and b itself in loopback. */
  a: string;
  b: string;
  burst: number;
  /** Time between opening and starting, s; undefined: 4, or none between switch ports. */
  wait?: number | undefined;
  zeroCopy: boolean;
  loopback: boolean;
  busy: boolean;
  wire?: WireOptions | undefined;
  spin?: number | undefined;
  verbose: number;
}

/** Time between reports, ms. */
const INTERVAL = 1000;

/** Runs until `stop` fires; reports then too. */
export async function runBridge(
  job: BridgeJob,
  load: () => NativeBinding,
  reporter: BridgeReporter,
  output: Output,
  stop: AbortSignal,
): Promise<void> {
  const binding = load();
  const runtime = openRuntime(binding, output.err);
  if (job.a === `${job.b}^` && resolvePort(job.b, binding, runtime, () => {}).kind === 'port')
    throw new UsageError(
      `-i ${job.b} alone: only a network interface has a host stack to be joined with; give a second port, or -L to send back what it receives`,
    );
  const specs = [job.a, job.b].map((text) => resolvePort(text, binding, runtime, output.err));
  if (!specs.some(({ wire }) => wire))
    refuseWireOptions([...new Set([job.a, job.b])], runtime, job.wire);
  const [a, b] = specs.map((spec) => open(spec, runtime, output, job.wire)) as [
    NativePort,
    NativePort,
  ];
  const narrow = narrower(a, b);
  if (narrow !== undefined) output.err(`vale: ${narrow}`);
  reporter.opened({
    ends: [end(a), end(b)],
    zeroCopy: job.zeroCopy && a.memoryKey !== 0n && a.memoryKey === b.memoryKey,
    burst: job.burst,
  });
  const wait = job.wait ?? (onSwitch(a.info) && onSwitch(b.info) ? 0 : 4);
  reporter.waiting(wait);
  await pause(wait, stop);
  reporter.ready();

  const ways: [from: NativePort, to: NativePort][] =
    job.a === job.b
      ? [[a, b]]
      : [
          [a, b],
          [b, a],
        ];
  const counters = () => ways.map(([from, to]) => forwardedCounters(from, to));
  const started = process.hrtime.bigint();
  const meters = counters().map((base) => new Meter(started, base));
  const engine = binding.startBridge(a, b, {
    burst: job.burst,
    zeroCopy: job.zeroCopy,
    loopback: job.a === job.b,
    busy: job.busy,
    spin: job.spin ?? defaultSpin(availableParallelism()),
    verbose: job.verbose + (reporter.tellsIdle ? 1 : 0),
    affinity: -1,
  });
  let ended: boolean;
  try {
    ended = await supervise(engine, INTERVAL, stop, (samples) => {
      for (const line of samples.flatMap((sample) => sample.messages)) reporter.message(line);
      const now = process.hrtime.bigint();
      const current = counters();
      reporter.interval(
        meters.map((meter, i) => meter.interval(now, samples.slice(i, i + 1), current[i]!)),
      );
    });
  } finally {
    const current = counters();
    reporter.final(meters.map((meter, i) => meter.total(current[i]!)));
  }
  // An engine that is still running needs its ports; the end of the process closes them.
  if (!ended) return;
  a.close();
  b.close();
  runtime.close();
}

function open(
  spec: OpenSpec,
  runtime: NativeRuntime,
  output: Output,
  wire?: WireOptions,
): NativePort {
  return openForThreads(spec, { wire, threads: 1 }, runtime, output.err)[0]!;
}

const ETHERNET_HEADER = 14;

/** What to say when one of two interfaces takes longer frames than the other. */
function narrower(a: NativePort, b: NativePort): string | undefined {
  if (onSwitch(a.info) || onSwitch(b.info)) return undefined;
  const carrier = ({ info }: NativePort): Carrier => ({
    name: info.name,
    device: info.name.replace(/[*^]$/, ''), // em0^ is the host's side of em0, em0* both
    mtu: info.mtu - ETHERNET_HEADER,
    netns: '',
  });
  return unequal(carrier(a), carrier(b));
}

function end(port: NativePort): BridgeEnd {
  const { name, device, rxRings } = port.info;
  return { name, device, firstRx: port.firstRx, rxRings };
}
