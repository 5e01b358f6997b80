// SPDX-License-Identifier: BSD-2-Clause
// The benchmark's command line. What it measures is not tested: nothing here is timed.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

/**
 * Names that a text tells of: what is between backticks and no word in capitals alone, with * or … for what follows
 * and a word in capitals for what varies; of the curves, which are a row from one name to another, each by itself.
 */
function told(file: string) {
  const words = [...readFileSync(file, 'utf8').matchAll(/`([a-z][^`\s]+)`/g)].map(
    ([, word = '']) => word,
  );
  const patterns = [...words, 'macs-N', 'size-N', 'batch-N', 'senders-N-EACH'].map(
    (word) =>
      new RegExp(
        `^${word
          .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
          .replace(/[*…]/g, '.+')
          .replace(/[A-Z]+/g, '[^-]+')}$`,
      ),
  );
  return (name: string) => patterns.some((pattern) => pattern.test(name));
}

test.each(['bench/README.md', 'docs/performance.md'])('%s tells of every trial', (file) => {
  const names = bench(['--list'])
    .stdout.trim()
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '');
  const isTold = told(file);
  // The peers have a table of their own in the first: by their names.
  const peer = (name: string) =>
    name.replace(/^peer-/, '').replace(/^(ovs-dpdk|linux-bridge|[a-z]+).*/, '$1');
  expect(
    names.filter((name) => !isTold(name) && !(name.startsWith('peer-') && isTold(peer(name)))),
  ).toEqual([]);
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

test('peers that are not installed are skipped by name, with what to install', () => {
  const peers = ['vde-60-own', 'memif-60', 'ovs-dpdk-60-own', 'testpmd-txonly', 'vhost-60'];
  const { status, stdout } = bench(
    [...peers.flatMap((peer) => ['--only', `peer-${peer}`]), '--json'],
    { PATH: '/nowhere' },
  );
  expect(status).toBe(0);
  const { schema, rows } = JSON.parse(stdout) as {
    schema: string;
    rows: { name: string; skipped?: string }[];
  };
  expect(schema).toBe('vale-bench/2');
  expect(rows).toHaveLength(peers.length);
  for (const { name, skipped } of rows)
    expect(skipped).toMatch(
      name.includes('vde') ? /vde_switch.*install vde2/ : /dpdk-testpmd.*install .*dpdk/,
    );
});
