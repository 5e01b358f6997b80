// SPDX-License-Identifier: BSD-2-Clause
// A virtual machine's kernel and first file system, of Debian's own packages, without root: the kernel for
// clouds, busybox, and iperf3 with its libraries.
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';

import { ValeError } from '../errors.js';
import { homeFolder, makeFolders } from '../folders.js';
import { errorText } from '../errno.js';
import { archive, CHARACTER_DEVICE, DIRECTORY, LINK, PROGRAM, type Entry } from './cpio.js';
import { INIT } from './init.js';
import { keep } from './keeper.js';

export interface Image {
  kernel: string;
  initramfs: string;
}

/** A change of what is made of the packages is another version. */
const VERSION = 1;

const KERNEL = 'linux-image-cloud-amd64';
const PROGRAMS = ['busybox-static', 'iperf3'];
const LIBRARIES = ['libiperf0', 'libsctp1', 'libssl3', 'libc6'];

/** In the order in which they are loaded; what a kernel has built in is not there. */
const MODULES = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'failover',
  'net_failover',
  'virtio_net',
  'pktgen',
];

/** Where the image is kept: $XDG_CACHE_HOME/vale/image-N; one that is no absolute path is as none, by XDG's rule. */
function imageFolder(): string {
  const set = process.env['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(set) ? set : join(homeFolder(), '.cache'), 'vale', `image-${VERSION}`);
}

/** The one that was built, if it was. */
export function builtImage(folder = imageFolder()): Image | undefined {
  const image = { kernel: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs.cpio') };
  return existsSync(image.kernel) && existsSync(image.initramfs) ? image : undefined;
}

/**
 * Builds it anew. Takes the network, apt-get and dpkg. Nothing half made is left, also when the process ends
 * meanwhile.
 * @param say takes a line of what is done
 * @throws ValeError one line, what to do
 */
export async function buildImage(
  say: (line: string) => void,
  folder = imageFolder(),
): Promise<Image> {
  if (process.arch !== 'x64')
    throw new ValeError(`the image is of amd64 packages; this machine is ${process.arch}`);
  orElse('XDG_CACHE_HOME', folder, () => {
    makeFolders(folder);
    accessSync(folder, constants.W_OK);
  });
  const work = orElse('TMPDIR', tmpdir(), () => mkdtempSync(join(tmpdir(), 'vale-image-')));
  const release = keep(work);
  const leave = (): void => {
    rmSync(work, { recursive: true, force: true });
    release();
  };
  process.once('exit', leave);
  try {
    say(`downloading ${KERNEL}, ${[...PROGRAMS, ...LIBRARIES].join(', ')}`);
    const kernel = await dependency(KERNEL);
    const packages = await download([kernel, ...PROGRAMS, ...LIBRARIES], work);
    const root = join(work, 'root');
    for (const one of packages) await run('dpkg-deb', ['--extract', one, root], work);
    const boot = readdirSync(join(root, 'boot')).find((name) => name.startsWith('vmlinuz-'));
    if (boot === undefined) throw new ValeError(`${kernel} holds no kernel`);
    say('putting the first file system together');
    const image = { kernel: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs.cpio') };
    const made = archive(fileSystem(root));
    // Complete or not at all, whatever happens meanwhile.
    orElse('XDG_CACHE_HOME', folder, () => {
      replace(image.initramfs, made);
      replace(image.kernel, readFileSync(join(root, 'boot', boot)));
    });
    return image;
  } finally {
    process.off('exit', leave);
    leave();
  }
}

/** The system's refusal of what is done in a folder, as one line: the variable that chooses another. */
function orElse<T>(variable: string, folder: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new ValeError(
      `cannot build the image in ${folder}: ${errorText(code) ?? code}; set ${variable} to a folder of yours`,
    );
  }
}

function replace(path: string, data: Buffer): void {
  try {
    writeFileSync(`${path}.new`, data);
    chmodSync(`${path}.new`, 0o644);
    renameSync(`${path}.new`, path);
  } finally {
    rmSync(`${path}.new`, { force: true });
  }
}

/** What it prints. It has a process group of its own: a terminal's ^C ends this process, which ends that group. */
async function run(command: string, args: readonly string[], folder: string): Promise<string> {
  const child = spawn(command, args, {
    cwd: folder,
    detached: true,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const leave = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  };
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  process.once('exit', leave);
  child.once('exit', () => process.off('exit', leave));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', (error) => {
      process.off('exit', leave);
      reject(
        new ValeError(
          `the image is made of Debian's packages and takes ${command}, which is not here: ${error.message}`,
        ),
      );
    });
  });
  if (status === 0) return stdout;
  const why = stderr.trim().split('\n').at(-1) ?? '';
  throw new ValeError(
    `${command} ${args.join(' ')} failed: ${why}; first run: sudo apt-get update`,
  );
}

/** The package that a metapackage stands for. */
async function dependency(name: string): Promise<string> {
  const said = await run('apt-cache', ['depends', '--important', name], '/');
  const found = /^ *Depends: (linux-image-\S+)/m.exec(said)?.[1];
  if (found === undefined)
    throw new ValeError(`apt-cache does not know ${name}; first run: sudo apt-get update`);
  return found;
}

async function download(names: readonly string[], folder: string): Promise<string[]> {
  await run('apt-get', ['download', '-q', ...names], folder);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(folder, name));
}

function find(folder: string, matches: (name: string) => boolean): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && matches(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** A kernel module, unpacked if it is not. */
function moduleData(path: string): Buffer {
  if (path.endsWith('.ko')) return readFileSync(path);
  const command = path.endsWith('.xz') ? 'xz' : 'zstd';
  const { status, stdout, error } = spawnSync(command, ['-dc', path], { maxBuffer: 64 << 20 });
  if (status !== 0)
    throw new ValeError(`cannot unpack ${basename(path)}: ${error?.message ?? command}`);
  return stdout;
}

function fileSystem(root: string): Entry[] {
  const entries: Entry[] = ['bin', 'dev', 'proc', 'sys', 'tmp', 'lib', 'lib64', 'lib/modules'].map(
    (name) => ({ name, mode: DIRECTORY }),
  );
  const add = (name: string, data: Buffer | string): void => {
    entries.push({ name, mode: PROGRAM, data });
  };
  entries.push({ name: 'dev/console', mode: CHARACTER_DEVICE, device: { major: 5, minor: 1 } });
  add('init', INIT);
  add('bin/busybox', readFileSync(join(root, 'bin', 'busybox')));
  entries.push({ name: 'bin/sh', mode: LINK, data: 'busybox' });
  add('bin/iperf3', readFileSync(join(root, 'usr', 'bin', 'iperf3')));
  const wanted = /^(libiperf|libsctp|libcrypto|libc|libm)\.so\.\d|^ld-linux-x86-64\.so\.2$/;
  for (const path of [
    ...find(join(root, 'lib'), isLibrary),
    ...find(join(root, 'usr/lib'), isLibrary),
  ]) {
    const name = soname(basename(path));
    if (!wanted.test(name)) continue;
    add(`${name.startsWith('ld-') ? 'lib64' : 'lib'}/${name}`, readFileSync(path));
  }
  const modules = find(join(root, 'lib', 'modules'), (name) => /\.ko(\.xz|\.zst)?$/.test(name));
  MODULES.forEach((name, i) => {
    const path = modules.find((one) => basename(one).replace(/\.ko.*$/, '') === name);
    // The init loads them in the order of their names.
    if (path !== undefined)
      add(`lib/modules/${String(i).padStart(2, '0')}-${name}.ko`, moduleData(path));
  });
  return entries;
}

const isLibrary = (name: string): boolean => /\.so(\.\d+)*$/.test(name);

/** What a library is linked by: libiperf.so.0.0.0 is libiperf.so.0. */
const soname = (file: string): string => file.replace(/(\.so\.\d+)\.[\d.]+$/, '$1');
