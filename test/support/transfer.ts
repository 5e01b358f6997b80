// SPDX-License-Identifier: BSD-2-Clause
/** A file over TCP from one host to another, and whether it is the same there. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

import { finished, type Host as LabHost } from './lab.js';

/** Where commands run. */
export type Host = Pick<LabHost, 'start' | 'run'>;

/** Takes one connection and writes what it receives to a file. */
const SERVER = `
const { createServer } = require('node:net');
const { createWriteStream } = require('node:fs');
const server = createServer((socket) => {
  socket.pipe(createWriteStream(process.argv[1])).on('finish', () => process.exit());
});
server.listen(5001, '::', () => console.log('listening'));`;

/** Sends a file and hangs up. */
const CLIENT = `
const { connect } = require('node:net');
const { createReadStream } = require('node:fs');
const socket = connect(5001, process.argv[2], () => createReadStream(process.argv[1]).pipe(socket));
socket.on('error', (error) => { console.error(error.message); process.exit(1); });`;

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Moves a file of `bytes` random bytes from one host to the other, which has that address. */
export async function transfer(
  folder: string,
  bytes: number,
  from: Host,
  to: Host,
  address: string,
): Promise<void> {
  const sent = join(folder, 'sent');
  const received = join(folder, 'received');
  writeFileSync(sent, randomBytes(bytes));
  const server = to.start(process.execPath, '-e', SERVER, received);
  const served = finished(server);
  await new Promise((listening) => server.stdout?.once('data', listening));
  const client = await from.run(process.execPath, '-e', CLIENT, sent, address);
  expect(client).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await served).code).toBe(0);
  expect(digest(received)).toBe(digest(sent));
}
