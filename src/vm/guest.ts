// SPDX-License-Identifier: BSD-2-Clause
// A virtual machine of the image: QEMU as a child of this process, and commands run inside.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import self from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

import { ValeError } from '../errors.js';
import type { Image } from './image.js';
import { ENDED, READY } from './init.js';

export type Accelerator = 'kvm' | 'tcg';

export interface GuestOptions {
  image: Image;
  accelerator: Accelerator;
  /** Arguments for its network: a -netdev, and a -device for it. */
  network: string[];
  /** "10.0.0.1/24"; absent: none. */
  address?: string;
  /** Folder that its own is made in; absent: that of temporary files. */
  base?: string;
  /** In a session of its own: a terminal's ^C is for this process alone, which ends it. */
  apart?: boolean;
  /** MiB. */
  memory?: number;
  cpus?: number;
  /** The same machine from elsewhere is waited for at this unix socket, and goes on here. */
  incoming?: string;
}

export interface Answer {
  code: number;
  output: string;
}

const QEMU = 'qemu-system-x86_64';
/** Longest boot, ms; emulation on a busy machine is slow. */
const BOOT_LIMIT = 90_000;
/** Longest path of a unix socket, bytes. */
const LONGEST_PATH = 107;
/** How long QEMU may take to end once it has closed what we talk to its machine through, ms. */
const LAST_WORDS = 2000;

/** Arguments for a vhost-user port; `device`: more of its virtio-net-pci, "packed=on"; `pairs`: of queues. */
export function vhostUser(
  socket: string,
  accelerator: Accelerator,
  device = '',
  mac = nextMac(),
  pairs = 1,
): string[] {
  // QEMU's emulation delivers no message-signalled interrupts of a vhost-user device.
  const vectors = accelerator === 'tcg' ? ',vectors=0' : '';
  const more = `${vectors}${pairs > 1 ? ',mq=on' : ''}${device && `,${device}`}`;
  return [
    ...['-chardev', `socket,id=c0,path=${socket},reconnect=1`],
    ...['-netdev', `vhost-user,chardev=c0,id=n0,queues=${pairs}`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${mac}${more}`],
  ];
}

/** Arguments for a port of --stream. */
export function stream(socket: string): string[] {
  return [
    ...['-netdev', `stream,id=n0,server=off,addr.type=unix,addr.path=${socket}`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${nextMac()}`],
  ];
}

/** Arguments for a port of --dgram; `own`: the path of this machine's socket. */
export function dgram(socket: string, own: string): string[] {
  const address = (end: string, path: string) => `${end}.type=unix,${end}.path=${path}`;
  return [
    ...['-netdev', `dgram,id=n0,${address('local', own)},${address('remote', socket)}`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${nextMac()}`],
  ];
}

let macs = 0;
/** Locally administered, another one for each guest of this process. */
export function nextMac(): string {
  const low = [process.pid >> 8, process.pid, ++macs].map((n) => (n & 0xff).toString(16));
  return `52:56:4c:${low.map((hex) => hex.padStart(2, '0')).join(':')}`;
}

/** Whether the kernel runs guests here: a tiny one is tried, as the device alone does not tell. */
export function accelerator(): Accelerator {
  const tried = spawnSync(
    QEMU,
    '-accel kvm -nodefaults -display none -S -monitor stdio -m 16 -cpu host'.split(' '),
    { input: 'quit\n', timeout: 5000 },
  );
  return tried.status === 0 && String(tried.stderr) === '' ? 'kvm' : 'tcg';
}

export class Guest {
  private constructor(
    readonly process: ChildProcess,
    private readonly folder: string,
    private readonly server: Server,
    private readonly socket: Socket,
  ) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.heard += text;
      this.listener?.();
    });
    socket.on('close', () => {
      this.gone = true;
      this.listener?.();
    });
    socket.on('error', () => undefined);
  }

  private heard = '';
  private gone = false;
  private listener: (() => void) | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  /** Boots one; resolves when it takes commands. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const { image, base = tmpdir(), memory = 192, cpus = 1, address, network, incoming } = options;
    if (Buffer.byteLength(join(base, 'vale-guest-XXXXXX', 'control')) > LONGEST_PATH)
      throw new ValeError(
        `${base}: too long a path for the sockets of a virtual machine: set TMPDIR to a shorter one, as /tmp`,
      );
    const folder = mkdtempSync(join(base, 'vale-guest-'));
    const control = join(folder, 'control');
    const server = createServer();
    const met = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await new Promise<void>((resolve) => server.listen(control, resolve));
    const words = ['console=ttyS0', 'quiet', 'panic=-1', 'mitigations=off'];
    if (address !== undefined) words.push(`vale.ip=${address}`);
    const process = spawn(
      QEMU,
      [
        ...['-accel', options.accelerator, '-smp', String(cpus), '-m', `${memory}M`],
        ...['-object', `memory-backend-memfd,id=m0,size=${memory}M,share=on`],
        ...['-machine', 'q35,memory-backend=m0', '-nodefaults', '-display', 'none', '-no-reboot'],
        ...['-kernel', image.kernel, '-initrd', image.initramfs, '-append', words.join(' ')],
        ...['-serial', 'null', '-chardev', `socket,id=control,path=${control}`],
        ...['-serial', 'chardev:control', ...network],
        ...['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
        ...(incoming === undefined ? [] : ['-incoming', `unix:${incoming}`]),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], detached: options.apart ?? false },
    );
    // However this process ends, its guests end with it.
    const leave = (): void => {
      process.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    };
    self.once('exit', leave);
    process.once('exit', () => self.off('exit', leave));
    let complaint = '';
    process.stderr?.on('data', (data: Buffer) => (complaint += data.toString()));
    const ended = new Promise<never>((_, reject) => {
      process.once('error', (error) =>
        reject(new ValeError(`cannot run ${QEMU}: ${error.message}; install qemu-system-x86`)),
      );
      process.once('close', () => {
        const said = complaint.trim().split('\n').at(-1) || 'it said nothing';
        reject(
          new ValeError(
            `${QEMU} ended before its machine was up: ${said}; a damaged image is built again by: vale demo image --rebuild`,
          ),
        );
      });
    });
    ended.catch(() => undefined);
    try {
      const guest = new Guest(process, folder, server, await Promise.race([met, ended]));
      if (incoming === undefined) {
        await Promise.race([guest.until(`${READY}\n`, BOOT_LIMIT), ended]);
      } else {
        while (!existsSync(incoming)) await Promise.race([sleep(20), ended]);
      }
      guest.heard = '';
      return guest;
    } catch (error) {
      // It has more to say of its end than we who only saw that.
      const why = await Promise.race([ended, sleep(LAST_WORDS, error)]).catch(
        (its: unknown) => its,
      );
      process.kill('SIGKILL');
      server.close();
      rmSync(folder, { recursive: true, force: true });
      throw why;
    }
  }

  /** Runs a line of shell; lines are run one after the other. @throws when it takes longer than `ms` */
  run(line: string, ms = 60_000): Promise<Answer> {
    const answer = this.turn.then(async () => {
      this.socket.write(`${line.replaceAll('\n', ' ')}\n`);
      const text = await this.until(/(^|\n)@vale-ended (\d+)\r?\n/, ms);
      const [end = '', , code = ''] = new RegExp(`(^|\\n)${ENDED} (\\d+)\\r?\\n`).exec(text) ?? [];
      this.heard = '';
      return { code: Number(code), output: text.slice(0, text.length - end.length) };
    });
    this.turn = answer.catch(() => undefined);
    return answer;
  }

  /** Moves it to one that waits for it as `incoming`; resolves when that one runs, and this one no more. */
  async move(incoming: string): Promise<void> {
    const qmp = createConnection(join(this.folder, 'qmp'));
    try {
      let moved = '';
      const completed = new Promise<void>((resolve, reject) => {
        qmp.on('error', reject);
        qmp.setEncoding('utf8').on('data', (text: string) => {
          moved += text;
          if (/"status": "completed"/.test(moved)) resolve();
          else if (/"status": "failed"|"error"/.test(moved))
            reject(new ValeError(`a virtual machine did not move: ${moved.trim()}`));
        });
      });
      const say = (execute: string, also?: object) =>
        qmp.write(`${JSON.stringify({ execute, arguments: also })}\n`);
      say('qmp_capabilities');
      say('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
      say('migrate', { uri: `unix:${incoming}` });
      await completed;
    } finally {
      qmp.destroy();
    }
  }

  /** Ends it at once. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL');
      await ended;
    }
    this.socket.destroy();
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** All that was heard, once it holds that. */
  private until(what: string | RegExp, ms: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        this.listener = undefined;
        act();
      };
      const look = (): void => {
        const found = typeof what === 'string' ? this.heard.includes(what) : what.test(this.heard);
        if (found) end(() => resolve(this.heard));
        else if (this.gone) end(() => reject(new ValeError('the virtual machine ended')));
      };
      const timer = setTimeout(
        () =>
          end(() => reject(new ValeError(`a virtual machine did not answer in ${ms / 1000} s`))),
        ms,
      );
      this.listener = look;
      look();
    });
  }
}
