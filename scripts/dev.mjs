// SPDX-License-Identifier: BSD-2-Clause
// npm run dev: builds again whenever a source changes, until Ctrl-C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';

import { inRoot, root, say } from './lib.mjs';

/** Editors save in several steps; a build waits for them, ms. */
const QUIET = 100;

let timer;
let building = false;
let again = false;

async function build() {
  if (building) {
    again = true;
    return;
  }
  building = true;
  do {
    again = false;
    const child = spawn(process.execPath, ['scripts/setup.mjs'], { cwd: root, stdio: 'inherit' });
    const [code] = await once(child, 'close');
    say(code === 0 ? 'built' : 'not built, see above');
  } while (again);
  building = false;
}

process.on('SIGINT', () => process.exit(0));
for (const folder of ['src', 'native'])
  watch(inRoot(folder), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(build, QUIET);
  });
say('watching src and native; Ctrl-C ends');
