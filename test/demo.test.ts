// SPDX-License-Identifier: BSD-2-Clause
// npm run demo, without its set-up: two real processes, their reports, the summary, no trace left.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';

const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const leftovers = () => readdirSync(base).filter((name) => /^vale-demo-\w{6}$/.test(name));

test('the demo shows both sides each second, then one table, and cleans up', () => {
  const before = leftovers();
  const text = execFileSync(process.execPath, [join(packageRoot(), 'scripts', 'demo.mjs')], {
    encoding: 'utf8',
  });
  for (const side of ['generator', 'receiver'])
    expect(text).toMatch(new RegExp(`^${side} +[\\d.]+ Mpps +[\\d.]+ Gbit/s`, 'm'));

  const cell = (row: string): number => {
    const match = new RegExp(`│ ${row} +│ +([\\d,]+) │`).exec(text);
    return Number(match?.[1]?.replaceAll(',', '') ?? NaN);
  };
  const dropped = [...text.matchAll(/│ dropped(?:: \w+)? +│ +([\d,]+) │/g)];
  const lost = dropped.reduce((sum, [, n]) => sum + Number(n!.replaceAll(',', '')), 0);
  expect(cell('received')).toBeGreaterThan(0);
  expect(cell('received')).toBeLessThanOrEqual(cell('delivered'));
  // One receiver, one copy a frame: what was accepted was delivered, or dropped for a reason.
  expect(cell('delivered') + lost).toBe(cell('accepted'));
  expect(leftovers()).toEqual(before);
}, 60_000);
