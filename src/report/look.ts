// SPDX-License-Identifier: BSD-2-Clause
// How styles look on this terminal.
import type { Look, Style } from './table.js';
import { chalkFor, terminal } from './terminal.js';

/** Of standard output. */
export async function terminalLook(): Promise<Look> {
  const chalk = await chalkFor();
  const styles: Record<Style, (text: string) => string> = {
    heading: chalk.bold,
    strong: chalk.bold,
    faint: chalk.dim,
    alert: chalk.yellow,
  };
  return {
    width: terminal().columns,
    paint: (style, text) => styles[style](text),
  };
}
