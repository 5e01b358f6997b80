// SPDX-License-Identifier: BSD-2-Clause
// A generator and a receiver, two `vale` processes, on a switch of their own for five seconds.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { fail, inRoot } from './lib.mjs';

const SECONDS = 5;
const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vale-demo-'));
const children = new Set();

function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
process.stdout.on('error', () => process.exit(0));

const megas = (value, unit) => `${(value / 1e6).toFixed(3).padStart(8)} M${unit}`;
const gigabits = (value) => `${(value / 1e9).toFixed(3).padStart(7)} Gbit/s`;
const dropped = (figures) => `${figures.dropped.toLocaleString('en-US')} dropped`;

/** Starts `vale pkt-gen`; its reports, one JSON object a line, go to onReport. */
function pktGen(args, onReport) {
  const child = spawn(process.execPath, [inRoot('bin/vale.js'), 'pkt-gen', ...args, '--ndjson'], {
    env: { ...process.env, VALE_DIR: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => onReport(JSON.parse(line)));
  const ended = new Promise((resolve) => child.on('close', resolve)).then((code) => {
    children.delete(child);
    if (code !== 0) fail(`pkt-gen ${args.join(' ')} failed, see above`);
  });
  return { child, ended };
}

function show(name, figures) {
  // What is left of a second when a run ends says little about its rate.
  if (figures.event !== 'interval' || figures.seconds < 0.5) return;
  const lost = name === 'generator' ? `  ${dropped(figures)}` : '';
  console.log(
    `${name.padEnd(9)} ${megas(figures.frames_per_second, 'pps')} ${gigabits(figures.bits_per_second)}${lost}`,
  );
}

async function main() {
  console.log(`vale pkt-gen -i vale0:receiver            # waits for frames`);
  console.log(
    `vale pkt-gen -i vale0:generator -f tx     # sends 60-byte frames for ${SECONDS} s\n`,
  );
  const last = {};
  const report = (name) => (figures) => {
    last[name] = figures;
    show(name, figures);
  };
  const receiver = pktGen(['-i', 'vale0:receiver'], report('receiver'));
  // The receiver's port is there as soon as `vale ctl` lists it; a generator would not mind waiting
  // for nobody, but its first frames would find no destination.
  await portIsListed('vale0:receiver');
  await pktGen(
    ['-i', 'vale0:generator', '-f', 'tx', '--duration', String(SECONDS)],
    report('generator'),
  ).ended;
  receiver.child.kill('SIGINT');
  await receiver.ended;
  await summary(last.generator, last.receiver);
}

async function portIsListed(name) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const list = spawn(process.execPath, [inRoot('bin/vale.js'), 'ctl', '--plain'], {
      env: { ...process.env, VALE_DIR: directory },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of list.stdout) text += chunk;
    if (text.includes(`${name} `)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  fail(`the receiver did not open ${name}`);
}

async function summary(sent, received) {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    style: { head: [], border: [] },
    head: ['', 'frames', 'Mpps', 'Gbit/s'],
    colAligns: ['left', 'right', 'right', 'right'],
  });
  const rate = (frames, bitsPerFrame, seconds) => [
    (frames / seconds / 1e6).toFixed(3),
    ((frames * bitsPerFrame) / seconds / 1e9).toFixed(3),
  ];
  const bits = sent.size * 8;
  const row = (label, frames, seconds) =>
    table.push([label, frames.toLocaleString('en-US'), ...rate(frames, bits, seconds)]);
  row('sent', sent.offered, sent.seconds);
  row('accepted', sent.accepted, sent.seconds);
  row('delivered', sent.delivered, sent.seconds);
  row('received', received.received, received.seconds);
  const reasons = { ...sent.drops };
  for (const [reason, n] of Object.entries(received.drops))
    reasons[reason] = (reasons[reason] ?? 0) + n;
  const drops = Object.entries(reasons).filter(([, n]) => n > 0);
  for (const [reason, n] of drops)
    table.push([`dropped: ${reason}`, n.toLocaleString('en-US'), '', '']);
  if (drops.length === 0) table.push(['dropped', '0', '', '']);
  console.log(`\n${table.toString()}`);
}

await main();
