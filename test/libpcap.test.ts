// SPDX-License-Identifier: BSD-2-Clause
// Programs that were written for libpcap, as Debian has them, on switches of ours.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect } from 'vitest';

import { Runtime } from '../src/index.js';
import { packageRoot } from '../src/native.js';
import { ALL, frame, mac, received } from './support/frames.js';
import { needs } from './support/need.js';

const LONG = 60_000;
const bin = join(packageRoot(), 'bin/vale.js');

let scratch: string;
let env: NodeJS.ProcessEnv;
let runtime: Runtime;
let running: ChildProcess[];

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vale-pcap-'));
  chmodSync(scratch, 0o777); // tcpdump writes as a user of its own
  env = { ...process.env, VALE_DIR: mkdtempSync(join(process.env['VALE_DIR']!, 'pcap-')) };
  runtime = new Runtime(join(env['VALE_DIR']!, 'r'));
  env['VALE_DIR'] = runtime.directory;
  runtime.create('sender0');
  runtime.attach('vale0:sender0');
  running = [];
});

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  runtime.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Starts a program with the library; resolves once it has said so. */
async function start(says: RegExp, ...words: string[]) {
  const child = spawn(process.execPath, [bin, 'run', ...words], { env, cwd: scratch });
  running.push(child);
  let output = '';
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }));
  });
  await new Promise<void>((resolve, reject) => {
    const look = (data: Buffer) => {
      output += data.toString();
      if (says.test(output)) resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('close', () => reject(new Error(output)));
  });
  return { child, ended, said: () => output };
}

const run = (...words: string[]) =>
  spawnSync(process.execPath, [bin, 'run', ...words], { env, cwd: scratch, encoding: 'utf8' });

/** A capture file, microseconds, little-endian, Ethernet. */
function pcap(frames: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  const records = frames.map((bytes, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(1000 + i, 0);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([head, ...records]);
}

/** Its frames, as hexadecimal. */
function framesOf(file: string): string[] {
  const bytes = readFileSync(join(scratch, file));
  const out: string[] = [];
  for (let at = 24; at + 16 <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 8);
    out.push(bytes.subarray(at + 16, at + 16 + length).toString('hex'));
    at += 16 + length;
  }
  return out;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const sizes = [60, 61, 64, 128, 512, 1000, 1513, 1514];
const frames = Array.from({ length: 40 }, (_, i) => frame(ALL, mac(1), i, sizes[i % sizes.length]));

describe('tcpreplay to tcpdump', () => {
  needs('tcpdump', 'tcpreplay').test(
    'what one sends from a file the other writes into one, frame by frame',
    async () => {
      writeFileSync(join(scratch, 'in.pcap'), pcap(frames));
      const count = String(frames.length);
      const dump = await start(
        /listening on/,
        ...['tcpdump', '-i', 'vale0:watch', '-n', '-c', count, '-w', 'out.pcap'],
      );
      const replay = run('tcpreplay', '-t', '-i', 'sender0', 'in.pcap');
      expect(replay.stdout).toContain('40 packets');
      const { code, output } = await dump.ended;
      expect(output).toMatch(/40 packets captured[^]*0 packets dropped/);
      expect(code).toBe(0);
      expect(framesOf('out.pcap')).toEqual(frames.map((bytes) => hex(bytes)));
    },
    LONG,
  );

  needs('tcpdump', 'tcpreplay').test(
    'with a filter, a snapshot length and nanoseconds',
    async () => {
      const other = frame(ALL, mac(2), 99);
      writeFileSync(join(scratch, 'in.pcap'), pcap([...frames.slice(0, 3), other]));
      const dump = await start(
        /listening on/,
        ...['tcpdump', '-i', 'netmap:vale0:watch', '--nano', '-s', '20', '-c', '1'],
        ...['-w', 'out.pcap', 'ether', 'src', mac(2)],
      );
      run('tcpreplay', '-t', '-i', 'sender0', 'in.pcap');
      await dump.ended;
      expect(framesOf('out.pcap')).toEqual([hex(other.subarray(0, 20))]);
      expect(readFileSync(join(scratch, 'out.pcap')).readUInt32LE(0)).toBe(0xa1b23c4d);
    },
    LONG,
  );

  needs('tcpdump').test('lists ports among the interfaces, and what can be watched', async () => {
    await using port = await runtime.openPort('vale0:live');
    const { stdout } = run('tcpdump', '-D');
    expect(stdout).toMatch(/^\d+\.sender0 \(persistent port vale0:sender0\)/m);
    expect(stdout).toMatch(/^\d+\.vale0:sender0 \(port of a switch/m);
    expect(stdout).toMatch(/^\d+\.vale0:live \(port of a switch/m);
    expect(stdout).toMatch(/^\d+\.vale0:live\/rt \(what vale0:live sends and receives\)/m);
    expect(stdout).not.toContain('sender0/rt'); // nobody has it open
    expect(port.info.name).toBe('vale0:live');
  });

  needs('tcpdump', 'tcpreplay').test(
    'one of the interfaces that are listed, by its number, watches without disturbing',
    async () => {
      await using port = await runtime.openPort('vale0:live');
      writeFileSync(join(scratch, 'in.pcap'), pcap(frames.slice(0, 4)));
      // The number is asked for anew each time: those of ports follow those of the machine's interfaces.
      const number = /^(\d+)\.vale0:live\/rt/m.exec(run('tcpdump', '-D').stdout)![1]!;
      const dump = await start(
        /listening on vale0:live\/rt/,
        ...['tcpdump', '-i', number, '-n', '-c', '4', '-w', 'out.pcap'],
      );
      run('tcpreplay', '-t', '-i', 'sender0', 'in.pcap');
      expect((await dump.ended).code).toBe(0);
      expect(framesOf('out.pcap')).toEqual(frames.slice(0, 4).map((bytes) => hex(bytes)));
      expect(received(port)).toHaveLength(4);
    },
    LONG,
  );

  needs('tcpdump', 'setpriv').test(
    'an interface that its user may not capture on is refused',
    () => {
      const words = ['-A', '-n', '-i', 'lo', '-c', '1'];
      const dropped = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'tcpdump'];
      const mine = process.getuid!() === 0 ? dropped : ['tcpdump'];
      const { status, stderr } = run(...mine, ...words);
      expect(stderr).toMatch(/You don't have permission to perform this capture/);
      expect(status).toBe(1);
    },
  );

  needs('tcpdump').test('says in one line why a port cannot be opened', () => {
    const { status, stderr } = run('tcpdump', '-i', 'vale0:a/q', '-c', '1');
    expect(stderr).toMatch(/expected letters of r t z x R T after \/ but found q/);
    expect(status).toBe(1);
  });
});

needs('tshark', 'tcpreplay').test(
  'tshark captures, through dumpcap',
  async () => {
    writeFileSync(join(scratch, 'in.pcap'), pcap(frames.slice(0, 5)));
    const shark = await start(
      /Capture started|Capturing on/,
      ...['tshark', '-n', '-i', 'vale0:shark', '-c', '5', '-F', 'pcap', '-w', 'out.pcap'],
    );
    const deadline = Date.now() + 20_000;
    while (!runtime.list().some(({ name }) => name === 'vale0:shark') && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    run('tcpreplay', '-t', '-i', 'sender0', 'in.pcap');
    await shark.ended;
    expect(framesOf('out.pcap')).toEqual(frames.slice(0, 5).map((bytes) => hex(bytes)));
  },
  LONG,
);

needs('python3', 'tcpdump').test(
  'a packet socket asks for promiscuity and sends, as scapy does',
  async () => {
    const dump = await start(
      /listening on/,
      ...['tcpdump', '-i', 'vale0:watch', '-n', '-c', '1', '-w', 'out.pcap'],
    );
    const script = [
      'import socket, struct, sys',
      's = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))',
      'index = socket.if_nametoindex("sender0")',
      's.setsockopt(263, 1, struct.pack("iHH8s", index, 1, 0, b""))',
      's.bind(("sender0", 3))',
      'name, protocol, _, hardware, address = s.getsockname()',
      'print(name, protocol, hardware, len(address))',
      's.send(bytes.fromhex(sys.argv[1]))',
    ].join('\n');
    const sent = run('python3', '-c', script, hex(frames[3]!));
    expect(sent.stderr).toBe('');
    expect(sent.stdout).toBe('sender0 3 1 6\n');
    await dump.ended;
    expect(framesOf('out.pcap')).toEqual([hex(frames[3]!)]);
  },
  LONG,
);

needs('python3', 'tcpdump').test(
  'a script that opens libpcap by ctypes sends, as scapy does with conf.use_pcap',
  async () => {
    const dump = await start(
      /listening on/,
      ...['tcpdump', '-i', 'vale0:watch', '-n', '-c', '1', '-w', 'out.pcap'],
    );
    const script = [
      'import ctypes, sys',
      'pcap = ctypes.CDLL("libpcap.so.0.8")',
      'pcap.pcap_open_live.restype = ctypes.c_void_p',
      'why = ctypes.create_string_buffer(256)',
      'handle = pcap.pcap_open_live(b"vale0:script", 65535, 1, 100, why)',
      'frame = bytes.fromhex(sys.argv[1])',
      'sys.exit(pcap.pcap_sendpacket(ctypes.c_void_p(handle), frame, len(frame)))',
    ].join('\n');
    const sent = run('python3', '-c', script, hex(frames[3]!));
    expect({ stderr: sent.stderr, status: sent.status }).toEqual({ stderr: '', status: 0 });
    await dump.ended;
    expect(framesOf('out.pcap')).toEqual([hex(frames[3]!)]);
  },
  LONG,
);

needs('tcpdump').test('signals are not for the thread that reads', () => {
  const { stdout, status } = run(
    join(packageRoot(), 'build/native/preload-test/signals'),
    'vale0:t',
  );
  expect({ stdout, status }).toEqual({ stdout: 'signals 300, in the reader 0\n', status: 0 });
});

needs('arping', 'tcpdump').test(
  'arping asks',
  async () => {
    const dump = await start(
      /listening on/,
      ...['tcpdump', '-i', 'vale0:watch', '-n', '-c', '2', 'arp'],
    );
    run('arping', '-c', '2', '-w', '1', '-i', 'sender0', '-S', '10.0.0.9', '10.0.0.1');
    const { output } = await dump.ended;
    expect(output.match(/Request who-has 10\.0\.0\.1 tell 10\.0\.0\.9/g)).toHaveLength(2);
  },
  LONG,
);
