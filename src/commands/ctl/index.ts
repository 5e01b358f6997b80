// SPDX-License-Identifier: BSD-2-Clause
// The actions of `vale ctl`, by name: "fdb:add" is `vale ctl fdb add`.
import type { BaseCommand } from '../../base-command.js';

type ActionClass = (new (...args: never[]) => BaseCommand) & {
  id: string;
  run(argv: string[], config: unknown): Promise<unknown>;
};

// In the order of the help page.
export const actions: Record<string, () => Promise<{ default: ActionClass }>> = Object.fromEntries(
  Object.entries({
    list: () => import('./list.js'),
    create: () => import('./create.js'),
    remove: () => import('./remove.js'),
    attach: () => import('./attach.js'),
    detach: () => import('./detach.js'),
    log: () => import('./log.js'),
    info: () => import('./info.js'),
    index: () => import('./port-index.js'),
    stats: () => import('./stats.js'),
    fdb: () => import('./fdb.js'),
    'fdb:show': () => import('./fdb.js'),
    'fdb:flush': () => import('./fdb-flush.js'),
    'fdb:add': () => import('./fdb-add.js'),
    'fdb:remove': () => import('./fdb-remove.js'),
    'fdb:ageing': () => import('./fdb-ageing.js'),
  }),
) as never;
