// SPDX-License-Identifier: BSD-2-Clause
// What may happen to a switch, at random, to the model and to the real one alike.
import fc from 'fast-check';
import { expect } from 'vitest';

import type { NativeRuntime, OpenRequest } from '../../src/native-types.js';
import type { ChildDriver, LocalDriver } from './driver.js';
import { type Model, Port, type Frame, type Registration } from './model.js';

export interface Real {
  runtime: NativeRuntime;
  here: LocalDriver;
  /** Started when first used, and again after being killed. */
  children: Map<number, ChildDriver>;
  start: () => ChildDriver;
}

export type Command = fc.AsyncCommand<Model, Real>;

const ONE_RING = 4;
const ACCEPT_HEADER = 0x8000;
const SWITCHES = ['vale0', 'vale1'];
const MACS = [1, 2, 3, 4].map((n) => `02:00:00:00:00:0${n}`);
const GROUPS = ['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01'];

const driverOf = ({ here, children, start }: Real, process: number) => {
  if (process === 0) return here;
  if (!children.has(process)) children.set(process, start());
  return children.get(process)!;
};

/** Everything that can be asked of a runtime, equal on both sides. */
function agree({ ports, switches }: Model, { runtime }: Real): void {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  const real = runtime.list().map((row) => ({
    name: row.name,
    index: row.attached ? row.portIndex : -1,
    persistent: row.persistent,
    registrations: row.registrations,
    header: row.headerLength,
    counters: row.counters,
  }));
  const expected = [...ports].map((port) => ({
    name: port.fullName,
    index: port.switch ? port.index : -1,
    persistent: port.persistent,
    registrations: port.registrations.size,
    header: port.header,
    counters: port.counters,
  }));
  expect(real.sort(byName)).toEqual(expected.sort(byName));

  const rows = runtime.switches().map((row) => ({
    name: row.name,
    ports: row.ports,
    totals: row.totals,
    addresses: runtime
      .fdbShow(row.name)
      .map(({ mac, port, isStatic }) => `${mac} ${port} ${isStatic}`)
      .sort(),
  }));
  const wanted = [...switches.values()].map((sw) => ({
    name: sw.name,
    ports: sw.ports.size,
    totals: sw.totals,
    addresses: [...sw.addresses]
      .map(([mac, { port, fixed }]) => `${mac} ${port.fullName} ${fixed}`)
      .sort(),
  }));
  expect(rows.sort(byName)).toEqual(wanted.sort(byName));
}

/** A command that says what it did, for the report of a failure. */
class Step implements Command {
  private label: string;

  constructor(
    label: string,
    readonly check: (model: Model) => boolean,
    private readonly body: (model: Model, real: Real) => Promise<string | void>,
  ) {
    this.label = label;
  }

  async run(model: Model, real: Real): Promise<void> {
    this.label = (await this.body(model, real)) ?? this.label;
    agree(model, real);
  }

  toString(): string {
    return this.label;
  }
}

const anyOf = <T>(rows: T[], pick: number): T => rows[pick % rows.length]!;
const live = (model: Model): [number, Registration][] =>
  [...model.registrations.entries()].filter((row): row is [number, Registration] => !!row[1]);
const persistent = (model: Model) => [...model.ports].filter((port) => port.persistent);
const attached = (model: Model) => [...model.ports].filter((port) => port.switch);
const detached = (model: Model) => persistent(model).filter((port) => !port.switch);
const named = (model: Model, name: string) =>
  [...model.ports].find((port) => port.fullName === name);

const pick = fc.nat({ max: 1000 });
const ringCount = fc.constantFrom(1, 1, 1, 2, 3);
const shape = fc.record({
  txRings: ringCount,
  rxRings: ringCount,
  slots: fc.constantFrom(4, 5, 16, 64),
  bufSize: fc.constantFrom(64, 256, 2112),
});
type Shape = { txRings: number; rxRings: number; slots: number; bufSize: number };

const request = (name: string, { slots, ...shape }: Shape): OpenRequest => ({
  name,
  ...shape,
  txSlots: slots,
  rxSlots: slots,
  flags: ACCEPT_HEADER,
});
const portOf = (name: string, isPersistent: boolean, s: Shape) =>
  new Port(name, isPersistent, s.txRings, s.rxRings, s.slots, s.bufSize);

/** Opens a switch's port, new or there already, all rings or one, in one of `processes` processes. */
const open = (processes: number) =>
  fc
    .record({
      sw: fc.constantFrom(...SWITCHES),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      shape,
      /** Above 2: all of them. */
      ring: fc.nat({ max: 8 }),
      process: fc.nat({ max: processes - 1 }),
      old: fc.boolean(),
      pick,
    })
    .map(
      ({ sw, name, shape, ring, process, old, pick }) =>
        new Step(
          `open ${sw}:${name}`,
          () => true,
          async (model, real) => {
            const known = old ? anyOf([...model.ports], pick) : named(model, `${sw}:${name}`);
            const port = known ?? portOf(name, false, shape);
            const { txRings } = port;
            const rxRings = port.rx.length;
            const one = ring < Math.max(txRings, rxRings);
            const range = (rings: number) => {
              if (!one) return { first: 0, last: rings };
              return ring < rings ? { first: ring, last: ring + 1 } : { first: 0, last: 1 };
            };
            if (known === undefined) model.attach(port, sw);
            const id = model.open(port, range(txRings), range(rxRings), process);
            const { fullName } = port;
            await driverOf(real, process).open(id, {
              ...request(fullName, shape),
              ...(one ? { mode: ONE_RING, ringId: ring } : {}),
            });
            return `${id} = open ${fullName}${one ? `-${ring}` : ''} in ${process} ${JSON.stringify(shape)}`;
          },
        ),
    );

const close = pick.map(
  (pick) =>
    new Step(
      'close',
      (model) => live(model).length > 0,
      async (model, real) => {
        const [id, { process }] = anyOf(live(model), pick);
        model.close(id);
        await driverOf(real, process).close(id);
        return `close ${id}`;
      },
    ),
);

const mac = fc.constantFrom(...MACS);
/** What a virtio-net header says; anything but what makes a random frame a super-frame. */
const vnet = fc.record({
  flags: fc.constantFrom(0, 0, 0, 1, 1, 2, 7, 8),
  type: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2, 0x23),
  start: fc.oneof(fc.nat({ max: 320 }), fc.nat({ max: 0xffff })),
  offset: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 0xffff })),
});
type Vnet = typeof vnet extends fc.Arbitrary<infer T> ? T : never;

const wish = fc.record({
  to: fc.oneof({ arbitrary: mac, weight: 3 }, fc.constantFrom(...GROUPS)),
  from: fc.oneof({ arbitrary: mac, weight: 9 }, fc.constantFrom(...GROUPS)),
  length: fc.oneof(
    { arbitrary: fc.integer({ min: 14, max: 300 }), weight: 8 },
    fc.constantFrom(5, 13, 1514, 9000),
  ),
  /** A slot's bytes; the first may be too few for an address. */
  cut: fc.constantFrom(65536, 65536, 65536, 100, 26, 9),
  noLearn: fc.boolean(),
  hint: fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3, 253, 254),
  badSlot: fc.constantFrom(...Array<boolean>(19).fill(false), true),
  vnet,
});

let serial = 0;

/** The bytes of a frame that no other one has. */
function fill(length: number, header: number, to: string, from: string, says: Vnet): Uint8Array {
  serial += 1;
  const bytes = Buffer.alloc(header + length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = (serial * 31 + i * 7) & 0xff;
  if (header > 0) {
    bytes[0] = says.flags;
    bytes[1] = says.type;
    bytes.writeUInt16LE(says.start, 6);
    bytes.writeUInt16LE(says.offset, 8);
  }
  Buffer.from((to + from).replaceAll(':', '').replace(/(.{24}).*/, '$1'), 'hex').copy(
    bytes,
    header,
  );
  if (length >= 18) bytes.writeUInt32BE(serial, header + 14);
  return new Uint8Array(bytes);
}

function build(
  port: Port,
  {
    to,
    from,
    length,
    cut,
    badSlot,
    vnet,
    ...flags
  }: typeof wish extends fc.Arbitrary<infer T> ? T : never,
): Frame {
  const bytes = badSlot ? new Uint8Array(0) : fill(length, port.header, to, from, vnet);
  const parts: number[] = [];
  const most = Math.min(cut, port.bufSize);
  for (let at = 0; at === 0 || at < bytes.length; at += most)
    parts.push(Math.min(most, bytes.length - at));
  return { to, from, bytes, parts, badSlot, ...flags };
}

const send = fc
  .record({
    pick,
    ring: pick,
    wishes: fc.array(wish, { minLength: 1, maxLength: 40, size: 'max' }),
  })
  .map(
    ({ pick, ring, wishes }) =>
      new Step(
        'send',
        (model) => live(model).length > 0,
        async (model, real) => {
          const [id, { port, tx, process }] = anyOf(live(model), pick);
          const number = tx.first + (ring % (tx.last - tx.first));
          const frames: Frame[] = [];
          let slots = port.slots - 1;
          for (const wish of wishes) {
            const frame = build(port, wish);
            if (frame.parts.length > slots) continue;
            slots -= frame.parts.length;
            frames.push(frame);
          }
          model.send(port, number, frames);
          await driverOf(real, process).send(id, number, frames);
          return `send ${id} ring ${number} ${frames.map((f) => `${f.from}>${f.to} ${f.parts} hint ${f.hint} ${f.noLearn} ${f.badSlot}`).join('; ')}`;
        },
      ),
  );

const receive = fc.record({ pick, ring: pick, most: fc.constantFrom(1, 3, 1000) }).map(
  ({ pick, ring, most }) =>
    new Step(
      'receive',
      (model) => live(model).length > 0,
      async (model, real) => {
        const [id, { port, rx, process }] = anyOf(live(model), pick);
        const number = rx.first + (ring % (rx.last - rx.first));
        const wanted = model.receive(port, number, most);
        expect(await driverOf(real, process).receive(id, number, most)).toEqual(wanted);
        return `receive ${id} ring ${number}: ${wanted.length}`;
      },
    ),
);

const create = fc.record({ name: fc.constantFrom('p', 'q'), shape }).map(
  ({ name, shape }) =>
    new Step(
      `create ${name}`,
      (model) => !persistent(model).some((port) => port.name === name),
      async (model, { runtime }) => {
        model.ports.add(portOf(name, true, shape));
        runtime.create(request(name, shape));
      },
    ),
);

const remove = pick.map(
  (pick) =>
    new Step(
      'remove',
      (model) => detached(model).some((port) => port.registrations.size === 0),
      async (model, { runtime }) => {
        const port = anyOf(
          detached(model).filter((port) => port.registrations.size === 0),
          pick,
        );
        model.ports.delete(port);
        runtime.remove(port.name);
        return `remove ${port.name}`;
      },
    ),
);

const attach = fc.record({ pick, sw: fc.constantFrom(...SWITCHES) }).map(
  ({ pick, sw }) =>
    new Step(
      'attach',
      (model) => detached(model).length > 0,
      async (model, { runtime }) => {
        const port = anyOf(detached(model), pick);
        model.attach(port, sw);
        const { portIndex } = runtime.attach({ name: `${sw}:${port.name}` }, {});
        expect(portIndex).toBe(port.index);
        return `attach ${sw}:${port.name}`;
      },
    ),
);

const detach = pick.map(
  (pick) =>
    new Step(
      'detach',
      (model) => persistent(model).some((port) => port.switch),
      async (model, { runtime }) => {
        const port = anyOf(
          persistent(model).filter((port) => port.switch),
          pick,
        );
        const { fullName } = port;
        model.detach(port);
        runtime.detach(fullName);
        return `detach ${fullName}`;
      },
    ),
);

const bind = fc.record({ pick, mac }).map(
  ({ pick, mac }) =>
    new Step(
      'bind',
      (model) => attached(model).length > 0,
      async (model, { runtime }) => {
        const port = anyOf(attached(model), pick);
        port.switch!.addresses.set(mac, { port, fixed: true });
        runtime.fdbAdd(port.fullName, mac);
        return `bind ${mac} to ${port.fullName}`;
      },
    ),
);

const forget = fc.record({ pick, mac: fc.option(mac) }).map(
  ({ pick, mac }) =>
    new Step(
      'forget',
      (model) => model.switches.size > 0,
      async (model, { runtime }) => {
        const sw = anyOf([...model.switches.values()], pick);
        if (mac === null) {
          const learned = [...sw.addresses].filter(([, { fixed }]) => !fixed);
          for (const [address] of learned) sw.addresses.delete(address);
          expect(runtime.fdbFlush(sw.name)).toBe(learned.length);
        } else if (sw.addresses.delete(mac)) {
          runtime.fdbRemove(sw.name, mac);
        } else {
          expect(() => runtime.fdbRemove(sw.name, mac)).toThrow(/is not known on/);
        }
        return `forget ${mac ?? 'what was learned'} on ${sw.name}`;
      },
    ),
);

const header = fc.record({ pick, length: fc.constantFrom(0, 10, 12) }).map(
  ({ pick, length }) =>
    new Step(
      'header',
      (model) => model.ports.size > 0,
      async (model, { runtime }) => {
        const port = anyOf([...model.ports], pick);
        port.header = length;
        runtime.setHeaderLength(port.fullName, length);
        return `header of ${port.fullName} ${length}`;
      },
    ),
);

const kill = pick.map(
  (pick) =>
    new Step(
      'kill',
      (model) => live(model).some(([, { process }]) => process !== 0),
      async (model, { children }) => {
        const { process } = anyOf(
          live(model).filter(([, { process }]) => process !== 0),
          pick,
        )[1];
        model.kill(process);
        await children.get(process)!.kill();
        children.delete(process);
        return `kill ${process}`;
      },
    ),
);

/** Sequences of them; with more than one process, some of these are killed. */
export function commands(processes: number, most: number): fc.Arbitrary<Iterable<Command>> {
  const often = [open(processes), send, send, send, receive, receive];
  const seldom = [close, create, remove, attach, attach, detach, bind, forget, header];
  const all = [...often, ...often, ...often, ...seldom, ...(processes > 1 ? [kill, kill] : [])];
  return fc.commands(all, { maxCommands: most, size: 'max' });
}
