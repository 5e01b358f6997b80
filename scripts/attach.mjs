// SPDX-License-Identifier: BSD-2-Clause
// npm run attach [-- CYCLES KILLS BACKEND]: attaches and detaches an interface again and again, then
// attaches it and kills its agent; after each time the interface must be as before and the runtime
// directory empty. Needs user namespaces or root, ip and tc; AF_XDP needs root.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';

import { fail, inRoot, say } from './lib.mjs';

const [cycles = 1000, kills = 200] = process.argv.slice(2, 4).map(Number);
const backend = process.argv[4] ?? 'auto';

if (process.env['VALE_ATTACH_INSIDE'] === undefined) {
  // A namespace of its own, where nobody else changes anything.
  const root = process.getuid?.() === 0;
  const directory = mkdtempSync('/dev/shm/vale-attach-');
  const { status } = spawnSync(
    'unshare',
    [
      root ? '-n' : '-Urn',
      process.execPath,
      process.argv[1],
      String(cycles),
      String(kills),
      backend,
    ],
    { stdio: 'inherit', env: { ...process.env, VALE_ATTACH_INSIDE: '1', VALE_DIR: directory } },
  );
  rmSync(directory, { recursive: true, force: true });
  process.exit(status ?? 1);
}

const { Runtime } = await import(inRoot('dist/lib/index.js'));

function run(command) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  if (status !== 0) fail(`${command}: ${stderr}`);
  return stdout;
}

/** Flags, promiscuity, programs, qdiscs, routes, netfilter, and the files of the directory. */
function look() {
  const state = run('ip -d link show; tc qdisc show; ip -4 route show table all');
  const bpf = spawnSync('sh', ['-c', 'bpftool net 2>/dev/null; nft list ruleset 2>/dev/null'], {
    encoding: 'utf8',
  }).stdout;
  return `${state}${bpf}${readdirSync(process.env['VALE_DIR']).join('\n')}`;
}

run('ip link add at0 type veth peer name at1 && ip link set at0 up && ip link set at1 up');
run('sleep 2'); // until the kernel has done with both
const runtime = new Runtime();
runtime.attach('vale0:at0', { backend });
runtime.detach('vale0:at0');
const before = look();

function check(what) {
  const now = look();
  if (now === before) return;
  fail(`${what} left something:\n${now}\n--- before:\n${before}`);
}

for (let i = 1; i <= cycles; i += 1) {
  runtime.attach('vale0:at0', { backend, shared: i % 3 === 0 && !backend.startsWith('xdp') });
  runtime.detach('vale0:at0');
  check(`attach and detach ${i}`);
}
say(`${cycles} times attached and detached: all as before`);

for (let i = 1; i <= kills; i += 1) {
  runtime.attach('vale0:at0', { backend });
  const { pid } = runtime.agents().find(({ alive }) => alive);
  process.kill(pid, 'SIGKILL');
  while (runtime.agents().some(({ alive }) => alive));
  if (runtime.list().length > 0) fail(`kill ${i}: the port is still there`);
  if (runtime.agents().length !== 1) fail(`kill ${i}: its log was not kept`);
  // Attaching again forgets the dead one.
  runtime.attach('vale0:at0', { backend });
  runtime.detach('vale0:at0');
  check(`kill ${i}`);
}
say(`${kills} agents killed: noticed, and all as before`);
runtime.close();
