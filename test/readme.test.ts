// SPDX-License-Identifier: BSD-2-Clause
// What README.md and docs/ say is so: links, command lines, programs, error texts, exit codes.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { transform } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readWords, type FlagShape } from '../src/argv.js';
import { COMMANDS } from '../src/commands/all.js';
import { ExitCode } from '../src/errors.js';
import { packageRoot } from '../src/native.js';
import { Vale } from './support/vale.js';

const root = packageRoot();
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
const pages = [
  'README.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(process.env['VALE_DIR']!, 'readme-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The part under a heading. */
function section(text: string, heading: string): string {
  const from = text.indexOf(`\n## ${heading}\n`);
  expect(from, heading).toBeGreaterThan(0);
  const end = text.indexOf('\n## ', from + 1);
  return text.slice(from, end < 0 ? undefined : end);
}

/** Rows of a table, as cells, without its head. */
const rows = (text: string): string[][] =>
  [...text.matchAll(/^\| (.*) \|$/gm)].slice(2).map(([, row]) => row!.split(' | '));

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code!,
  );

/** `vale` command lines of the sh blocks: words, and whether the line ends with "&". */
const commands = (text: string): { words: string[]; background: boolean }[] =>
  blocks(text, 'sh')
    .flatMap((block) => block.trim().split('\n'))
    .filter((line) => line.startsWith('vale '))
    .map((line) => {
      const words = line.split(/\s+/).slice(1);
      const background = words.at(-1) === '&';
      return { words: background ? words.slice(0, -1) : words, background };
    });

describe.each(pages)('%s', (page) => {
  const text = read(page);
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);

  test('links to what is there, and what the package ships', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    for (const link of links.filter((target) => !/^https?:/.test(target))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : relative(root, join(root, dirname(page), path));
      expect(existsSync(join(root, target)), link).toBe(true);
      const shipped = ['README.md', 'LICENSE', ...files].includes(target.split('/')[0]!);
      expect(shipped, `${link} is not in the package`).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading!
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      );
      expect(headings, link).toContain(anchor);
    }
  });

  test('names no place of the machine it was written on', () => {
    const places = new RegExp(`${root}/|/home/|/root/|/tmp/|localhost`);
    expect(places.exec(text)?.[0]).toBeUndefined();
  });
});

describe('README.md', () => {
  test('begins with the demo and the tests, which package.json has', () => {
    expect(blocks(readme, 'sh')[0]).toBe('npm run demo\nnpm test\n');
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const [, script = ''] of readme.matchAll(/npm run ([\w-]+)/g))
      expect(Object.keys(scripts)).toContain(script);
  });

  test('installs the version that this is', () => {
    const { name, version } = JSON.parse(read('package.json')) as Record<string, string>;
    expect(readme).toContain(`./${name}-${version}.tgz`);
  });

  const all = commands(readme).map(({ words }) => words);
  const line = (words: string[]) => `vale ${words.join(' ')}`;

  test.each(all.map((words) => [line(words), words] as const))(
    '%s: its options exist',
    (_, words) => {
      const [verb = '', ...rest] = words;
      expect(Object.keys(COMMANDS)).toContain(verb);
      const name = [rest.slice(0, 2), rest.slice(0, 1), []]
        .map((more) => [verb, ...more].join(':'))
        .find((id) => Object.hasOwn(COMMANDS, id))!;
      const { flags } = (
        COMMANDS as unknown as Record<string, { flags: Record<string, FlagShape> }>
      )[name]!;
      expect(() => readWords(rest.slice(name.split(':').length - 1), flags)).not.toThrow();
    },
  );

  // A capture file, an interface of that name and the right to make one are the reader's to have.
  const engines = all.filter(
    ([verb, ...rest]) =>
      verb !== 'ctl' && !rest.some((word) => /^(em0|tap:)/.test(word)) && !rest.includes('-P'),
  );
  test.each(engines.map((words) => [line(words), words] as const))('%s: runs', async (_, words) => {
    const env = { VALE_DIR: directory };
    if (words.includes('--json')) {
      const { code, stdout } = await new Vale([...words, '--duration', '0.1'], env).result();
      expect({ code, report: JSON.parse(stdout) }).toMatchObject({
        code: 0,
        report: { event: 'final' },
      });
      return;
    }
    const run = await new Vale(words, env).says(/Sending|Receiving|Working|Ready/);
    expect(await run.stop()).toMatchObject({ code: 0 });
  });

  test('vale ctl does what is shown of it', async () => {
    const env = { VALE_DIR: directory };
    const shown = commands(section(readme, 'The tools')).filter(({ words }) => words[0] === 'ctl');
    expect(shown.length).toBeGreaterThan(4);
    for (const words of [
      ['ctl', '-n', 'p0'],
      ['ctl', '-a', 'vale0:p0'],
      ...shown.map((c) => c.words),
    ]) {
      const run = new Vale(words, env);
      const watching = words.includes('--watch');
      const { code, stderr } = await (watching
        ? (await run.says(/tx_frames/)).stop()
        : run.result());
      expect({ code, stderr }, line(words)).toEqual({ code: 0, stderr: '' });
    }
    for (const words of [
      ['ctl', '-d', 'vale0:p0'],
      ['ctl', '-r', 'p0'],
    ])
      expect(await new Vale(words, env).result()).toMatchObject({ code: 0 });
  }, 60_000);

  test('the first switch in five lines', async () => {
    const lines = commands(section(readme, 'A first switch in five lines'));
    expect(lines).toHaveLength(5);
    const env = { VALE_DIR: directory };
    const kept: Vale[] = [];
    for (const { words, background } of lines) {
      const run = new Vale(words, env);
      if (background) {
        kept.push(run);
        await run.says(/Receiving/);
        continue;
      }
      const { code, stderr } = await run.result();
      expect(code, `${line(words)}: ${stderr}`).toBe(0);
    }
    const { stdout } = await new Vale(['ctl'], env).result();
    expect(stdout).toMatch(/^vale0:a bridge_idx 0 port_idx 0\nvale0:p0 /);
    for (const run of kept) expect(await run.stop()).toMatchObject({ code: 0 });
    for (const words of [
      ['ctl', 'detach', 'vale0:p0'],
      ['ctl', 'remove', 'p0'],
    ]) {
      expect(readme).toContain(line(words));
      expect(await new Vale(words, env).result()).toMatchObject({ code: 0 });
    }
    expect(await new Vale(['ctl'], env).result()).toMatchObject({ code: 0, stdout: '' });
  }, 60_000);

  test('its program runs', async () => {
    const [code = ''] = blocks(readme, 'js');
    const { code: js } = await transform(code, { loader: 'ts', target: 'node20', format: 'esm' });
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', js],
      {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, VALE_DIR: directory },
        timeout: 15_000,
      },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^60 /);
  });

  test('its exit codes are those of src/errors.ts', () => {
    const codes = rows(section(readme, 'Exit codes')).map(([code]) => Number(code));
    expect(codes).toEqual(Object.values(ExitCode));
    expect(Object.keys(ExitCode)).toEqual(['Done', 'Failed', 'Usage', 'Expectation']);
  });

  const sources = readdirSync(root + '/native', { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(cc|h)$/.test(file) && !/^(test|bench|fuzz)\//.test(file))
    .map((file) => `native/${file}`)
    .concat(
      readdirSync(root + '/src', { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => `src/${file}`),
    );
  // Literals that the compiler would join are joined; quotes are bare.
  const source = sources
    .map(read)
    .join('\n')
    .replace(/["'`]\s*(?:\+\s*)?\n\s*["'`]/g, '')
    .replaceAll('\\"', '"');
  const texts = rows(section(readme, 'Troubleshooting')).map(([text = '']) => text.slice(1, -1));

  test.each(texts)('is said somewhere: %s', (text) => {
    const parts = text.split('…').map((part) => part.trim());
    const said = parts.filter((part) => part.length > 2);
    expect(Math.max(...said.map((part) => part.length))).toBeGreaterThan(12);
    for (const part of said) expect(source.includes(part), part).toBe(true);
  });

  test('its limits are those of native/shm', () => {
    const facts =
      read('native/shm/layout.h') + read('native/shm/region.h') + read('native/switch/fdb.h');
    const constant = (name: string) => Number(new RegExp(`${name} = (\\d+)`).exec(facts)?.[1]);
    const limits = section(readme, 'Limits');
    const said = (what: RegExp) => [...(what.exec(limits)?.[0].matchAll(/\d+/g) ?? [])].map(Number);
    expect(said(/^\| switches in.*$/m)).toEqual([constant('kMaxSwitches')]);
    expect(said(/^\| ports of.*$/m)).toEqual([constant('kPortsPerSwitch'), constant('kMaxPorts')]);
    expect(said(/^\| opens of.*$/m)).toEqual([constant('kRegsPerPort'), constant('kMaxRegs')]);
    expect(said(/^\| processes.*$/m)).toEqual([constant('kMaxProcs')]);
    expect(said(/^\| rings of.*$/m)).toEqual([1, constant('kRingsPerPort'), 1]);
    const wire = /kMaxSlots = (\d+);/.exec(read('native/device/wire.cc'))?.[1];
    expect(said(/^\| slots of.*$/m)).toEqual([
      ...[1, constant('kMaxSlots'), constant('kDefaultSlots')],
      Number(wire),
    ]);
    expect(said(/^\| buffer.*$/m)[2]).toEqual(constant('kDefaultBufSize'));
    expect(said(/^\| addresses.*$/m)).toEqual([constant('kFdbSets') * constant('kFdbWays')]);
  });
});

test("docs/netmap-api.md's default region is what a port gets", async () => {
  const { openPort } = await import('../src/index.js');
  const port = await openPort({ name: 'vale0:a', directory });
  const [stated] = /\d+/.exec(/memsize \| (\d+)/.exec(read('docs/netmap-api.md'))![1]!)!;
  expect(port.bytes.length).toBe(Number(stated));
  port.close();
});
