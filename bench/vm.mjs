// SPDX-License-Identifier: BSD-2-Clause
// npm run bench -- vm: two virtual machines on one machine, by what joins them. Each transport boots its own
// pair of the image (npm run image), one pair at a time, so that nothing but it runs.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import Table from 'cli-table3';
import { build } from 'esbuild';

import { inRoot, say } from '../scripts/lib.mjs';
import { onProcessor, total } from './agents.mjs';
import { Interrupted, Runner, Skip } from './measure.mjs';
import { checkNeeds } from './peers.mjs';
import { Tools } from './peer-tools.mjs';
import { median, spread } from './statistics.mjs';

const usage = `usage: npm run bench -- vm [options]
  --only NAME    only this transport: vhost-user, stream, tap-bridge, testpmd-vhost; may be repeated
  --rounds N     how often each figure is taken (default 5)
  --seconds S    length of each (default 2)
  --json         the result on stdout as one JSON object; it is in bench/results/ in any case
  --check        exit 3 if a bar is missed
`;

const GUESTS = ['vm1', 'vm2'];
const address = (i) => `10.9.0.${i + 1}`;

/** The modules that boot guests, as the CLI has them. */
async function guestModules() {
  const outfile = inRoot('build/bench/guest.mjs');
  await build({
    stdin: {
      contents: "export * from './src/vm/guest.ts';\nexport * from './src/vm/image.ts';",
      resolveDir: inRoot(),
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile,
    logLevel: 'warning',
  });
  return import(outfile);
}

/**
 * What joins two guests. `join` prepares it and resolves to the guests' arguments for QEMU and the processes that
 * are the switch.
 */
const TRANSPORTS = [
  {
    name: 'vhost-user',
    title: 'vale, vhost-user',
    needs: { commands: [], packages: '' },
    join: async (tools, { vhostUser }, how) => {
      const { sockets, processes } = tools.serveMachines(GUESTS);
      return { networks: sockets.map((socket) => vhostUser(socket, how)), processes };
    },
  },
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

/** ns that the threads of these processes were on a processor so far. */
const spent = (processes) => total(processes.map(onProcessor));

/** Output of a line of shell that must succeed. */
async function inside(guest, line, seconds) {
  const { code, output } = await guest.run(line, seconds * 1000 + 60_000);
  if (code !== 0) throw new Error(`in a guest: ${line}: ${output.trim().split('\n').at(-1)}`);
  return output;
}

const iperf = async ([from], options, seconds) => {
  const said = await inside(from, `iperf3 -c ${address(1)} -J -t ${seconds} ${options}`, seconds);
  return JSON.parse(said.slice(said.indexOf('{'))).end;
};

/** Frames a guest has received, and when by its own clock, s: how long it takes to answer is in neither. */
async function received(guest) {
  const line = 'cat /sys/class/net/eth0/statistics/rx_packets /proc/uptime';
  const [frames, at] = (await inside(guest, line, 0)).trim().split(/\s+/).map(Number);
  return { frames, at };
}

/** What is measured between two guests, from the first to the second. */
const FIGURES = [
  {
    name: 'udp',
    title: 'UDP of 60-byte frames, received',
    unit: 'kpps',
    scale: 1e-3,
    take: async (guests, seconds) => {
      const { sum } = await iperf(guests, '-u -b 0 -l 18', seconds);
      return (sum.packets - sum.lost_packets) / sum.seconds;
    },
  },
  {
    name: 'tcp',
    title: 'TCP stream, received',
    unit: 'Gbit/s',
    scale: 1e-9,
    take: async (guests, seconds) =>
      (await iperf(guests, '', seconds)).sum_received.bits_per_second,
  },
  {
    name: 'ping',
    title: 'Round trip of a ping, median',
    unit: 'µs',
    scale: 1e6,
    less: true,
    take: async ([from]) => {
      const said = await inside(from, `ping -c 60 -i 0.02 ${address(1)}`, 2);
      return median([...said.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1e-3));
    },
  },
  {
    name: 'generator',
    title: "The kernel's packet generator in the guest, 60 bytes, received",
    unit: 'kpps',
    scale: 1e-3,
    take: async ([from, to], seconds, processes) => {
      const mac = (await inside(to, 'cat /sys/class/net/eth0/address', 0)).trim();
      const words = `count 0|pkt_size 60|delay 0|dst ${address(1)}|dst_mac ${mac}`;
      const lines = words.split('|').map((word) => `echo "${word}" >/proc/net/pktgen/eth0`);
      await inside(
        from,
        [
          'echo rem_device_all >/proc/net/pktgen/kpktgend_0',
          'echo "add_device eth0" >/proc/net/pktgen/kpktgend_0',
          ...lines,
          '(echo start >/proc/net/pktgen/pgctrl &) >/dev/null 2>&1',
          'sleep 0.5',
        ].join('; '),
        1,
      );
      const before = spent(processes);
      const start = performance.now();
      const first = await received(to);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      const last = await received(to);
      const share = ((spent(processes) - before) * 1e-6) / (performance.now() - start);
      await inside(from, 'echo stop >/proc/net/pktgen/pgctrl', 1);
      const value = (last.frames - first.frames) / (last.at - first.at);
      return { value, switchPerFrame: processes.length === 0 ? undefined : share / value };
    },
  },
];

const BARS = [
  { figure: 'generator', against: 'testpmd-vhost', min: 0.95 },
  { figure: 'generator', against: 'tap-bridge', min: 2 },
];

async function measureTransport(transport, modules, image, how, runner, { rounds, seconds }) {
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
    for (const figure of FIGURES) {
      const taken = [];
      for (let i = 0; i < rounds; i++) {
        if (runner.interrupted) throw new Interrupted();
        const taking = await figure.take(guests, seconds, processes);
        const one = typeof taking === 'number' ? { value: taking } : taking;
        if (!(one.value > 0)) throw new Error(`${figure.name}: nothing got through`);
        taken.push(one);
      }
      const perFrame = taken.map((one) => one.switchPerFrame).filter((n) => n !== undefined);
      results[figure.name] = {
        ...spread(taken.map(({ value }) => value)),
        switchPerFrame: perFrame.length > 0 ? median(perFrame) : undefined,
      };
    }
    return results;
  } finally {
    await Promise.all(guests.filter(Boolean).map((guest) => guest.close()));
    await tools.end();
  }
}

function table(results, chosen) {
  const ours = results['vhost-user'];
  const out = new Table({
    head: ['', ...chosen.map(({ title }) => title)],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, title, unit, scale, less } of FIGURES) {
    const cell = ({ name: transport }) => {
      const { skipped, error, [name]: figure } = results[transport];
      if (skipped ?? error) return skipped ? 'skipped' : 'failed';
      const [middle, least, most] = [figure.median, figure.min, figure.max].map((value) =>
        String(Number((value * scale).toPrecision(3))),
      );
      const lines = [`${middle} (${least}..${most}) ${unit}`];
      if (figure.switchPerFrame !== undefined)
        lines.push(`switch ${(figure.switchPerFrame * 1e9).toFixed(0)} ns/frame`);
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

function judged(results) {
  const ours = results['vhost-user'];
  return BARS.flatMap(({ figure, against, min }) => {
    const theirs = results[against]?.[figure];
    if (!ours?.[figure] || !theirs) return [];
    const ratio = ours[figure].median / theirs.median;
    return [{ figure, against, min, ratio, verdict: ratio >= min ? 'met' : 'missed' }];
  });
}

function readOptions() {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(3),
      options: {
        only: { type: 'string', multiple: true },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '2' },
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
    for (const name of values.only ?? []) {
      if (!TRANSPORTS.some((one) => one.name === name))
        throw new Error(`--only ${name}: not one of ${TRANSPORTS.map((t) => t.name).join(', ')}`);
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
  if (spawnSync('qemu-system-x86_64', ['--version']).error !== undefined) {
    say('skipped: qemu-system-x86_64 is missing: apt-get install qemu-system-x86');
    return 0;
  }
  const modules = await guestModules();
  const image = modules.builtImage() ?? modules.buildImage(say);
  const how = modules.accelerator();
  const told = how === 'kvm' ? 'KVM' : 'emulation (TCG): the kernel runs no guests here';
  say(`guests run by ${told}`);
  const runner = new Runner({
    environment,
    scratch,
    seconds: options.seconds,
    pairs: options.rounds,
    retrySeconds: 0,
    budget: 3600,
    quick: false,
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.interrupt());
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
  const bars = judged(results);
  const time = new Date().toISOString();
  const { rounds, seconds } = options;
  const result = {
    schema: 'vale-bench-vm/1',
    time,
    accelerator: how,
    rounds,
    seconds,
    results,
    bars,
  };
  mkdirSync(inRoot('bench/results'), { recursive: true });
  const file = join('bench/results', `vm-${time.replaceAll(':', '-')}.json`);
  writeFileSync(inRoot(file), `${JSON.stringify(result, undefined, 2)}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    process.stdout.write(`${table(results, chosen)}Guests run by ${told}.\n`);
    for (const { figure, against, min, ratio, verdict } of bars)
      process.stdout.write(
        `${figure}: ${ratio.toFixed(2)} × ${against}, bar ≥ ${min}: ${verdict}\n`,
      );
  }
  say(`done; ${file}`);
  if (failed) return 1;
  return options.check && bars.some(({ verdict }) => verdict === 'missed') ? 3 : 0;
}
