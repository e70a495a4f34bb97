import { clip, displayWidth, pad } from './width.ts';

/** One column of a table on a terminal. */
export interface Column<Row> {
  heading: string;
  width: number;
  /** Where the text stands in the column: numbers right. */
  align: 'left' | 'right';
  /** Without colour and, where it can be longer than the column, clipped. */
  cell: (row: Row) => string;
  /** Colours a finished cell. */
  paint?: (row: Row, cell: string) => string;
}

export const GAP = '  ';

/** Columns a row takes, the gaps included. */
export function tableWidth(columns: readonly { width: number }[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + GAP.length * Math.max(0, columns.length - 1);
}

/** The heading and then each row, a line each, without spaces at its end. */
export function* tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: Iterable<Row>,
  dim: (text: string) => string,
): Generator<string> {
  yield `${dim(
    columns
      .map(({ heading, width, align }) => pad(clip(heading, width), width, side(align)))
      .join(GAP)
      .trimEnd(),
  )}\n`;
  for (const row of rows) {
    const line = columns.map(({ width, align, cell, paint }, i) => {
      const text = clip(cell(row), width);
      const last = i === columns.length - 1;
      const padded = last && align === 'left' ? text : pad(text, width, side(align));
      return paint === undefined ? padded : paint(row, padded);
    });
    yield `${line.join(GAP).trimEnd()}\n`;
  }
}

/** The width that holds every cell, at most `most`. */
export function naturalWidth(cells: Iterable<string>, heading: string, most: number): number {
  let width = displayWidth(heading);
  for (const cell of cells) {
    if (width >= most) return most;
    width = Math.max(width, displayWidth(cell));
  }
  return Math.min(width, most);
}

/** Lines of at most `columns`, broken at a separator; what is longer by itself stays whole. */
export function wrap(parts: readonly string[], separator: string, columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const joined = `${last}${separator}${part}`;
    if (last !== undefined && displayWidth(joined) <= columns) lines[lines.length - 1] = joined;
    else lines.push(part);
  }
  return lines;
}

function side(align: 'left' | 'right'): 'left' | 'right' {
  return align === 'left' ? 'right' : 'left';
}
