// SPDX-License-Identifier: BSD-2-Clause
// Rows under a heading, written one by one as time goes on and never redrawn.

export interface Column {
  title: string;
  /** Characters, at least the title's. */
  width: number;
}

/** The heading is written again after this many rows, about a screenful. */
const ROWS_A_HEADING = 20;

export class Columns {
  private rows = 0;

  constructor(
    private readonly columns: readonly Column[],
    private readonly write: (line: string) => void,
    private readonly style: (heading: string) => string = (heading) => heading,
  ) {}

  row(cells: readonly string[]): void {
    if (this.rows++ % ROWS_A_HEADING === 0)
      this.write(this.style(this.line(this.columns.map((column) => column.title))));
    this.write(this.line(cells));
  }

  /** Right-aligned; a cell too wide pushes the rest of its row, rather than lose digits. */
  private line(cells: readonly string[]): string {
    return cells.map((cell, i) => cell.padStart(this.columns[i]?.width ?? 0)).join(' ');
  }
}

/** "name   value" lines with the values in one column. */
export function fields(rows: readonly (readonly [name: string, value: string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
