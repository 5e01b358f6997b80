// SPDX-License-Identifier: BSD-2-Clause
// The manual pages and docs/json.md agree with the program.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { manPage } from '../scripts/man.mjs';
import { COMMANDS } from '../src/commands/all.js';
import { packageRoot } from '../src/native.js';
import { violations } from './support/json-schema.js';
import { needs } from './support/need.js';

interface Flag {
  char?: string;
  summary?: string;
  helpValue?: string;
  type: 'boolean' | 'option';
}
interface Verb {
  summary?: string;
  flags: Record<string, Flag>;
}

const root = packageRoot();
const page = (file: string) => readFileSync(join(root, 'man', file), 'utf8');
const pages = readdirSync(join(root, 'man')).filter((file) => /\.[0-9]$/.test(file));
const verbs = Object.entries(COMMANDS as unknown as Record<string, Verb>).filter(
  ([name]) => !name.includes(':'),
);

describe('manual pages', () => {
  test('there is one for each verb, for vale, and for names and semantics', () => {
    const expected = [...verbs.map(([verb]) => `vale-${verb}.8`), 'vale.1', 'vale.4'];
    expect(pages).toEqual(expect.arrayContaining(expected));
    for (const file of pages) expect(existsSync(join(root, 'man', file))).toBe(true);
  });

  test('package.json installs them all', () => {
    const { man: installed } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      man: string[];
    };
    expect(installed.toSorted()).toEqual(pages.map((file) => `man/${file}`).toSorted());
  });

  test.each(verbs)('vale-%s(8) has the options that the verb has: if not, npm run man', (verb) => {
    const file = `vale-${verb}.8`;
    expect(page(file)).toBe(manPage(verb, page(file), COMMANDS));
  });

  test.each(verbs)('vale %s --help names each option that the page has, and no other', (verb) => {
    const { stdout } = spawnSync(process.execPath, [join(root, 'bin/vale.js'), verb, '--help'], {
      encoding: 'utf8',
      env: { ...process.env, COLUMNS: '120', NO_COLOR: '1' },
    });
    const inHelp = [...stdout.matchAll(/^ +(?:-\w, +)?--(?:\[no-\])?([a-z-]+)/gm)].map(
      ([, name]) => name,
    );
    const inPage = [...page(`vale-${verb}.8`).matchAll(/^\.It .*?Fl -([a-z-]+)/gm)].map(
      ([, n]) => n,
    );
    expect(inHelp.filter((name) => name !== 'help').toSorted()).toEqual(
      inPage.filter((name) => name !== 'help').toSorted(),
    );
  });

  test.each(verbs)('vale(1) and vale %s agree on what the verb is for', (verb) => {
    expect(page('vale.1')).toMatch(new RegExp(`^\\.It Cm ${verb}$`, 'm'));
  });

  needs('mandoc').test('are clean under mandoc -T lint -W warning', () => {
    const { status, stdout, stderr } = spawnSync(
      'mandoc',
      ['-T', 'lint', '-W', 'warning', ...pages.map((file) => join(root, 'man', file))],
      { encoding: 'utf8' },
    );
    expect(stdout + stderr).toBe('');
    expect(status).toBe(0);
  });

  test('every drop reason is explained in vale(4)', async () => {
    const { SOURCE_DROPS } = await import('../src/session/meter.js');
    const { noDrops } = await import('./support/samples.js');
    const explained = [...page('vale.4').matchAll(/^\.It Cm ([a-z_]+)$/gm)].map(([, name]) => name);
    expect(explained).toEqual(Object.keys(noDrops));
    expect(explained.slice(0, SOURCE_DROPS.length)).toEqual(SOURCE_DROPS);
  });
});

describe('docs/json.md', () => {
  const text = readFileSync(join(root, 'docs/json.md'), 'utf8');
  const schemaOf = (verb: string) =>
    JSON.parse(readFileSync(join(root, `docs/schema/${verb}.json`), 'utf8'));
  const examples = [...text.matchAll(/<!-- (\S+) (\S+) -->\s+```json\n(.*?)```/gs)];

  test('each verb with --json has a schema that the page links', () => {
    const verbs = ['pkt-gen', 'bridge', 'capture', 'ctl', 'doctor'];
    for (const verb of verbs) {
      expect(text).toContain(`(schema/${verb}.json)`);
      // Validators begin at the root: what that does not lead to is never looked at.
      const schema = schemaOf(verb);
      const refs = (part: object): string[] =>
        [...JSON.stringify(part).matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g)].map(([, name]) => name!);
      const met = new Set(refs({ ...schema, $defs: {} }));
      for (const name of met) for (const next of refs(schema.$defs[name])) met.add(next);
      expect([...met].sort()).toEqual(Object.keys(schema.$defs).sort());
    }
  });

  test('its examples are as the schemas say', () => {
    expect(examples.map(([, verb]) => verb)).toEqual(['pkt-gen', 'bridge']);
    for (const [, verb = '', name = '', example = ''] of examples)
      expect(violations(JSON.parse(example), schemaOf(verb), name)).toEqual([]);
  });

  test('what it says of numbers in an example is so', () => {
    const sent = JSON.parse(examples[0]![3]!) as Record<string, number>;
    expect(sent['copies']).toBe(sent['delivered']! + sent['dropped']!);
    expect(sent['copies']).toBe(2 * sent['accepted']!);
  });
});
