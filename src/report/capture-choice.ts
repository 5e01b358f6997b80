// SPDX-License-Identifier: BSD-2-Clause
// Which way a capture is shown: JSON if asked for, columns where standard error is a terminal, else lines.
import {
  JsonCaptureReport,
  PlainCaptureReport,
  QuietCaptureReport,
  TerminalCaptureReport,
  type CaptureReporter,
} from './capture.js';
import type { Output } from './output.js';
import { chalkFor, terminal } from './terminal.js';

export async function captureReporter(
  flags: { json: boolean; ndjson: boolean; quiet: boolean },
  output: Output,
): Promise<CaptureReporter> {
  if (flags.json || flags.ndjson) return new JsonCaptureReport(output, flags.ndjson);
  if (flags.quiet) return new QuietCaptureReport();
  if (!terminal(process.stderr).isTTY) return new PlainCaptureReport(output);
  const chalk = await chalkFor(process.stderr);
  return new TerminalCaptureReport(output, (text) => chalk.bold(text));
}
