// SPDX-License-Identifier: BSD-2-Clause
// Aligned columns for a terminal; loaded only when one is there.
import Table from 'cli-table3';

import { PLAIN_TABLE } from './terminal.js';

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** Left out where the terminal is too narrow, the highest first; absent = never. */
  spare?: number;
}

export type Style = 'heading' | 'strong' | 'faint' | 'alert';
export type Cell = string | { text: string; style: Style };

export interface Look {
  /** Characters a line. */
  width: number;
  paint(style: Style, text: string): string;
}

const GAP = 2;

const textOf = (cell: Cell | undefined): string =>
  cell === undefined ? '' : typeof cell === 'string' ? cell : cell.text;

/** Indices of the columns that fit. */
function fitting(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number) {
  const widths = columns.map(({ title }, i) =>
    rows.reduce((most, row) => Math.max(most, textOf(row[i]).length), title.length),
  );
  let shown = columns.map((_, i) => i);
  const total = (): number => shown.reduce((sum, i) => sum + (widths[i] ?? 0) + GAP, -GAP);
  while (total() > width) {
    const spare = shown
      .filter((i) => columns[i]?.spare !== undefined)
      .sort((a, b) => (columns[b]?.spare ?? 0) - (columns[a]?.spare ?? 0))[0];
    if (spare === undefined) break;
    shown = shown.filter((i) => i !== spare);
  }
  return shown;
}

/** The table as lines. Cells are never cut: too narrow a terminal loses spare columns, then wraps. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  look: Look,
): string[] {
  const shown = fitting(columns, rows, look.width);
  const painted = (cell: Cell | undefined): string =>
    cell === undefined || typeof cell === 'string'
      ? (cell ?? '')
      : look.paint(cell.style, cell.text);
  const table = new Table({
    ...PLAIN_TABLE,
    head: shown.map((i) => look.paint('heading', columns[i]?.title ?? '')),
    colAligns: shown.map((i) => columns[i]?.align ?? 'left'),
  });
  table.push(...rows.map((row) => shown.map((i) => painted(row[i]))));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
