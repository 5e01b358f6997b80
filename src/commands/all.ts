// SPDX-License-Identifier: BSD-2-Clause
// oclif's explicit command table: all verbs loaded, as the manifest needs them. The CLI itself goes
// through index.ts and loads one.
import { verbs } from './index.js';

export const COMMANDS = Object.fromEntries(
  await Promise.all(
    Object.entries(verbs).map(async ([name, load]) => [name, (await load()).default] as const),
  ),
);
