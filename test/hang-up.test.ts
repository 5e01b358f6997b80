// SPDX-License-Identifier: BSD-2-Clause
// A terminal that is closed while a verb runs on it is a normal end, also of what is written elsewhere.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { needs } from './support/need.js';
import { freshSwitch } from './support/vale.js';

/**
 * What Node cannot do by itself: a shell on a terminal that is closed once its command has said something. The shell
 * passes that on and goes; who waits for the command stays, and leaves its exit code.
 */
const SCRIPT = `
import os, pty, sys, time
says, path, *words = sys.argv[1:]
line = "(trap '' HUP; %s; echo $? >'%s.new'; mv '%s.new' '%s'); true" % (' '.join(words), path, path, path)
pid, fd = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '-ic', line])
seen = b''
while says.encode() not in seen:
    seen += os.read(fd, 4096)
time.sleep(0.2)
os.close(fd)
os.waitpid(pid, 0)
end = time.monotonic() + 10
while not os.path.exists(path) and time.monotonic() < end:
    time.sleep(0.02)
print(open(path).read(), end='')
`;
const vale = `'${process.execPath}' '${join(packageRoot(), 'bin', 'vale.js')}'`;

needs('python3', 'bash').describe('a closed terminal ends', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vale-hang-up-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function closed(verb: string, says: string, ...words: string[]): void {
    const { stdout, stderr } = spawnSync(
      'python3',
      ['-c', SCRIPT, says, join(folder, `${verb}.code`), vale, verb, ...words],
      { encoding: 'utf8', timeout: 15_000 },
    );
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  }

  test.each([
    ['pkt-gen', 'Receiving from', '-f', 'rx', '-i', `${freshSwitch()}:a`],
    ['bridge', 'Bridging', '-i', `${freshSwitch()}:a`, '-i', `${freshSwitch()}:b`],
    ['ctl', 'more lines', '--watch'],
  ])('vale %s', (verb, says, ...words) => closed(verb, says, ...words));

  test('vale capture, whose report is complete', () => {
    const report = join(folder, 'report');
    const file = join(folder, 'file.pcapng');
    closed(
      'capture',
      'Capturing on',
      '-i',
      `${freshSwitch()}:a`,
      '-w',
      file,
      `2> >(tee '${report}')`,
    );
    expect(readFileSync(report, 'utf8')).toMatch(/^total received 0 .* files 1$/m);
  });
});
