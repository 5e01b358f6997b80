// SPDX-License-Identifier: BSD-2-Clause
// What a stream can show: is it a terminal, how wide, may it be coloured.

/** The part of process.stdout and process.stderr that matters here. */
export interface OutputStream {
  isTTY?: boolean;
  columns?: number;
}

export interface Terminal {
  isTTY: boolean;
  /** Characters a line, at least 20. */
  columns: number;
  color: boolean;
}

/**
 * FORCE_COLOR decides if set (0 and false switch off); else colour needs a terminal that is not
 * dumb, and no NO_COLOR (https://no-color.org: any value but the empty one).
 */
function mayColor(isTTY: boolean, env: NodeJS.ProcessEnv): boolean {
  const force = env['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (env['NO_COLOR']) return false;
  return isTTY && env['TERM'] !== 'dumb';
}

/** COLUMNS wins over the terminal's own width, as in ls(1); 80 where nobody says. */
function width(stream: OutputStream, env: NodeJS.ProcessEnv): number {
  const asked = Number(env['COLUMNS']);
  const columns = Number.isInteger(asked) && asked > 0 ? asked : (stream.columns ?? 0);
  return Math.max(20, columns > 0 ? columns : 80);
}

export function terminal(
  stream: OutputStream = process.stdout,
  env: NodeJS.ProcessEnv = process.env,
): Terminal {
  const isTTY = stream.isTTY === true;
  return { isTTY, columns: width(stream, env), color: mayColor(isTTY, env) };
}

/** chalk for this stream; loaded only where something is coloured or a table is drawn. */
export async function chalkFor(stream: OutputStream = process.stdout) {
  const { Chalk } = await import('chalk');
  return new Chalk({ level: terminal(stream).color ? 1 : 0 });
}

/**
 * cli-table3's options for aligned columns without lines. Its own default colours head and border
 * whatever the environment says, hence the empty styles.
 */
export const PLAIN_TABLE = {
  style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  chars: {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  },
};
