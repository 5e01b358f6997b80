// SPDX-License-Identifier: BSD-2-Clause
// npm run bench -- vm: two virtual machines on one machine, by what joins them. Each transport boots its own
// pair of the image (npm run image), one pair at a time, so that nothing but it runs.
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import Table from 'cli-table3';

import { say } from '../scripts/lib.mjs';
import { address, inside, keep, prepareGuests } from './guests.mjs';
import { Interrupted, Skip } from './measure.mjs';
import { checkNeeds } from './peers.mjs';
import { Tools } from './peer-tools.mjs';
import { median, spread } from './statistics.mjs';
import { FIGURES } from './vm-figures.mjs';

const usage = `usage: npm run bench -- vm [options]
  --only NAME    only this transport: vhost-user, vhost-user-apart, stream, tap-bridge, testpmd-vhost;
                 may be repeated
  --figure NAME  only this figure: udp, tcp, ping, generator, generator-udp; may be repeated
  --rounds N     how often each figure is taken (default 5)
  --seconds S    length of each (default 1)
  --json         the result on stdout as one JSON object; it is in bench/results/ in any case
  --check        exit 3 if a bar is missed or could not be measured
`;

const GUESTS = ['vm1', 'vm2'];

const ours = (name, title, ...options) => ({
  name,
  title,
  needs: { commands: [], packages: '' },
  join: async (tools, { vhostUser }, how) => {
    const { sockets, processes } = tools.serveMachines(GUESTS, ...options);
    return { networks: sockets.map((socket) => vhostUser(socket, how)), processes };
  },
});

/**
 * What joins two guests. `join` prepares it and resolves to the guests' arguments for QEMU and the processes that
 * are the switch.
 */
const TRANSPORTS = [
  ours('vhost-user', 'vale, vhost-user', '--agent', 'bench'),
  ours('vhost-user-apart', 'vale, vhost-user, two agents'),
  {
    name: 'stream',
    title: 'QEMU stream sockets',
    needs: { commands: [], packages: '' },
    join: async (tools, { stream }) => {
      const socket = join(tools.folder, 'stream');
      const second = stream(socket);
      const first = stream(socket).map((word) => word.replace('server=off', 'server=on'));
      return { networks: [first, second], processes: [], inTurn: true };
    },
  },
  {
    name: 'tap-bridge',
    title: 'TAP + Linux bridge',
    needs: { commands: ['ip'], packages: 'iproute2', root: true },
    join: async (tools, { stream }) => {
      const bridge = `vbr${process.pid}`;
      tools.call('ip', ['link', 'add', bridge, 'type', 'bridge']);
      tools.finally(() => tools.call('ip', ['link', 'del', bridge]));
      tools.call('ip', ['link', 'set', bridge, 'up']);
      const networks = GUESTS.map((_, i) => {
        const tap = `vt${i}x${process.pid}`;
        tools.call('ip', ['tuntap', 'add', tap, 'mode', 'tap']);
        tools.finally(() => tools.call('ip', ['tuntap', 'del', tap, 'mode', 'tap']));
        tools.call('ip', ['link', 'set', tap, 'master', bridge, 'up']);
        const words = stream('');
        words[1] = `tap,id=n0,ifname=${tap},script=no,downscript=no`;
        return words;
      });
      return { networks, processes: [] };
    },
  },
  {
    name: 'testpmd-vhost',
    title: "testpmd's vhost",
    needs: { commands: ['dpdk-testpmd', 'stdbuf'], packages: 'dpdk', root: true },
    join: async (tools, { vhostUser }, how) => {
      const sockets = GUESTS.map((name) => join(tools.folder, name));
      const pmd = await tools.testpmd({
        name: 'vm',
        vdevs: sockets.map((socket, i) => `net_vhost${i},iface=${socket}`),
        mode: 'io',
        main: '(0-1)',
        worker: '(0-1)',
      });
      await pmd.ask('start');
      return { networks: sockets.map((s) => vhostUser(s, how)), processes: [pmd.pid] };
    },
  },
];

const BARS = [
  { figure: 'generator', against: 'testpmd-vhost', min: 0.95 },
  { figure: 'generator', against: 'testpmd-vhost', min: 1, of: 'switchPerFrame' },
  { figure: 'generator', against: 'tap-bridge', min: 2 },
];

/** Of all rounds: the figure, and the median of whatever else was found with it. */
function together(taken) {
  const { value, ...more } = Object.fromEntries(
    Object.keys(taken[0]).map((key) => [key, taken.map((one) => one[key])]),
  );
  const known = Object.entries(more).filter(([, values]) => values[0] !== undefined);
  return {
    ...spread(value),
    ...Object.fromEntries(known.map(([key, values]) => [key, median(values)])),
  };
}

async function measureTransport(transport, modules, image, how, runner, options) {
  const { rounds, seconds } = options;
  checkNeeds(transport.needs);
  const folder = join(runner.options.scratch, transport.name);
  const tools = new Tools({ runner, folder, seconds });
  const guests = [];
  try {
    const { networks, processes, inTurn } = await transport.join(tools, modules, how);
    const boot = (i) =>
      modules.Guest.boot({
        image,
        accelerator: how,
        address: `${address(i)}/24`,
        network: networks[i],
      }).then((guest) => (guests[i] = guest));
    if (inTurn) for (const i of GUESTS.keys()) await boot(i);
    else await Promise.all([...GUESTS.keys()].map(boot));
    await inside(guests[1], 'iperf3 -s -D >/dev/null; sleep 0.5', 1);
    await inside(guests[0], `ping -c 2 ${address(1)}`, 3);
    const results = {};
    for (const figure of figuresOf(options)) {
      const taken = [];
      for (let i = 0; i < rounds; i++) {
        if (runner.interrupted) throw new Interrupted();
        const taking = await figure.take(guests, seconds, processes);
        const one = typeof taking === 'number' ? { value: taking } : taking;
        if (!(one.value > 0)) throw new Error(`${figure.name}: nothing got through`);
        taken.push(one);
      }
      results[figure.name] = together(taken);
    }
    return results;
  } finally {
    await Promise.all(guests.filter(Boolean).map((guest) => guest.close()));
    await tools.end();
  }
}

const figuresOf = (options) => FIGURES.filter(({ name }) => options.figure?.includes(name) ?? true);

function table(results, chosen, figures) {
  const ours = results['vhost-user'];
  const out = new Table({
    head: ['', ...chosen.map(({ title }) => title)],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, title, unit, scale, less } of figures) {
    const cell = ({ name: transport }) => {
      const { skipped, error, [name]: figure } = results[transport];
      if (skipped ?? error) return skipped ? 'skipped' : 'failed';
      const [middle, least, most] = [figure.median, figure.min, figure.max].map((value) =>
        String(Number((value * scale).toPrecision(3))),
      );
      const lines = [`${middle} (${least}..${most}) ${unit}`];
      if (figure.switchPerFrame !== undefined)
        lines.push(`switch ${(figure.switchPerFrame * 1e9).toFixed(0)} ns/frame`);
      if (figure.sent !== undefined) lines.push(`sent ${(figure.sent * scale).toFixed(1)} ${unit}`);
      if (figure.kicksSent !== undefined) lines.push(`kicks/frame ${figure.kicksSent.toFixed(3)}`);
      if (figure.interruptsSent !== undefined)
        lines.push(
          `interrupts/frame ${figure.interruptsSent.toFixed(2)}, ${figure.interruptsReceived.toFixed(2)}`,
        );
      if (transport !== 'vhost-user' && ours?.[name]) {
        const ratio = less ? figure.median / ours[name].median : ours[name].median / figure.median;
        lines.push(`ours: ${ratio.toFixed(2)} ×`);
      }
      return lines.join('\n');
    };
    out.push([title, ...chosen.map(cell)]);
  }
  return `${out.toString()}\n`;
}

/** Each bar whose figure and transports were chosen; without a ratio where one of them could not be measured. */
function judged(results, figures) {
  return BARS.filter(({ figure }) => figures.some(({ name }) => name === figure)).flatMap((bar) => {
    if (!(bar.against in results) || !('vhost-user' in results)) return [];
    const [ours, theirs] = ['vhost-user', bar.against].map((name) => results[name][bar.figure]);
    if (!ours || !theirs) return [{ ...bar, verdict: 'not measured' }];
    const ratio = bar.of ? theirs[bar.of] / ours[bar.of] : ours.median / theirs.median;
    return [{ ...bar, ratio, verdict: ratio >= bar.min ? 'met' : 'missed' }];
  });
}

function told({ figure, against, min, of, ratio, verdict }) {
  const what = of ? `${figure}, switch's time a frame` : figure;
  const found = ratio === undefined ? '' : ` ${ratio.toFixed(2)} ×`;
  return `${what}:${found} ${of ? 'less than' : 'of'} ${against}, bar ≥ ${min}: ${verdict}\n`;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(3),
      options: {
        only: { type: 'string', multiple: true },
        figure: { type: 'string', multiple: true },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    for (const [key, most] of [
      ['rounds', 101],
      ['seconds', 60],
    ]) {
      const number = Number(values[key]);
      if (!(Number.isInteger(number) && number >= 1 && number <= most))
        throw new Error(`--${key} ${values[key]}: not a whole number in 1..${most}`);
      values[key] = number;
    }
    for (const [key, all] of [
      ['only', TRANSPORTS],
      ['figure', FIGURES],
    ]) {
      const names = all.map(({ name }) => name);
      for (const name of values[key] ?? []) {
        if (!names.includes(name))
          throw new Error(`--${key} ${name}: not one of ${names.join(', ')}`);
      }
    }
    return values;
  } catch (error) {
    say(`${error.message.split('. ')[0]}; npm run bench -- vm --help lists the options`);
    process.exit(2);
  }
}

/** @param {{environment: Record<string, string>, scratch: string}} places @returns the exit code */
export async function virtualMachines({ environment, scratch }) {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const chosen = TRANSPORTS.filter(({ name }) => options.only?.includes(name) ?? true);
  const { rounds, seconds } = options;
  const prepared = await prepareGuests({
    environment,
    scratch,
    seconds,
    pairs: rounds,
    budget: 3600,
    quick: false,
  });
  if (prepared === undefined) return options.check ? 3 : 0;
  const { modules, image, accelerator: how, runner } = prepared;
  const runBy = how === 'kvm' ? 'KVM' : 'emulation (TCG): the kernel runs no guests here';
  say(`guests run by ${runBy}`);
  const results = {};
  let failed = false;
  for (const transport of chosen) {
    process.stderr.write(`${transport.title}\n`);
    try {
      results[transport.name] = await measureTransport(
        transport,
        modules,
        image,
        how,
        runner,
        options,
      );
    } catch (error) {
      if (error instanceof Interrupted) return 1;
      const skipped = error instanceof Skip;
      failed ||= !skipped;
      results[transport.name] = skipped ? { skipped: error.message } : { error: error.message };
      say(`${transport.name}: ${skipped ? 'skipped' : 'failed'}: ${error.message}`);
    }
  }
  const figures = figuresOf(options);
  const bars = judged(results, figures);
  const found = { accelerator: how, rounds, seconds, results, bars };
  const { result, file } = keep('vm', found);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    process.stdout.write(`${table(results, chosen, figures)}Guests run by ${runBy}.\n`);
    process.stdout.write(bars.map(told).join(''));
  }
  say(`done; ${file}`);
  if (failed) return 1;
  return options.check && bars.some(({ verdict }) => verdict !== 'met') ? 3 : 0;
}
