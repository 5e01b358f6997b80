// SPDX-License-Identifier: BSD-2-Clause
// How the process ends: signals, closed pipes and terminals, and errors nobody caught.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

import { explain, ValeError } from './errors.js';

let controller: AbortController | undefined;

/** Aborted by the first SIGINT, SIGTERM or SIGHUP; asking for it makes the asker responsible for ending. */
export function stopSignal(): AbortSignal {
  controller ??= new AbortController();
  return controller.signal;
}

/** How often it is asked whether anybody still reads standard output, ms. */
const READER_LOOK = 200;

/**
 * As stopSignal(), and aborted too when the reader of standard output has gone: who only shows what comes, now
 * and then, would notice with its next line.
 */
export function unreadSignal(): AbortSignal {
  const signal = stopSignal();
  const look = async (): Promise<void> => {
    const { native } = await import('./native.js');
    if (native().readerGone(process.stdout.fd)) controller?.abort();
  };
  setInterval(() => void look(), READER_LOOK).unref();
  return signal;
}

let unfinished = false;

/** While `pending`, a signal that nobody looks at is a failure: what was asked for was not done. */
export function mustFinish(pending: boolean): void {
  unfinished = pending;
}

function onSignal(): void {
  if (!controller && unfinished) return die(new ValeError('interrupted before it was done'));
  if (!controller || controller.signal.aborted) process.exit(0);
  controller.abort();
}

let hungUp = false;

/** Our terminal is closed. Its shell says so, and the kernel once more when that ends: both mean one end, not haste. */
function onHangUp(): void {
  if (hungUp) return;
  hungUp = true;
  onSignal();
}

/** What Node does with a terminal at its end fails on a closed one, and Node crashes of that: it gets none. */
function leaveClosedTerminal(): void {
  for (const fd of [0, 1, 2])
    if (fstatSync(fd).isCharacterDevice() && !isatty(fd)) {
      closeSync(fd);
      openSync('/dev/null', 'r+');
    }
}

/** The reader of our output has gone (`| head`, a terminal): that is a normal end. Anything else is a failure. */
function onOutputError(error: NodeJS.ErrnoException, stream: NodeJS.WriteStream): void {
  if (error.code === 'EPIPE') process.exit(0);
  if (stream.isTTY && (hungUp || error.code === 'EIO')) return onHangUp();
  const where = stream === process.stdout ? 'standard output' : 'standard error';
  const reason = error.code === 'ENOSPC' ? 'no space left on that device' : error.message;
  die(new ValeError(`cannot write to ${where}: ${reason}`));
}

/** How long a reader of standard error may take to read the last line, ms. */
const LAST_WORDS = 2000;

/** Prints an error as one line and ends the process with its exit code, once the line is out. */
export function die(error: unknown): void {
  const { line, exitCode } = explain(error);
  const end = () => process.exit(exitCode);
  const stack = process.env['DEBUG'] && error instanceof Error ? `${error.stack}\n` : '';
  try {
    // What was written before may still wait for a reader that is slow, and this behind it.
    process.stderr.write(`vale: ${line}\n${stack}`, end);
    if (process.stderr.writableLength === 0) end();
    setTimeout(end, LAST_WORDS);
  } catch {
    end(); // stderr is closed: the exit code alone has to tell.
  }
}

/** Errors of the standard streams are told of here alone: oclif adds a listener when a verb is loaded. */
export function ownOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', (error) => onOutputError(error, stream));
  }
}

/** Installs the handlers of this file, once, for a process that is the CLI. */
export function ownProcess(): void {
  ownOutput();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onHangUp);
  process.on('exit', leaveClosedTerminal);
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
