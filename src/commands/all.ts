// SPDX-License-Identifier: BSD-2-Clause
// oclif's explicit command table: all verbs loaded, as the manifest needs them. The CLI itself goes
// through index.ts and loads one.
import { actions } from './ctl/index.js';
import { verbs } from './index.js';

const ctl = Object.entries(actions).map(([name, load]) => [`ctl:${name}`, load] as const);

export const COMMANDS = Object.fromEntries(
  await Promise.all(
    [...Object.entries(verbs), ...ctl].map(
      async ([name, load]) => [name, (await load()).default] as const,
    ),
  ),
);
