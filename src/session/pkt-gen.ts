// SPDX-License-Identifier: BSD-2-Clause
// One run of the generator: open the ports, run the engine, sample it, drain, report.
import { availableParallelism, cpus } from 'node:os';

import type {
  NativeBinding,
  NativePort,
  NativeRuntime,
  PktGenConfig,
  WireOptions,
} from '../native-types.js';
import {
  forPort,
  pktGenConfig,
  routeOf,
  wantsStatistics,
  type PktGenFlags,
} from '../options/pkt-gen.js';
import type { RingConfig } from '../options/ring-config.js';
import type { Output } from '../report/output.js';
import { direction, type PktGenReporter, type PktGenRun } from '../report/pkt-gen.js';
import { countersOf } from './counters.js';
import { Meter } from './meter.js';
import { onSwitch, openForThreads, openRuntime, refuseWireOptions, resolvePort } from './open.js';
import { pause, supervise } from './supervise.js';

export interface PktGenJob {
  /** As typed: "vale0:a", "eth0". */
  port: string;
  rings?: RingConfig | undefined;
  wire?: WireOptions | undefined;
  flags: PktGenFlags;
  /** Time between reports, ms. */
  interval: number;
  /** Time between opening and starting, s; undefined: 2 for a wire, none for a switch port. */
  wait?: number | undefined;
  /** Bytes added to each frame in bit rates. */
  framing: number;
  scale: boolean;
}

/** Runs until the engine is done or `stop` fires; reports in either case. */
export async function runPktGen(
  job: PktGenJob,
  load: () => NativeBinding,
  reporter: PktGenReporter,
  output: Output,
  stop: AbortSignal,
): Promise<void> {
  const checked = pktGenConfig(job.flags, {
    onlineCpus: cpus().length,
    usableCpus: availableParallelism(),
    randomSeed: Math.floor(Math.random() * 2 ** 32),
  });
  const binding = load();
  const runtime = openRuntime(binding, output.err);
  const ports = open(job, binding, runtime, output);
  const { headerLength, info } = ports[0];
  const config = forPort(checked, job.flags, { ...info, headerLength });
  const run = describe(job, config, ports[0]);
  const wait = job.wait ?? (onSwitch(info) ? 0 : 2);
  if (wait > 0) {
    reporter.start(run);
    reporter.waiting(wait);
    await pause(wait, stop);
  }

  const meter = new Meter(process.hrtime.bigint(), countersOf(ports));
  const engine = binding.startPktGen(ports, config);
  // Without a wait, only now: an engine that refuses to start has nothing to report.
  if (wait === 0) reporter.start(run);
  let ended: boolean;
  try {
    ended = await supervise(engine, job.interval, stop, (samples) => {
      for (const line of samples.flatMap((sample) => sample.messages)) reporter.message(line);
      reporter.interval(meter.interval(process.hrtime.bigint(), samples, countersOf(ports)));
    });
  } finally {
    reporter.final(meter.total(countersOf(ports)));
  }
  // An engine that is still running needs its ports; the end of the process closes them.
  if (!ended) return;
  for (const port of ports) port.close();
  runtime.close();
}

type Ports = [NativePort, ...NativePort[]];

function open(
  job: PktGenJob,
  binding: NativeBinding,
  runtime: NativeRuntime,
  output: Output,
): Ports {
  const spec = resolvePort(job.port, binding, runtime, output.err);
  if (!spec.wire) refuseWireOptions([job.port], runtime, job.wire);
  const { header, threads } = job.flags;
  const ports = openForThreads(
    spec,
    { rings: job.rings, wire: job.wire, threads },
    runtime,
    output.err,
  ) as Ports;
  if (header !== undefined && header !== ports[0].headerLength) ports[0].headerLength = header;
  return ports;
}

/** As the reference counts them, host rings included; of an interface, those of the side that is open. */
function rings(port: NativePort, sender: boolean): number {
  const { info } = port;
  if (port.wireState() !== undefined)
    return sender ? port.lastTx - port.firstTx : port.lastRx - port.firstRx;
  return sender ? info.txRings + info.hostTxRings : info.rxRings + info.hostRxRings;
}

function describe(job: PktGenJob, config: PktGenConfig, port: NativePort): PktGenRun {
  const { info } = port;
  const sender = direction(config.function) === 'sender';
  return {
    function: config.function,
    port: info.name,
    typed: job.port,
    device: info.device,
    queues: rings(port, sender),
    threads: job.flags.threads,
    cpus: job.flags.cpus === undefined ? 1 : config.cpus,
    route: routeOf(config),
    size: config.size,
    sizeMin: config.sizeMin,
    burst: config.burst,
    count: config.count,
    rate: config.rate,
    seed: config.seed,
    framing: job.framing,
    scale: job.scale,
    statistics: wantsStatistics(job.flags),
  };
}
