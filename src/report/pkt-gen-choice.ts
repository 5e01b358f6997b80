// SPDX-License-Identifier: BSD-2-Clause
// Which way a run is shown: JSON if asked for, columns on a terminal, else the reference's lines.
import type { Output } from './output.js';
import { JsonReport } from './pkt-gen-json.js';
import { PlainReport } from './pkt-gen-plain.js';
import type { PktGenReporter } from './pkt-gen.js';
import { chalkFor, terminal } from './terminal.js';

export async function pktGenReporter(
  flags: { json: boolean; ndjson: boolean },
  output: Output,
): Promise<PktGenReporter> {
  if (flags.json || flags.ndjson) return new JsonReport(output, flags.ndjson);
  if (!terminal().isTTY) return new PlainReport(output);
  const { TerminalReport } = await import('./pkt-gen-terminal.js');
  const chalk = await chalkFor();
  return new TerminalReport(output, (text) => chalk.bold(text));
}
