// SPDX-License-Identifier: BSD-2-Clause
// How the process ends: signals, closed pipes, and errors nobody caught.
import { explain } from './errors.js';

let controller: AbortController | undefined;

/** Aborted by the first SIGINT or SIGTERM; asking for it makes the asker responsible for ending. */
export function stopSignal(): AbortSignal {
  controller ??= new AbortController();
  return controller.signal;
}

function onSignal(): void {
  if (!controller || controller.signal.aborted) process.exit(0);
  controller.abort();
}

/** The reader of our output has gone (`| head`): that is a normal end. */
function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  die(error);
}

/** Prints an error as one line and ends the process with its exit code. */
export function die(error: unknown): never {
  const { line, exitCode } = explain(error);
  try {
    process.stderr.write(`vale: ${line}\n`);
    if (process.env['DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  } catch {
    // stderr is closed: the exit code alone has to tell.
  }
  process.exit(exitCode);
}

/** Installs the handlers of this file, once, for a process that is the CLI. */
export function ownProcess(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', onOutputError);
  }
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
