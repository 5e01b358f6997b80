// SPDX-License-Identifier: BSD-2-Clause
// Two virtual machines on a switch of their own: they ping each other and send TCP both ways while the
// switch's rates are shown.
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { native } from '../native.js';
import { bitRate, packetRate } from '../report/units.js';
import { accelerator, Guest, vhostUser, type Accelerator } from '../vm/guest.js';
import { builtImage, buildImage, type Image } from '../vm/image.js';
import { keep } from '../vm/keeper.js';
import { Control } from './control.js';
import { ratesBetween, type Rate } from './rates.js';
import { pause } from './supervise.js';

export interface Demonstration {
  /** Of TCP each way. */
  seconds: number;
  rebuild: boolean;
  say: (line: string) => void;
}

const SWITCH = 'vale0';
const GUESTS = ['vm1', 'vm2'] as const;
const address = (i: number): string => `10.7.0.${i + 1}`;

/** The image that there is; else, or if `rebuild`, one that is built now. */
export async function theImage(rebuild: boolean, say: (line: string) => void): Promise<Image> {
  return (rebuild ? undefined : builtImage()) ?? (await buildImage(say));
}

/** A short one, as the path of a socket may not be long; its files are memory. */
function base(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

/** A signal ends the process, and what is done at its end takes everything away, so none is waited for here. */
export async function demonstrate({ seconds, rebuild, say }: Demonstration): Promise<void> {
  const image = await theImage(rebuild, say);
  const how = accelerator();
  const folder = mkdtempSync(join(base(), 'vale-demo-vm-'));
  const letGo = keep(folder);
  const binding = native();
  const runtime = binding.openRuntime(folder);
  const control = new Control(binding, runtime, say);
  let guests: Guest[] = [];
  const attached: string[] = [];
  const undo = [
    ...GUESTS.map((name) => () => {
      if (attached.includes(name)) control.detach(`${SWITCH}:${name}`);
    }),
    () => runtime.close(),
    () => rmSync(folder, { recursive: true, force: true }),
    letGo,
  ];
  // A signal may come, or the reader of our output go, and end this process, at any time.
  const leave = (): void => {
    for (const step of undo) {
      try {
        step();
      } catch {
        // Nobody is there to be told.
      }
    }
  };
  process.once('exit', leave);
  try {
    for (const name of GUESTS) {
      control.attach(`${SWITCH}:${name}`, { vhostUser: join(folder, `${name}.sock`) }, {});
      attached.push(name);
    }
    const began = performance.now();
    say(`booting ${GUESTS.join(' and ')} on ${SWITCH} (${told(how)})`);
    guests = await boot(image, how, folder);
    say(`up after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const [first, second] = guests as [Guest, Guest];
    const { output } = await first.run(`ping -c 4 -i 0.3 ${address(1)}`);
    say('');
    say(output);
    await second.run('iperf3 -s -D >/dev/null; sleep 0.5');
    for (const [title, option] of [
      [`TCP from ${GUESTS[0]} to ${GUESTS[1]}`, ''],
      [`TCP from ${GUESTS[1]} to ${GUESTS[0]}`, '-R'],
    ] as const) {
      say('');
      say(title);
      const sent = first.run(
        `iperf3 -c ${address(1)} -t ${seconds} ${option}`,
        (seconds + 30) * 1000,
      );
      await showRates(control, sent, say);
      const received = (await sent).output.split('\n').filter((line) => line.endsWith('receiver'));
      say(received.join('\n'));
    }
  } finally {
    process.off('exit', leave);
    await undoAll([...guests.map((guest) => () => guest.close()), ...undo]);
  }
}

/** Each of them, also after one that fails; then the first failure is told. */
async function undoAll(steps: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

const told = (how: Accelerator): string =>
  how === 'kvm' ? 'KVM' : 'emulated: the kernel does not run guests here, so this is slow';

/** Both, or neither. */
async function boot(image: Image, how: Accelerator, folder: string): Promise<Guest[]> {
  const all = await Promise.allSettled(
    GUESTS.map((name, i) =>
      Guest.boot({
        image,
        accelerator: how,
        base: folder,
        apart: true,
        address: `${address(i)}/24`,
        network: vhostUser(join(folder, `${name}.sock`), how),
      }),
    ),
  );
  const guests = all.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
  const failed = all.find((one) => one.status === 'rejected');
  if (failed === undefined) return guests;
  await Promise.all(guests.map((guest) => guest.close()));
  throw failed.reason;
}

/** A line a second, until it is done. */
async function showRates(
  control: Control,
  done: Promise<unknown>,
  say: (line: string) => void,
): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  done.then(end, end);
  let before = control.look();
  for (;;) {
    await pause(1, ended.signal);
    if (ended.signal.aborted) return;
    const now = control.look();
    const rates = ratesBetween(before, now);
    before = now;
    const cells = GUESTS.map((name) => `${name} ${rateText(rates.get(`${SWITCH}:${name}`))}`);
    say(cells.join('   '));
  }
}

const rateText = (rate: Rate | undefined): string =>
  rate === undefined
    ? '-'
    : `sends ${bitRate(rate.txBits).padStart(14)} ${packetRate(rate.txFrames).padStart(12)}`;
