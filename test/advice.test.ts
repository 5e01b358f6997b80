// SPDX-License-Identifier: BSD-2-Clause
// What an error says to do is done, as it stands there; after that, what failed works.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { packageRoot } from '../src/native.js';
import { Lab, labTools, type Finished } from './support/lab.js';
import { needs } from './support/need.js';

const BIN = join(packageRoot(), 'bin/vale.js');

interface Case {
  /** What must hold first; each must succeed. */
  first?: string[];
  /** What fails. */
  tried: string;
  /** What it says to do, in groups. */
  advice: RegExp;
  /** That, as a command line: $1 is the first group; by default it is one. */
  done?: string;
  /** What works after that; by default what was tried. */
  then?: string;
  last?: string[];
}

/** Command lines for a shell; `vale` is this program, `confined` as in a container: CAP_NET_RAW and little more. */
const CASES: Record<string, Case> = {
  'a port nobody has made is attached': {
    tried: 'vale ctl -a vale0:p1',
    advice: /first run: (vale ctl -n p1), or see: ip link/,
    last: ['vale ctl -d vale0:p1', 'vale ctl -r p1'],
  },
  'a persistent port is removed while it is attached': {
    first: ['vale ctl -n p2', 'vale ctl -a vale0:p2'],
    tried: 'vale ctl -r p2',
    advice: /run: (vale ctl -d vale0:p2)\)/,
  },
  'a persistent port is attached to a second switch': {
    first: ['vale ctl -n p3', 'vale ctl -a vale0:p3'],
    tried: 'vale ctl -a vale1:p3',
    advice: /first run: (vale ctl -d vale0:p3)\)/,
    last: ['vale ctl -d vale1:p3', 'vale ctl -r p3'],
  },
  'a persistent port is attached twice': {
    first: ['vale ctl -n p4', 'vale ctl -a vale0:p4'],
    tried: 'vale ctl -a vale0:p4',
    advice: /first run: (vale ctl -d vale0:p4)\)/,
    last: ['vale ctl -d vale0:p4', 'vale ctl -r p4'],
  },
  'a persistent port is opened where it is not attached': {
    first: ['vale ctl -n p5'],
    tried: 'vale pkt-gen -i vale0:p5 -f tx -n 1',
    advice: /run: (vale ctl -a vale0:p5)$/m,
    last: ['vale ctl -d vale0:p5', 'vale ctl -r p5'],
  },
  'a persistent port is attached with its host stack': {
    first: ['vale ctl -n p6'],
    tried: 'vale ctl -h vale0:p6',
    advice: /no host stack; use (-a)\)/,
    done: 'vale ctl $1 vale0:p6',
    then: 'vale ctl -d vale0:p6',
    last: ['vale ctl -r p6'],
  },
  'a persistent port is made with a name of a switch': {
    tried: 'vale ctl -n vale0:p7',
    advice: /pick one such as "(p0)", then attach it as in (vale0:p0)\)/,
    done: 'vale ctl -n $1',
    then: 'vale ctl -a vale0:p0',
    last: ['vale ctl -d vale0:p0', 'vale ctl -r p0'],
  },
  'a persistent port is removed by the name of its switch': {
    first: ['vale ctl -n p8', 'vale ctl -a vale0:p8', 'vale ctl -d vale0:p8'],
    tried: 'vale ctl -r vale0:p8',
    advice: /by its own name as in (p8);/,
    done: 'true',
    then: 'vale ctl -r $1',
  },
  'a port with a name of a switch is attached': {
    tried: 'vale ctl -a vale-foo',
    advice: /while a program has it open, as in: (vale pkt-gen -i vale:vale-foo)\)/,
    done: '$1 -f tx -n 1',
    then: 'vale ctl',
  },
  'an interface is opened as a port of a switch': {
    tried: 'vale pkt-gen -i vale0:ad1 -f tx -n 1',
    advice: /run: (vale ctl -a vale0:ad1)$/m,
    then: 'vale ctl -d vale0:ad1',
  },
  'an interface is attached without a switch': {
    tried: 'vale ctl -a ad1',
    advice: /name both, as in (vale0:ad1)\)/,
    done: 'vale ctl -a $1',
    then: 'vale ctl -d $1',
  },
  'an interface is attached twice': {
    first: ['vale ctl -a vale0:ad1'],
    tried: 'vale ctl -a vale0:ad1',
    advice: /first run: (vale ctl -d vale0:ad1)\)/,
    last: ['vale ctl -d vale0:ad1'],
  },
  'an interface is attached to a second switch': {
    first: ['vale ctl -a vale0:ad1'],
    tried: 'vale ctl -a vale1:ad1',
    advice: /first run: (vale ctl -d vale0:ad1)\)/,
    last: ['vale ctl -d vale1:ad1'],
  },
  'an interface is attached by one of its rings': {
    tried: 'vale ctl -a vale0:ad1-0',
    advice: /with all its rings and without flags; use (vale0:ad1)\)/,
    done: 'vale ctl -a $1',
    then: 'vale ctl -d $1',
  },
  'an interface is detached while it is polled': {
    first: ['vale ctl -a vale0:ad1', 'vale ctl -p vale0:ad1 -C 0,0'],
    tried: 'vale ctl -d vale0:ad1',
    advice: /first run: (vale ctl -P vale0:ad1)\)/,
  },
  'an interface is polled twice': {
    first: ['vale ctl -a vale0:ad1', 'vale ctl -p vale0:ad1 -C 0,0'],
    tried: 'vale ctl -p vale0:ad1 -C 0,0',
    advice: /first run: (vale ctl -P vale0:ad1)\)/,
    last: ['vale ctl -P vale0:ad1', 'vale ctl -d vale0:ad1'],
  },
  'an interface is polled by three cores': {
    first: ['vale ctl -a vale0:ad1'],
    tried: 'vale ctl -p vale0:ad1 -C 1,0,3',
    advice: /use -C 1,0,2 or (-C 0,0)\)/,
    done: 'vale ctl -p vale0:ad1 $1',
    then: 'vale ctl -P vale0:ad1',
    last: ['vale ctl -d vale0:ad1'],
  },
  'the interface of the default route is attached': {
    tried: 'vale ctl -a vale0:ad2',
    advice: /use (--force) to take it all the same, or (--shared) to leave it to the host too\)/,
    done: 'vale ctl -a vale0:ad2 $2',
    then: 'vale ctl -d vale0:ad2; vale ctl -a vale0:ad2 $1',
    last: ['vale ctl -d vale0:ad2'],
  },
  'an interface is attached by who may not take it from the host': {
    tried: 'confined vale ctl -a vale0:ad1',
    advice:
      /cannot be taken from the host's stack \(bpf: .*; nftables: .*\): .*; use (--shared) to leave it to the host too\)$/m,
    done: 'confined vale ctl -a vale0:ad1 $1',
    then: 'vale ctl list vale0:ad1 --json | grep -F \'"take_over": "none"\'; vale ctl -d vale0:ad1',
  },
  'an interface is opened by who may not take it from the host': {
    tried: 'confined vale pkt-gen -i ad1 -f tx -n 1 -w 0',
    advice:
      /cannot be taken from the host's stack .*; use (--shared) to leave it to the host too$/m,
    done: 'confined vale ctl -g ad1',
    then: 'confined vale pkt-gen -i ad1 -f tx -n 1 -w 0 $1',
  },
  'AF_XDP where it may not be used': {
    tried: 'vale ctl -a vale0:ad1 --backend xdp',
    advice:
      /by AF_XDP: it takes root outside of all user namespaces .*; use (--backend packet)\)$/m,
    done: 'vale ctl -a vale0:ad1 $1',
    then: 'vale ctl -d vale0:ad1',
  },
  'an interface is detached from a switch that has it not': {
    first: ['vale ctl -a vale0:ad1'],
    tried: 'vale ctl -d vale1:ad1',
    advice: /ad1 is not on vale1, but attached as vale0:ad1; run: (vale ctl -d vale0:ad1)\)$/m,
    done: 'true',
    then: '$1',
  },
  'memory is shared with a port that is not there': {
    tried: 'vale pkt-gen -i vale0:ad1x@share=vale9:z -f tx -n 1',
    advice:
      /there is no port "vale9:z" to share memory with; open that one first, or (leave this out)/,
    done: 'true',
    then: 'vale pkt-gen -i vale0:ad1x -f tx -n 1',
  },
  'an interface has a name like a pipe': {
    first: ["ip link add 'brk{1' type veth peer name brkp"],
    tried: "vale ctl -a 'vale0:brk{1'",
    advice: /means a pipe here; give it another, as in (ip link set 'brk\{1' name brk_1)\)/,
    then: 'vale ctl -a vale0:brk_1',
    last: ['vale ctl -d vale0:brk_1', 'ip link del brk_1'],
  },
  'AF_XDP is shared': {
    tried: 'vale ctl -a vale0:ad1 --backend xdp --shared',
    advice: /use (--backend packet) with (--shared)$/m,
    done: 'vale ctl -a vale0:ad1 $1 $2',
    then: 'vale ctl -d vale0:ad1',
  },
  'more rings than an interface has': {
    tried: 'vale ctl -g ad1@conf:rings=2',
    advice: /as in (ad1@conf:slots=512)$/m,
    done: 'true',
    then: 'vale ctl -g $1',
  },
};

needs(...labTools()).describe('what an error advises', () => {
  needs('user namespaces').describe('is done, and helps', () => {
    let lab: Lab;
    let directory: string;

    beforeAll(async () => {
      lab = await Lab.open();
      directory = mkdtempSync('/dev/shm/vale-advice-');
      await lab.must('ip link add ad1 type veth peer name ad1peer');
      await lab.must('ip link set ad1 up');
      await lab.must('ip link add ad2 type veth peer name ad2peer');
      await lab.must('ip link set ad2 up');
      await lab.must('ip link set ad2peer up');
      await lab.must('ip addr add 10.5.0.1/24 dev ad2');
      await lab.must('ip route add default via 10.5.0.2');
    });
    afterAll(() => {
      lab.close();
      rmSync(directory, { recursive: true, force: true });
    });

    const shell = (line: string): Promise<Finished> =>
      lab.run(
        ...['env', `VALE_DIR=${directory}`, 'sh', '-euc'],
        `vale() { $confined '${process.execPath}' '${BIN}' "$@"; }; confined=;
         confined() { confined='setpriv --bounding-set=-net_admin'; "$@"; confined=; }; ${line}`,
      );
    async function works(line: string): Promise<void> {
      const { code, stderr } = await shell(line);
      expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({
        line,
        code: 0,
        stderr: '',
      });
    }

    test.each(Object.entries(CASES))(
      '%s',
      async (_what, { first = [], tried, advice, done = '$1', then = tried, last = [] }) => {
        for (const line of first) await works(line);
        const { code, stderr } = await shell(tried);
        expect(code, stderr).toBeGreaterThan(0);
        expect(stderr).toMatch(advice);
        const words = advice.exec(stderr)!;
        const filled = (line: string) =>
          line.replace(/\$(\d)/g, (_all, n: string) => words[Number(n)]!);
        for (const line of [filled(done), filled(then), ...last]) await works(line);
      },
      30_000,
    );

    test('there is no room for an interface', async () => {
      const small = join(directory, 'small');
      const within = (script: string) =>
        lab.run(
          ...['unshare', '-m', 'sh', '-euc'],
          `vale() { '${process.execPath}' '${BIN}' "$@"; }; mkdir -p ${small}; mount -t tmpfs -o size=9m,mode=700 none ${small}; export VALE_DIR=${small}; ${script}`,
        );
      const { code, stderr } = await within('vale ctl -a vale0:ad1');
      expect(code).toBe(1);
      const [, enlarge] =
        /no room for an interface's buffers in .*: \d+ bytes needed, \d+ free; .* by (mount -o remount,size=\d+m \S+) \(/.exec(
          stderr,
        )!;
      // A user namespace's tmpfs tells its owner in the numbers of the first namespace, which mount(8) would
      // hand back to it.
      const remount = enlarge!.replace('mount ', 'mount --options-mode ignore ');
      const done = await within(`${remount}; vale ctl -a vale0:ad1; vale ctl -d vale0:ad1`);
      expect(done).toEqual({ code: 0, stdout: '', stderr: '' });
    });
  });
});
