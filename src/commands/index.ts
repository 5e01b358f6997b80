// SPDX-License-Identifier: BSD-2-Clause
// Every verb, by name. A verb's code is loaded only when it is called.
import type { BaseCommand } from '../base-command.js';

export type VerbClass = typeof BaseCommand;

export const verbs: Record<string, () => Promise<{ default: unknown }>> = {
  'pkt-gen': () => import('./pkt-gen.js'),
  bridge: () => import('./bridge.js'),
  capture: () => import('./capture.js'),
  ctl: () => import('./ctl.js'),
  run: () => import('./run.js'),
  extcap: () => import('./extcap.js'),
  demo: () => import('./demo.js'),
  doctor: () => import('./doctor.js'),
  completion: () => import('./completion.js'),
};
