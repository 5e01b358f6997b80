// SPDX-License-Identifier: BSD-2-Clause
// What is said of one thing that the doctor looked at.

/** good; limited: something works less well or not at all; missing: switch ports need it. */
export type Verdict = 'good' | 'limited' | 'missing';

export interface Check {
  /** Stable: for programs. */
  id: string;
  title: string;
  verdict: Verdict;
  /** What was found. */
  found: string;
  /** What it is for, where it is not all well. */
  matters?: string;
  /** The command, or the change, that mends it. */
  mend?: string;
}
