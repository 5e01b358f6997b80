// SPDX-License-Identifier: BSD-2-Clause
// What is left of a process that is killed is taken away by another one, which waits for its end.
import { spawn } from 'node:child_process';

/**
 * Ends QEMUs and what unpacks packages, which have the folder in their command lines or work in it, then removes it,
 * which ends the agents that serve ports in it; one that still makes files has it removed again. Its standard input
 * ends with the process that it waits for; the folder comes in the environment, so that its own command line does not
 * name it.
 */
const WAIT = `
trap '' HUP INT TERM
while read -r _; do :; done
at_work() {
  grep -lsF -- "$KEPT/" /proc/[0-9]*/cmdline
  find /proc/[0-9]*/cwd -maxdepth 0 -lname "$KEPT*"
}
for file in $(at_work 2>/dev/null); do
  one=\${file%/*}
  read -r name <"$one/comm" || continue
  case $name in
    qemu-system-*) kill -KILL "\${one#/proc/}" ;;
    apt-get|dpkg-deb) kill -s KILL -- "-\${one#/proc/}" ;; # its group, as it was started
  esac
done
for _ in 1 2 3 4 5; do rm -rf -- "$KEPT" && break; sleep 1; done
`;

/**
 * Has the folder, and the processes of ours that work in it, go when this process is killed.
 * @returns for who has done that himself: ends the wait
 */
export function keep(folder: string): () => void {
  const keeper = spawn('/bin/sh', ['-c', WAIT], {
    cwd: '/',
    // Of its own, so that what ends all of a terminal's processes does not end this one.
    detached: true,
    env: { PATH: '/usr/bin:/bin', KEPT: folder },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it there is still all that this process does at its own end.
  keeper.on('error', () => undefined);
  keeper.stdin.on('error', () => undefined);
  keeper.unref();
  return () => keeper.kill('SIGKILL');
}
