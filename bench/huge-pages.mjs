// SPDX-License-Identifier: BSD-2-Clause
// Huge pages for DPDK while a peer is measured: without them it is slower, and a comparison flatters us.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NUMBER = '/proc/sys/vm/nr_hugepages';
const COMPACT = '/proc/sys/vm/compact_memory';
const NEEDED = 2.5 * 2 ** 30;

/** Of /proc/meminfo: a number of pages, or bytes where it is given in kB. */
function meminfo(key) {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const [, number, unit] = new RegExp(`^${key}:\\s+(\\d+)( kB)?`, 'm').exec(text) ?? [];
  return Number(number ?? 0) * (unit ? 1024 : 1);
}

const free = () => meminfo('HugePages_Free') * meminfo('Hugepagesize');
const mounted = () => / hugetlbfs /.test(readFileSync('/proc/mounts', 'utf8'));

/**
 * Sees to it that there are enough of them, and a place where programs get them: the machine's, or, as root,
 * so many more until the tools end, where that leaves as much memory again.
 * @param {import('./peer-tools.mjs').Tools} tools
 * @returns {boolean} whether there are
 */
export function takeHugePages(tools) {
  if (free() >= NEEDED && mounted()) return true;
  if (process.getuid?.() !== 0) return false;
  if (free() < NEEDED) {
    if (meminfo('MemAvailable') < 2 * NEEDED || meminfo('Hugepagesize') === 0) return false;
    const before = readFileSync(NUMBER, 'utf8');
    const missing = Math.ceil((NEEDED - free()) / meminfo('Hugepagesize'));
    const wanted = String(Number(before) + missing);
    tools.finally(() => writeFileSync(NUMBER, before));
    writeFileSync(NUMBER, wanted);
    if (free() < NEEDED) {
      // Memory is in pieces, from whoever had it last.
      writeFileSync(COMPACT, '1');
      writeFileSync(NUMBER, wanted);
    }
    if (free() < NEEDED) return false;
  }
  if (!mounted()) {
    const place = join(tools.folder, 'huge');
    mkdirSync(place);
    tools.call('mount', ['-t', 'hugetlbfs', 'vale-bench', place]);
    tools.finally(() => tools.call('umount', [place]));
  }
  return true;
}
