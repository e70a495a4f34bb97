import type { AnalysisOptions, SequenceResult, TokenResult } from '../analysis/result.ts';
import { shortestDecimal } from './decimal.ts';
import type { Report, TokenizedSequence, TokenizedToken } from './report.ts';

type Cell = string | number | boolean | null | undefined;

interface Column<Sequence, Token> {
  name: string;
  cell: (token: Token, index: number, sequence: Sequence) => Cell;
}

/** RFC 4180: a header, one row a token, CRLF; `null` is an empty field. */
export function tokenizeCsv(): Report<TokenizedSequence> {
  return csvReport<TokenizedToken, TokenizedSequence>(TOKEN_COLUMNS);
}

/** As `tokenizeCsv`, with the numbers; a word's numbers stand in the row of each of its pieces. */
export function analysisCsv(options: AnalysisOptions): Report<SequenceResult> {
  const columns: Column<SequenceResult, TokenResult>[] = [...TOKEN_COLUMNS, ...TAS_COLUMNS];
  if (options.flow) {
    for (let layer = 0; layer <= options.layer; layer++) {
      columns.push({ name: `flow${layer}`, cell: (token) => token.flow?.[layer] });
    }
  }
  if (options.shift) {
    for (const name of ['displacement', 'normChange', 'rotation', 'fromInput'] as const) {
      columns.push({ name, cell: (token) => token.shift?.[name] });
    }
  }
  if (options.unit === 'word') columns.push(...wordColumns());
  return csvReport(columns);
}

const TOKEN_COLUMNS: readonly Column<{ id: string }, TokenizedToken>[] = [
  { name: 'sequence', cell: (_, __, sequence) => sequence.id },
  { name: 'index', cell: (_, index) => index },
  { name: 'token', cell: (token) => token.token },
  { name: 'id', cell: (token) => token.id },
  { name: 'segment', cell: (token) => token.segment },
  { name: 'start', cell: (token) => token.start },
  { name: 'end', cell: (token) => token.end },
  { name: 'word', cell: (token) => token.word },
  { name: 'special', cell: (token) => token.special },
  { name: 'window', cell: (token) => token.window },
];

const TAS_COLUMNS: readonly Column<SequenceResult, TokenResult>[] = [
  { name: 'tas', cell: (token) => token.tas },
  { name: 'bucket', cell: (token) => token.bucket },
  { name: 'borderline', cell: (token) => token.borderline },
  { name: 'threshold', cell: (_, __, sequence) => sequence.threshold },
];

/** A word is found by the token that starts its list; the list of words is in text order, as the tokens are. */
function wordColumns(): Column<SequenceResult, TokenResult>[] {
  let of: SequenceResult | undefined;
  let words = new Map<number, NonNullable<SequenceResult['words']>[number]>();
  const wordAt = (index: number, sequence: SequenceResult) => {
    if (of !== sequence) {
      of = sequence;
      words = new Map((sequence.words ?? []).flatMap((word) => word.tokens.map((token) => [token, word] as const)));
    }
    return words.get(index);
  };
  return [
    { name: 'wordText', cell: (_, index, sequence) => wordAt(index, sequence)?.text },
    { name: 'wordTas', cell: (_, index, sequence) => wordAt(index, sequence)?.tas },
    { name: 'wordBucket', cell: (_, index, sequence) => wordAt(index, sequence)?.bucket },
    { name: 'wordBorderline', cell: (_, index, sequence) => wordAt(index, sequence)?.borderline },
  ];
}

function csvReport<Token, Sequence extends { tokens: Token[] }>(
  columns: readonly Column<Sequence, Token>[],
): Report<Sequence> {
  return {
    head: () => csvRow(columns.map(({ name }) => name)),
    *sequence(sequence) {
      for (const [index, token] of sequence.tokens.entries()) {
        yield csvRow(columns.map(({ cell }) => cell(token, index, sequence)));
      }
    },
    tail: () => '',
  };
}

/** One record of RFC 4180, its line break included. */
export function csvRow(cells: readonly Cell[]): string {
  return `${cells.map(csvField).join(',')}\r\n`;
}

function csvField(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell !== 'string') return String(typeof cell === 'number' ? shortestDecimal(cell) : cell);
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
