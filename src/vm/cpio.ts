// SPDX-License-Identifier: BSD-2-Clause
// A cpio archive in the "newc" format, as the Linux kernel unpacks it into its first file system.

export interface Entry {
  /** Path without a leading slash. */
  name: string;
  /** Type and permissions, as in stat(2). */
  mode: number;
  /** Contents of a file, target of a symbolic link. */
  data?: Buffer | string;
  /** Of a device. */
  device?: { major: number; minor: number };
}

export const DIRECTORY = 0o040755;
export const PROGRAM = 0o100755;
export const LINK = 0o120777;
export const CHARACTER_DEVICE = 0o020600;

const padding = (bytes: number): Buffer => Buffer.alloc((4 - (bytes % 4)) % 4);

function record(entry: Entry, inode: number): Buffer[] {
  const data = Buffer.from(entry.data ?? '');
  const name = Buffer.from(`${entry.name}\0`);
  const { major = 0, minor = 0 } = entry.device ?? {};
  // inode, mode, uid, gid, links, time, size, device of the file, device it is, length of the name, sum
  const fields = [inode, entry.mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const head = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`;
  const first = head.length + name.length;
  return [Buffer.from(head), name, padding(first), data, padding(data.length)];
}

/** Directories must come before what is in them. */
export function archive(entries: readonly Entry[]): Buffer {
  const end: Entry = { name: 'TRAILER!!!', mode: 0 };
  return Buffer.concat([...entries, end].flatMap((entry, i) => record(entry, i + 1)));
}
