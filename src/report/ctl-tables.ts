// SPDX-License-Identifier: BSD-2-Clause
// What `vale ctl` finds, for people at a terminal.
import type { AgentRow, FdbRow, PortCounters, PortInfo, SwitchRow } from '../native-types.js';
import { servedBy } from '../session/attached.js';
import type { Snapshot } from '../session/control.js';
import { allDrops, countersByName, type Rate, type Rates } from '../session/rates.js';
import { counterEntries, interfaceCounters } from './ctl-counters.js';
import { tableLines, type Cell, type Column, type Look } from './table.js';
import { bitRate, byteCount, count, packetRate } from './units.js';

const right = (title: string, spare?: number): Column => ({ title, align: 'right', spare });
const drops = (n: bigint): Cell => (n > 0n ? { text: count(n), style: 'alert' } : '0');
/** A dash for what the device does not tell. */
const known = (n: number | bigint | undefined): string => (n === undefined ? '-' : count(n));
const ageing = (seconds: number | undefined): string =>
  seconds === undefined ? '-' : seconds === 0 ? 'never' : `${seconds} s`;

/** Both directions as "1x1024", or "1x1024/2x512" where they differ (tx first). */
export function rings(info: PortInfo): string {
  const tx = `${info.txRings}x${info.txSlots}`;
  const rx = `${info.rxRings}x${info.rxSlots}`;
  return tx === rx ? tx : `${tx}/${rx}`;
}

function rateColumns(rates: Rates | undefined): Column[] {
  return rates ? [right('RX'), right('TX'), right('RX RATE', 1), right('TX RATE', 2)] : [];
}

function rateCells(
  rates: Rates | undefined,
  rate: Rate | undefined,
  counters: PortCounters | undefined,
): Cell[] {
  if (rates === undefined) return [];
  if (counters === undefined) return ['-', '-', '-', '-'];
  return [
    packetRate(rate?.rxFrames ?? 0),
    packetRate(rate?.txFrames ?? 0),
    bitRate(rate?.rxBits ?? 0),
    bitRate(rate?.txBits ?? 0),
  ];
}

function switchTable(switches: readonly SwitchRow[], look: Look, rates?: Rates): string[] {
  return tableLines(
    [
      { title: 'SWITCH' },
      right('INDEX'),
      right('PORTS'),
      right('MACS', 5),
      right('AGEING', 6),
      right('RX FRAMES', rates ? 3 : 1),
      right('TX FRAMES', rates ? 4 : 2),
      ...rateColumns(rates),
      right('DROPS'),
    ],
    switches.map((row) => [
      { text: row.name, style: 'strong' },
      String(row.index),
      String(row.ports),
      known(row.fdbEntries),
      ageing(row.ageing),
      known(row.totals?.rxFrames),
      known(row.totals?.txFrames),
      ...rateCells(rates, rates?.get(`${row.name}:`), row.totals),
      row.totals ? drops(allDrops(row.totals)) : '-',
    ]),
    look,
  );
}

/** "up 10.0 Gbit/s", "up", "2 queues lost", "no carrier", "down"; of a virtual machine "connected", "waiting", "broken", "connected, another waits", "socket lost" */
function link({ stalled, socket, state }: AgentRow): Cell {
  const { up, link: carrier, speed, unservedQueues: lost } = state;
  if (stalled) return { text: 'agent stalled', style: 'alert' };
  if (socket !== '') {
    if (state.unreachable) return { text: 'socket lost', style: 'alert' };
    if (carrier) return state.anotherWaits ? 'connected, another waits' : 'connected';
    return up ? 'waiting' : { text: 'broken', style: 'alert' };
  }
  if (!up) return { text: 'down', style: 'alert' };
  if (!carrier) return { text: 'no carrier', style: 'alert' };
  if (lost > 0) return { text: `${lost} ${lost === 1 ? 'queue' : 'queues'} lost`, style: 'alert' };
  return speed > 0 ? `up ${bitRate(speed * 1e6)}` : 'up';
}

/** How a port is joined to its interface; nothing for other ports. */
function interfaceCells(port: string, agent: AgentRow | undefined): Cell[] {
  if (agent === undefined) return ['-', '-', '-', '-'];
  const polls = agent.pollCores > 0 ? ', polled' : '';
  const side = agent.port === port ? agent.state.backend : 'host stack';
  // Its port keeps the name it was attached under.
  const renamed =
    agent.socket !== '' || agent.port.endsWith(`:${agent.interface}`)
      ? ''
      : ` of ${agent.interface}`;
  // By the name of `ip netns`, or by one of its processes.
  const netns = /^\d+$/.test(agent.netns) ? `process ${agent.netns}` : agent.netns;
  const where = netns === '' ? '' : ` in ${netns}`;
  const takeOver = agent.socket === '' ? agent.state.takeOver : '-';
  const mtu = agent.state.mtu === 0 ? '-' : String(agent.state.mtu);
  return [`${side}${renamed}${where}${polls}`, takeOver, mtu, link(agent)];
}

function portTable(
  { ports, agents }: Pick<Snapshot, 'ports' | 'agents'>,
  look: Look,
  rates?: Rates,
): string[] {
  const attached = agents.length > 0;
  return tableLines(
    [
      { title: 'PORT' },
      ...(attached
        ? [
            { title: 'BACKEND', spare: 6 },
            { title: 'TAKE-OVER', spare: 10 },
            right('MTU', 11),
            { title: 'LINK' },
          ]
        : []),
      right('INDEX', 5),
      right('OPEN', 7),
      right('MEMORY', 9),
      right('RINGS', 8),
      right('RX FRAMES', rates ? 3 : 1),
      right('TX FRAMES', rates ? 4 : 2),
      ...rateColumns(rates),
      right('DROPS'),
    ],
    ports.map((row) => [
      { text: row.name, style: 'strong' as const },
      ...(attached ? interfaceCells(row.name, servedBy(agents, row.name)) : []),
      row.attached ? `${row.switchIndex}/${row.portIndex}` : '-',
      row.persistent && row.registrations === 0
        ? { text: 'kept', style: 'faint' as const }
        : known(row.registrations),
      row.info.memId === 0 ? '-' : `${row.info.memId} (${byteCount(row.info.memsize, 1)})`,
      rings(row.info),
      known(row.counters?.rxFrames),
      known(row.counters?.txFrames),
      ...rateCells(rates, rates?.get(row.name), row.counters),
      row.counters ? drops(allDrops(row.counters) + lostAtInterface(agents, row.name)) : '-',
    ]),
    look,
  );
}

/** What the interface of a port lost, the kernel's own drops included. */
function lostAtInterface(agents: readonly AgentRow[], port: string): bigint {
  const own = interfaceCounters(agents, port);
  return own === undefined ? 0n : allDrops(own);
}

/** `ctl list`: the switches, then the ports. */
export function listTables(snapshot: Snapshot, look: Look, rates?: Rates): string[] {
  const { switches, ports } = snapshot;
  const lines = switches.length > 0 ? switchTable(switches, look, rates) : [];
  if (lines.length > 0 && ports.length > 0) lines.push('');
  return ports.length > 0 ? [...lines, ...portTable(snapshot, look, rates)] : lines;
}

function rateEntries(rate: Rate): [name: string, value: string][] {
  return [
    ['tx', packetRate(rate.txFrames)],
    ['tx rate', bitRate(rate.txBits)],
    ['rx', packetRate(rate.rxFrames)],
    ['rx rate', bitRate(rate.rxBits)],
    ['dropped', packetRate(rate.drops)],
  ];
}

/** `ctl stats`: a row a counter, a column a port, as many columns beside each other as fit. */
export function statsTables(snapshot: Snapshot, look: Look, rates?: Rates): string[] {
  const named = countersByName(snapshot);
  const cells = (name: string, counters: PortCounters, rate?: Rate) => {
    const entries: [string, Cell][] = counterEntries(counters).map(([key, value]) => [
      key.replaceAll('_', ' '),
      key.startsWith('drop_') ? drops(value) : count(value),
    ]);
    return { name, entries: [...(rate ? rateEntries(rate) : []), ...entries] };
  };
  const columns = named.flatMap(([name, counters]) => {
    const rate = rates?.get(name);
    const own = interfaceCounters(snapshot.agents, name);
    const blank = rate && { rxFrames: 0, rxBits: 0, txFrames: 0, txBits: 0, drops: 0 };
    return [
      cells(name, counters, rate),
      ...(own
        ? [cells(`${name} (interface)`, own, rates?.get(`${name} (interface)`) ?? blank)]
        : []),
    ];
  });
  const width = ({ name, entries }: (typeof columns)[number]): number =>
    entries.reduce(
      (most, [, cell]) => Math.max(most, (typeof cell === 'string' ? cell : cell.text).length),
      name.length,
    ) + 2;
  const labels = columns[0]?.entries.map(([key]) => key) ?? [];
  const room = look.width - Math.max(0, ...labels.map((label) => label.length));
  const lines: string[] = [];
  for (let first = 0; first < columns.length;) {
    let last = first;
    let used = 0;
    do used += width(columns[last++]!);
    while (last < columns.length && used + width(columns[last]!) <= room);
    const group = columns.slice(first, last);
    if (first > 0) lines.push('');
    lines.push(
      ...tableLines(
        [{ title: '' }, ...group.map(({ name }) => right(name))],
        labels.map((label, i) => [label, ...group.map(({ entries }) => entries[i]?.[1] ?? '')]),
        look,
      ),
    );
    first = last;
  }
  return lines;
}

/** `ctl info`: more than the reference tells. */
export function infoTable(info: PortInfo): [name: string, value: string][] {
  return [
    ['name', info.name],
    ['device', info.device],
    ['memory', `${info.memId} (${byteCount(info.memsize)})`],
    [
      'buffers',
      `${info.bufSize === 0 ? 'unknown size' : `${count(info.bufSize)} B each`}, ${count(info.extraBufs)} extra`,
    ],
    ['tx rings', `${info.txRings} of ${info.txSlots} slots`],
    ['rx rings', `${info.rxRings} of ${info.rxSlots} slots`],
    ['host rings', `${info.hostTxRings} tx, ${info.hostRxRings} rx`],
    ['frames', `up to ${count(info.mtu)} B`],
    ['MAC', /[1-9a-f]/.test(info.mac) ? info.mac : 'none'],
  ];
}

export function fdbTable(
  tables: readonly { switch: string; rows: FdbRow[] }[],
  look: Look,
): string[] {
  return tableLines(
    [{ title: 'SWITCH' }, { title: 'MAC' }, { title: 'PORT' }, right('INDEX', 1), right('AGE')],
    tables.flatMap(({ switch: sw, rows }) =>
      rows.map((row) => [
        sw,
        row.mac,
        { text: row.port, style: 'strong' as const },
        String(row.portIndex),
        row.isStatic ? 'static' : `${row.age} s`,
      ]),
    ),
    look,
  );
}
