// SPDX-License-Identifier: BSD-2-Clause
// What `vale doctor` says of the runtime directory. Whether it can be used is the answer of who opens it.
import { existsSync, lstatSync, readdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

import type { DirectoryFacts } from '../native-types.js';
import { byteCount } from '../report/units.js';
import type { Caller } from './doctor-caller.js';
import type { Check } from './doctor-check.js';

const TMPFS = 0x01021994;
/** Bytes that the directory, a switch and two default ports occupy. */
const ROOM = 12e6;
const ANOTHER = 'export VALE_DIR=$(mktemp -d /dev/shm/vale-XXXXXX)';

/** What is wrong with the control file, not with the directory: EPROTO, EUCLEAN. */
const OTHER_LAYOUT = 71;
const DAMAGED = 117;

export function directory(facts: DirectoryFacts): Check[] {
  const common = { id: 'directory', title: 'runtime directory' };
  const path = facts.directory;
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const mode = stat && (stat.mode & 0o7777).toString(8).padStart(4, '0');
  const found = stat ? `${path}, user ${stat.uid}, mode ${mode}` : path;
  if (![0, OTHER_LAYOUT, DAMAGED].includes(facts.errno))
    return [{ ...common, verdict: 'missing', found, ...refused(facts) }];
  if (stat === undefined)
    return [{ ...common, verdict: 'good', found: `${path}, made when it is needed` }];
  return [{ ...common, verdict: 'good', found }, ...inside(facts)];
}

/** "X is so; run: COMMAND", "X is so; remove it or …", "X is so; set VALE_DIR to …". */
function refused({ directory: path, refusal }: DirectoryFacts): { matters: string; mend: string } {
  const [why = '', hint = ''] = refusal.split(/; (?=[^;]*$)/);
  const matters = why.replace(`${path} `, 'it ');
  const run = /^run: (.*)$/.exec(hint)?.[1];
  const link = /^(?:cannot open )?(.*?):? (?:it )?is a symbolic link/.exec(why)?.[1];
  const mend = run ?? (link === undefined ? ANOTHER : `rm ${link}`);
  return { matters, mend };
}

/** What is in the directory. */
function inside(facts: DirectoryFacts): Check[] {
  const { directory: path, layout, expectedLayout, living, dead } = facts;
  const common = { id: 'contents', title: 'its contents' };
  const damaged = facts.errno === DAMAGED;
  if (facts.errno !== 0)
    return [
      {
        ...common,
        verdict: 'missing',
        found: damaged
          ? 'a damaged control file'
          : `layout ${layout}, this program has ${expectedLayout}`,
        matters: damaged ? 'nothing can use it' : 'two versions cannot share a directory',
        mend: `stop what uses it, then: rm -r ${path}`,
      },
    ];
  if (layout === 0) return [];
  const files = readdirSync(path).length;
  const found = `${files} files of ${living} ${living === 1 ? 'process' : 'processes'}`;
  if (dead === 0) return [{ ...common, verdict: 'good', found }];
  return [
    {
      ...common,
      verdict: 'limited',
      found: `${found}, and what ${dead} dead left`,
      matters: 'it goes when anybody looks',
      mend: 'vale ctl',
    },
  ];
}

/** The directory itself where it exists, else the first one above it that does. */
function existingPart(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingPart(dirname(path));
}

export function room(path: string, { uid }: Caller): Check {
  const place = existingPart(path);
  const { type, bavail, bsize, blocks } = statfsSync(place);
  const free = bavail * bsize;
  const common = { id: 'room', title: 'its file system' };
  const found = `${type === TMPFS ? 'tmpfs' : `no tmpfs (type 0x${type.toString(16)})`}, ${byteCount(free)} free of ${byteCount(blocks * bsize)}`;
  const enlarge = `mount -o remount,size=1g $(df --output=target ${place} | tail -1)`;
  if (free < ROOM)
    return {
      ...common,
      verdict: 'missing',
      found,
      matters: `two default ports take ${byteCount(ROOM)}`,
      mend: type === TMPFS ? `${uid === 0 ? '' : 'sudo '}${enlarge}` : ANOTHER,
    };
  if (type !== TMPFS)
    return {
      ...common,
      verdict: 'limited',
      found,
      matters: 'frames may be written to a disk',
      mend: ANOTHER,
    };
  return { ...common, verdict: 'good', found };
}
