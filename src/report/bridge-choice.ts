// SPDX-License-Identifier: BSD-2-Clause
// Which way a run is shown: JSON if asked for, columns on a terminal, else the reference's lines.
import { JsonBridgeReport } from './bridge-json.js';
import { PlainBridgeReport } from './bridge-plain.js';
import type { BridgeReporter } from './bridge.js';
import type { Output } from './output.js';
import { chalkFor, terminal } from './terminal.js';

export async function bridgeReporter(
  flags: { json: boolean; ndjson: boolean },
  output: Output,
): Promise<BridgeReporter> {
  if (flags.json || flags.ndjson) return new JsonBridgeReport(output, flags.ndjson);
  if (!terminal().isTTY) return new PlainBridgeReport(output);
  const { TerminalBridgeReport } = await import('./bridge-terminal.js');
  const chalk = await chalkFor();
  return new TerminalBridgeReport(output, (text) => chalk.bold(text));
}
