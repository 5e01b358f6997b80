#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause
// A learning MAC filter between two ports: a frame crosses unless its destination was last heard on
// the side it comes from.
//   node examples/mac-filter.mjs vale0:left vale1:right
import { formatMac, isGroup, openPort } from 'vale-switch';

const names = process.argv.slice(2);
if (names.length !== 2) throw new Error('usage: mac-filter.mjs PORT PORT');
const [left, right] = await Promise.all(names.map((name) => openPort(name)));
const side = new Map(); // source address → the port it was last heard on

async function filter(from, to) {
  for await (const batch of from) {
    for (let i = 0; i < batch.length; i++) {
      const source = batch.source(i);
      if (!isGroup(source)) side.set(source, from);
      if (side.get(batch.destination(i)) === from) continue;
      while (!to.forward(batch, i)) await to.writable();
    }
    await to.flush();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => [left, right].forEach((port) => port.close()));
console.log(`filtering between ${left.name} and ${right.name}`);
await Promise.all([filter(left, right), filter(right, left)]);
for (const [mac, port] of side) console.log(formatMac(mac), port.name);
