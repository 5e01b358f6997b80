// SPDX-License-Identifier: BSD-2-Clause
// What `vale doctor` found: lines, a table, JSON (docs/schema/doctor.json).
import type { Check, Verdict } from '../session/doctor-check.js';
import type { Look, Style } from './table.js';

/** "VERDICT ID FOUND", with what to do behind where there is something to do. */
export function doctorLines(checks: readonly Check[]): string[] {
  return checks.map(({ verdict, id, found, matters, mend }) => {
    const why = matters === undefined ? '' : `; ${matters}`;
    return `${verdict} ${id} ${found}${why}${mend === undefined ? '' : `; mend: ${mend}`}`;
  });
}

const STYLE: Record<Verdict, Style> = { good: 'faint', limited: 'strong', missing: 'alert' };

/** A line a check, and below it, indented, what to do. */
export function doctorTable(checks: readonly Check[], look: Look): string[] {
  const width = Math.max(...checks.map(({ title }) => title.length));
  const indent = ' '.repeat('limited'.length + width + 4);
  return checks.flatMap(({ verdict, title, found, matters, mend }) => [
    `${look.paint(STYLE[verdict], verdict.padEnd('limited'.length))}  ${title.padEnd(width)}  ${found}`,
    ...(matters === undefined ? [] : [`${indent}${matters}`]),
    ...(mend === undefined ? [] : [`${indent}${look.paint('strong', mend)}`]),
  ]);
}

export function doctorJson(checks: readonly Check[]) {
  return {
    ready: checks.every(({ verdict }) => verdict !== 'missing'),
    checks: checks.map(({ matters = null, mend = null, ...rest }) => ({ ...rest, matters, mend })),
  };
}
