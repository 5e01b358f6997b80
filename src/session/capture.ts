// SPDX-License-Identifier: BSD-2-Clause
// One run of a capture: open the port, or what watches it, run the engine, sample it, report.
import { availableParallelism, cpus, release, type as system } from 'node:os';

import type { NativeBinding, NativeRuntime } from '../native-types.js';
import type { Rotation, Stop } from '../options/capture.js';
import { defaultSpin } from '../options/flags.js';
import { RegFlag } from '../port/registration.js';
import type { CaptureReporter } from '../report/capture.js';
import type { Output } from '../report/output.js';
import { CaptureMeter } from './capture-meter.js';
import { openForThreads, openRuntime, resolvePort, type OpenSpec } from './open.js';
import { supervise } from './supervise.js';

export interface CaptureJob {
  /** As typed: "vale0:a/rt", "vale0:x", "eth0". */
  port: string;
  /** A path, or "-" for standard output. */
  file: string;
  filter: string;
  /** Bytes kept of a frame. */
  snaplen: number;
  rotation: Rotation;
  stop: Stop;
  /** Memory for frames that are not written yet, MiB. */
  buffer: number;
  busy: boolean;
  spin?: number | undefined;
}

/** Time between reports, ms. */
const INTERVAL = 1000;

/** Runs until the engine is done or `stop` fires; what was captured by then is written. */
export async function runCapture(
  job: CaptureJob,
  load: () => NativeBinding,
  reporter: CaptureReporter,
  output: Output,
  stop: AbortSignal,
): Promise<void> {
  const binding = load();
  const runtime = openRuntime(binding, output.err);
  const { spec, name } = watched(resolvePort(job.port, binding, runtime, output.err), runtime);
  const wire = { backend: 'auto', shared: true, force: false, busy: job.busy } as const;
  const port = openForThreads(spec, { wire, threads: 1 }, runtime, output.err)[0]!;
  const meter = new CaptureMeter(process.hrtime.bigint(), port.counters());
  const engine = binding.startCapture(port, {
    output: job.file,
    name,
    description:
      runtime.device === 'user'
        ? `port of a userspace VALE switch, ${runtime.directory}`
        : "port of the kernel's netmap",
    filter: job.filter,
    application: `vale capture ${binding.version}`,
    os: `${system()} ${release()}`,
    hardware: cpus()[0]?.model.trim() ?? '',
    snaplen: job.snaplen,
    ...job.rotation,
    ...job.stop,
    buffer: job.buffer,
    busy: job.busy,
    spin: job.spin ?? defaultSpin(availableParallelism()),
  });
  const { device } = port.info;
  reporter.started({
    port: name,
    device,
    file: job.file,
    filter: job.filter,
    snaplen: job.snaplen,
  });
  try {
    await supervise(
      engine,
      INTERVAL,
      stop,
      (samples) => {
        for (const line of samples.flatMap((sample) => sample.messages)) reporter.message(line);
        reporter.interval(meter.interval(process.hrtime.bigint(), samples, port.counters()));
      },
      Infinity,
    );
  } finally {
    reporter.final(meter.total(engine.sample(), port.counters()));
  }
  port.close();
  runtime.close();
}

/** A second reader of a port would take frames from the first: what others have open is watched. */
function watched(spec: OpenSpec, runtime: NativeRuntime): { spec: OpenSpec; name: string } {
  const open = runtime
    .list()
    .some((row) => row.name === spec.fullName && row.registrations !== 0 && row.kind !== 'monitor');
  if (spec.kind !== 'port' || spec.flags !== 0 || !open) return { spec, name: spec.text };
  const flags = RegFlag.MonitorRx | RegFlag.MonitorTx;
  return { spec: { ...spec, flags }, name: `${spec.fullName}/rt` };
}
