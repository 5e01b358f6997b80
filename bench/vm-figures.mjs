// SPDX-License-Identifier: BSD-2-Clause
// What is measured between two virtual machines, from the first to the second.
import { kicksOf, onProcessor, total } from './agents.mjs';
import { address, inside } from './guests.mjs';
import { median } from './statistics.mjs';

/** ns that the threads of these processes were on a processor so far. */
const spent = (processes) => total(processes.map(onProcessor));
const kicks = (processes) => total(processes.map(kicksOf));

const iperf = async ([from], options, seconds) => {
  const said = await inside(from, `iperf3 -c ${address(1)} -J -t ${seconds} ${options}`, seconds);
  return JSON.parse(said.slice(said.indexOf('{'))).end;
};

/**
 * Frames a guest has received or sent, interrupts of its network, and when by its own clock, s: how long it
 * takes to answer is in none of them.
 */
async function counts(guest, way) {
  const words = [
    `cat /sys/class/net/eth0/statistics/${way}_packets /proc/uptime`,
    "awk '/virtio/ { n += $2 } END { print n + 0 }' /proc/interrupts",
  ];
  const said = await inside(guest, words.join('; '), 0);
  const [frames, at, , interrupts] = said.trim().split(/\s+/).map(Number);
  return { frames, at, interrupts };
}

const since = (before, now) => {
  const frames = now.frames - before.frames;
  return {
    rate: frames / (now.at - before.at),
    interrupts: (now.interrupts - before.interrupts) / frames,
  };
};

/** The generator of the first guest's kernel, as fast as it can. @param kind further settings of it, each behind | */
const generate =
  (kind) =>
  async ([from, to], seconds, processes) => {
    const mac = (await inside(to, 'cat /sys/class/net/eth0/address', 0)).trim();
    const words = `count 0|pkt_size 60|delay 0|dst ${address(1)}|dst_mac ${mac}${kind}`;
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
    const kicked = kicks(processes);
    const start = performance.now();
    const look = () => Promise.all([counts(from, 'tx'), counts(to, 'rx')]);
    const first = await look();
    await new Promise((done) => setTimeout(done, seconds * 1000));
    const last = await look();
    const milliseconds = performance.now() - start;
    const share = ((spent(processes) - before) * 1e-6) / milliseconds;
    const kickRate = (kicks(processes) - kicked) / (milliseconds * 1e-3);
    await inside(from, 'echo stop >/proc/net/pktgen/pgctrl', 1);
    const [sent, received] = first.map((one, i) => since(one, last[i]));
    return {
      value: received.rate,
      sent: sent.rate,
      interruptsSent: sent.interrupts,
      interruptsReceived: received.interrupts,
      ...(processes.length > 0 && {
        switchPerFrame: share / received.rate,
        kicksSent: kickRate / sent.rate,
      }),
    };
  };

export const FIGURES = [
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
    title: "The kernel's packet generator in the guest, 60 bytes, received by the driver",
    unit: 'kpps',
    scale: 1e-3,
    // Of a protocol that the receiving guest does not know: what its stack would do with them is not measured.
    take: generate('|mpls 0001000a'),
  },
  {
    name: 'generator-udp',
    title: "The same, UDP for the guest's own stack",
    unit: 'kpps',
    scale: 1e-3,
    take: generate(''),
  },
];
