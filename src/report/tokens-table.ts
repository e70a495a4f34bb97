import type { Column } from './layout.ts';
import { GAP, naturalWidth, tableLines, tableWidth } from './layout.ts';
import type { Report, TokenizedSequence, TokenizedToken, TokenizeHead } from './report.ts';
import { counted, titleOf } from './table.ts';
import type { Look } from './terminal.ts';
import { paint } from './terminal.ts';
import { printable } from './width.ts';

interface Row {
  index: number;
  token: TokenizedToken;
  /** What stands in the text at the token's offsets. */
  source: string;
}

const MOST_LABEL = 32;
/** Enough of a text for every column it may fill, whatever combining marks it has. */
const MOST_SOURCE = 8 * MOST_LABEL;

/**
 * The table of `tokenize`: each token with its id, its place in the text in UTF-16 code units, its word and its surface.
 * @param numbered whether the run may have several sequences, so that each shows its id
 */
export function tokensTable(head: TokenizeHead, look: Look, numbered: boolean): Report<TokenizedSequence> {
  return {
    head: () => '',
    *sequence(sequence) {
      const rows = sequence.tokens.map((token, index) => ({ index, token, source: sourceOf(token, sequence) }));
      yield `${titleOf(sequence, look, numbered)}\n`;
      if (sequence.windows !== undefined) {
        yield paint(look, 'dim', `${sequence.windows.length} windows that share ${head.options.stride} tokens\n`);
      }
      yield '\n';
      yield* tableLines(columnsOf(rows, sequence, look), rows, (text) => paint(look, 'dim', text));
      yield '\n';
    },
    tail: ({ sequences, tokens }) =>
      `${paint(look, 'dim', `${printable(head.model.name)} · ${counted(sequences, tokens)}`)}\n`,
  };
}

function columnsOf(rows: readonly Row[], sequence: TokenizedSequence, look: Look): Column<Row>[] {
  const number = (heading: string, value: (row: Row) => number | null): Column<Row> => {
    let width = heading.length;
    for (const row of rows) width = Math.max(width, String(value(row) ?? '').length);
    return { heading, width, align: 'right', cell: (row) => String(value(row) ?? '') };
  };
  const text = (heading: string, value: (row: Row) => string, most: number): Column<Row> => ({
    heading,
    width: naturalWidth(rows.map(value), heading, most),
    align: 'left',
    cell: value,
    paint: (row, cell) => (row.token.special ? paint(look, 'dim', cell) : cell),
  });
  const columns = [
    number('#', (row) => row.index),
    text('token', (row) => printable(row.token.token), MOST_LABEL),
    number('id', (row) => row.token.id),
    number('start', (row) => row.token.start),
    number('end', (row) => row.token.end),
    number('word', (row) => row.token.word),
    ...(sequence.pair === undefined ? [] : [number('segment', (row) => row.token.segment)]),
  ];
  // Where the line is too short for both, the surface goes, and the token gets what is left.
  const free = look.width - tableWidth(columns) - GAP.length;
  if (free >= 'surface'.length) return [...columns, text('surface', (row) => row.source, Math.min(MOST_LABEL, free))];
  const excess = tableWidth(columns) - look.width;
  if (excess > 0) columns[1].width = Math.max(1, columns[1].width - excess);
  return columns;
}

function sourceOf(token: TokenizedToken, sequence: TokenizedSequence): string {
  if (token.start === null || token.end === null) return '';
  const text = token.segment === 1 ? (sequence.pair ?? '') : sequence.text;
  return printable(text.slice(token.start, Math.min(token.end, token.start + MOST_SOURCE)));
}
