// SPDX-License-Identifier: BSD-2-Clause
// npm run bench -- transfer: many bytes from one virtual machine to another while the agents that serve them are
// killed in turns: is every byte there, and how long is nothing received?
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { say } from '../scripts/lib.mjs';
import { address, inside, keep, prepareGuests } from './guests.mjs';
import { Interrupted } from './measure.mjs';
import { Tools } from './peer-tools.mjs';

const usage = `usage: npm run bench -- transfer [options]
  --mib N      how much is transferred (default 1024)
  --kills N    how often an agent is killed, the sender's and the receiver's in turns (default 6)
  --client     the agents connect to QEMU's sockets, not QEMU to theirs
  --json       the result on stdout as one JSON object; it is in bench/results/ in any case
  --check      exit 3 if nothing was received for longer than 3 s
`;

const BAR = 3; // s
const STUCK = 60; // s
const PORTS = ['vm1', 'vm2'];
const WHO = ['sender', 'receiver'];
const RECEIVED = '/sys/class/net/eth0/statistics/rx_bytes';
/** Of what the receiving machine has received, by its own clock. */
const SAMPLE = `read up rest </proc/uptime; read got <${RECEIVED}; echo $up $got; usleep 50000`;

function readOptions() {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(3),
      options: {
        mib: { type: 'string', default: '1024' },
        kills: { type: 'string', default: '6' },
        client: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    for (const [key, least, most] of [
      ['mib', 1, 2048],
      ['kills', 0, 1000],
    ]) {
      const number = Number(values[key]);
      if (!(Number.isInteger(number) && number >= least && number <= most))
        throw new Error(`--${key} ${values[key]}: not a whole number in ${least}..${most}`);
      values[key] = number;
    }
    return values;
  } catch (error) {
    say(`${error.message.split('. ')[0]}; npm run bench -- transfer --help lists the options`);
    process.exit(2);
  }
}

/** What has come, and when by the machine's own clock, s. */
async function received(guest) {
  const [at, , bytes] = (await inside(guest, `cat /proc/uptime ${RECEIVED}`, 0)).split(/\s+/);
  return { at: Number(at), bytes: Number(bytes) };
}

/** Waits until it has received as much, and says what then. */
async function comeTo(wanted, guest, tools) {
  for (let last = await received(guest), at = Date.now(); ;) {
    const now = await received(guest);
    if (now.bytes >= wanted) return now;
    if (now.bytes !== last.bytes) [last, at] = [now, Date.now()];
    if (Date.now() - at > STUCK * 1000) throw new Error(`nothing was received for ${STUCK} s`);
    await tools.sleep(0.1);
  }
}

/** How long after `start` a port's machine was connected, by its agent's log, s. */
function connectedAfter(start, port, tools) {
  const [, time] = /^(\S+ \S+) .*: connected$/m.exec(tools.ctl('log', port)) ?? [];
  return (Date.parse(time) - start) * 1e-3;
}

/** The longest time without a byte that begins in [from, to), s. */
function silence(samples, from, to) {
  let longest = 0;
  for (let i = 1, last = 0; i < samples.length; i++) {
    if (samples[i].bytes === samples[last].bytes && i + 1 < samples.length) continue;
    if (samples[last].at >= from && samples[last].at < to)
      longest = Math.max(longest, samples[i].at - samples[last].at);
    last = i;
  }
  return longest;
}

async function run({ mib, kills }, guests, tools, attach) {
  const [from, to] = guests;
  const fill = `dd if=/dev/urandom of=/tmp/www/file bs=1048576 count=${mib}`;
  await inside(from, 'mkdir /tmp/www; mount -o remount,size=100% /tmp; httpd -h /tmp/www', 1);
  await inside(from, `${fill} >/dev/null 2>&1`, mib);
  const sum = (source) => `(${source} | sha256sum >/tmp/sum; touch /tmp/done) >/dev/null 2>&1 &`;
  await inside(to, `(while [ ! -e /tmp/done ]; do ${SAMPLE}; done >/tmp/samples) &`, 1);
  const first = await received(to);
  await inside(to, sum(`wget -q -O - http://${address(0)}/file`), 1);
  await inside(from, sum('cat /tmp/www/file'), 1);
  const killed = [];
  const settle = () => {
    const last = killed.at(-1);
    if (last) last.connected = connectedAfter(last.start, last.port, tools);
  };
  for (let i = 0; i < kills; i++) {
    const wanted = first.bytes + ((i + 1) * mib * 2 ** 20) / (kills + 1);
    const now = await comeTo(wanted, to, tools);
    settle();
    const port = `valevhost:${PORTS[i % 2]}`;
    const { ports } = JSON.parse(tools.ctl('--json'));
    const { interface: served } = ports.find(({ name }) => name === port);
    const start = Date.now();
    process.kill(served.process_id, 'SIGKILL');
    await tools.sleep(0.02);
    attach(i % 2);
    const attached = (Date.now() - start) * 1e-3;
    killed.push({ who: WHO[i % 2], at: now.at, port, start, attached });
    say(
      `killed the ${WHO[i % 2]}'s agent after ${Math.round((now.bytes - first.bytes) / 2 ** 20)} MiB`,
    );
  }
  await comeTo(first.bytes + mib * 2 ** 20, to, tools);
  settle();
  for (const guest of [to, from])
    await inside(guest, 'while [ ! -e /tmp/done ]; do usleep 100000; done', mib);
  const last = await received(to);
  const [sent, got] = await Promise.all(guests.map((guest) => inside(guest, 'cat /tmp/sum', 5)));
  const samples = (await inside(to, 'cat /tmp/samples', 30))
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number))
    .map(([at, bytes]) => ({ at, bytes }));
  const ends = [...killed.slice(1).map(({ at }) => at), Infinity];
  return {
    seconds: last.at - first.at,
    sent: sent.slice(0, 64),
    received: got.slice(0, 64),
    kills: killed.map(({ who, at, attached, connected }, i) => ({
      who,
      attached,
      connected,
      silence: silence(samples, at - 0.05, ends[i]),
    })),
  };
}

/** @param {{environment: Record<string, string>, scratch: string}} places @returns the exit code */
export async function transfer({ environment, scratch }) {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const prepared = await prepareGuests({ environment, scratch, seconds: 1, pairs: 1 });
  if (prepared === undefined) return options.check ? 3 : 0;
  const { modules, image, accelerator, runner } = prepared;
  const tools = new Tools({ runner, folder: join(scratch, 'transfer'), seconds: 1 });
  const guests = [];
  let found;
  try {
    const how = options.client ? ['--client'] : [];
    const { sockets } = tools.serveMachines(PORTS, ...how);
    const attach = (i) =>
      tools.ctl('-a', `valevhost:${PORTS[i]}`, '--vhost-user', sockets[i], ...how);
    const boot = async (i) => {
      const network = modules
        .vhostUser(sockets[i], accelerator)
        .map((word) => (options.client ? word.replace('reconnect=1', 'server=on,wait=off') : word));
      const memory = i === 0 ? 256 + options.mib : 192; // the first has it all in its memory
      guests[i] = await modules.Guest.boot({
        image,
        accelerator,
        address: `${address(i)}/24`,
        network,
        memory,
      });
    };
    await Promise.all(PORTS.map((_, i) => boot(i)));
    found = await run(options, guests, tools, attach);
  } catch (error) {
    if (error instanceof Interrupted) return 1;
    say(`transfer: failed: ${error.message}`);
    return 1;
  } finally {
    await Promise.all(guests.filter(Boolean).map((guest) => guest.close()));
    await tools.end();
  }
  const { result, file } = keep('transfer', { accelerator, mib: options.mib, ...found });
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const speed = (options.mib / found.seconds).toFixed(1);
    process.stdout.write(
      [
        `${options.mib} MiB in ${found.seconds.toFixed(1)} s, ${speed} MiB/s, guests run by ${accelerator}`,
        `sha256 sent      ${found.sent}`,
        `sha256 received  ${found.received}`,
        ...found.kills.map(
          ({ who, attached, connected, silence: s }) =>
            `${who}'s agent killed: attached again after ${attached.toFixed(2)} s, connected after ${connected.toFixed(2)} s; ` +
            `nothing received for ${s.toFixed(2)} s, bar ≤ ${BAR}: ${s <= BAR ? 'met' : 'missed'}`,
        ),
        '',
      ].join('\n'),
    );
  }
  say(`done; ${file}`);
  if (found.sent !== found.received) {
    say('what was received is not what was sent');
    return 1;
  }
  return options.check && found.kills.some((one) => one.silence > BAR) ? 3 : 0;
}
