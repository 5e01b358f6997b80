// SPDX-License-Identifier: BSD-2-Clause
// What words of the command line a completion script has to know of.

/** What a word on the command line names, where it names something that is there. */
export const KINDS = [
  'ports',
  'attachable',
  'attached',
  'interfaces',
  'persistent',
  'switches',
  'members',
  'namespaces',
  'agents',
] as const;
export type Kind = (typeof KINDS)[number];

/** What a script knows of a verb, or of an action of one ("ctl fdb"). */
export interface Verb {
  /** Words after `vale`. */
  path: string;
  summary: string;
  /** Words that may follow. */
  actions: string[];
  options: Option[];
  /** What its arguments name, if they name what is there. */
  argument?: Kind | undefined;
}

export interface Option {
  /** As typed: "-i", "--interface". */
  spelled: string[];
  summary: string;
  /** undefined: it takes no value. */
  value?: { kind: Kind } | 'file' | 'other' | readonly string[];
}
