// SPDX-License-Identifier: BSD-2-Clause
// The benchmark's command line. What it measures is not tested: nothing here is timed.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

function bench(args: string[], environment: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['bench/run.mjs', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
}

test('--list names every trial once, the peers among them', () => {
  const { status, stdout } = bench(['--list']);
  expect(status).toBe(0);
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[0]);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual(
    expect.arrayContaining(['two-60-256', 'ports-250', 'macs-100000', 'peer-ovs-dpdk-60-own']),
  );
});

test.each([
  [['--only', 'nope'], 'nope'],
  [['--pairs', 'many'], 'many'],
  [['--compare', 'no-such-revision', '--only', 'two-60-1'], 'no-such-revision'],
  [['gate', '--planted', 'much'], 'much'],
  [['vm', '--only', 'carrier-pigeon'], 'carrier-pigeon'],
  [['vm', '--rounds', 'many'], 'many'],
])('%j is refused in one line', (args, word) => {
  const { status, stderr, stdout } = bench(args);
  expect(status).toBe(2);
  expect(stdout).toBe('');
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain(word);
});

test('a peer that is not installed is skipped by name, with what to install', () => {
  const { status, stdout } = bench(['--only', 'peer-vde-60-own', '--json'], { PATH: '/nowhere' });
  expect(status).toBe(0);
  const { schema, rows } = JSON.parse(stdout) as {
    schema: string;
    rows: { name: string; skipped?: string }[];
  };
  expect(schema).toBe('vale-bench/2');
  expect(rows).toHaveLength(1);
  expect(rows[0]?.skipped).toMatch(/vde_switch.*apt-get install vde2/);
});
