// SPDX-License-Identifier: BSD-2-Clause
// How the process ends: signals, closed pipes, and errors nobody caught.
import { explain, ValeError } from './errors.js';

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

/** The reader of our output has gone (`| head`): that is a normal end. Anything else is a failure. */
function onOutputError(error: NodeJS.ErrnoException, where: string): never {
  if (error.code === 'EPIPE') process.exit(0);
  const reason = error.code === 'ENOSPC' ? 'no space left on that device' : error.message;
  die(new ValeError(`cannot write to ${where}: ${reason}`));
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
  const streams = [
    [process.stdout, 'standard output'],
    [process.stderr, 'standard error'],
  ] as const;
  for (const [stream, name] of streams) {
    stream.removeAllListeners('error');
    stream.on('error', (error) => onOutputError(error, name));
  }
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
