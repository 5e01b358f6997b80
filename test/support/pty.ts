// SPDX-License-Identifier: BSD-2-Clause
// Runs a command on a terminal of its own, as a person would see it.
import { spawnSync } from 'node:child_process';

/** What Node cannot do by itself: a pseudo-terminal of a given size. */
const SCRIPT = `
import fcntl, os, pty, select, signal, struct, sys, termios, time
rows, columns, limit = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[4], sys.argv[4:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
end = time.monotonic() + limit
interrupted = False
while True:
    if not interrupted and time.monotonic() > end:
        interrupted = True
        os.write(fd, b'\\x03')
    if not select.select([fd], [], [], 0.05)[0]:
        continue
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

export interface TerminalOptions {
  columns?: number;
  rows?: number;
  /** s after which Ctrl-C is typed */
  interruptAfter?: number;
  env?: NodeJS.ProcessEnv;
}

/** @returns everything written to the terminal, with plain newlines, and the exit code */
export function onTerminal(
  command: readonly string[],
  { columns = 80, rows = 24, interruptAfter = 15, env = {} }: TerminalOptions = {},
): { status: number | null; screen: string } {
  const inherited = { ...process.env };
  for (const name of ['COLUMNS', 'NO_COLOR', 'FORCE_COLOR']) delete inherited[name];
  const size = [rows, columns, interruptAfter].map(String);
  const { status, stdout, error } = spawnSync('python3', ['-c', SCRIPT, ...size, ...command], {
    encoding: 'utf8',
    env: { ...inherited, TERM: 'xterm', ...env },
  });
  if (error) throw error;
  return { status, screen: stdout.replaceAll('\r\n', '\n') };
}
