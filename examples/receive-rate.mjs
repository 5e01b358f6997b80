#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause
// How fast JavaScript receives: reads the EtherType of every frame of a port, and says once a second
// how many there were.
//   node examples/receive-rate.mjs vale0:b [SECONDS]
import { openPort } from 'vale-switch';

const [name, seconds = '5'] = process.argv.slice(2);
if (name === undefined) throw new Error('usage: receive-rate.mjs PORT [SECONDS]');
const port = await openPort(name);
let frames = 0;
let ipv4 = 0;
let before = performance.now();
const report = setInterval(() => {
  const now = performance.now();
  const rate = frames / (now - before) / 1000;
  console.log(`${rate.toFixed(2)} Mpps, ${((100 * ipv4) / (frames || 1)).toFixed(0)} % IPv4`);
  [frames, ipv4, before] = [0, 0, now];
}, 1000);
setTimeout(() => port.close(), Number(seconds) * 1000);

for await (const batch of port) {
  for (let i = 0; i < batch.length; i++) if (batch.etherType(i) === 0x0800) ipv4++;
  frames += batch.length;
}
clearInterval(report);
