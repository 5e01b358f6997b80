// SPDX-License-Identifier: BSD-2-Clause
// npm run nics -- [--seconds N] [--backend NAME]: four interfaces on one switch, all sending to each other
// as fast as they can; every frame must arrive in order or be counted where it was dropped. Default 60 s,
// through what `vale ctl -a` chooses; `npm test` takes 3 s. Needs user namespaces or root, and ip.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

import { fail, inRoot, make } from './lib.mjs';

let values;
try {
  ({ values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      backend: { type: 'string', default: 'auto' },
    },
  }));
} catch (error) {
  fail(error.message);
}
if (!/^[1-9]\d{0,5}$/.test(values.seconds))
  fail(`--seconds: expected 1 to 999999 but received ${values.seconds}`);

await make(['../build/native/test/nics_test', '../build/native/vale-agent']);
const { status } = spawnSync(inRoot('build/native/test/nics_test'), [], {
  stdio: 'inherit',
  env: { ...process.env, VALE_SECONDS: values.seconds, VALE_BACKEND: values.backend },
});
process.exit(status ?? 1);
