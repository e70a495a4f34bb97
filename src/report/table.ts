import type { AnalysisOptions, Bucket, SequenceResult, Shift, TokenResult } from '../analysis/result.ts';
import { axisFor, barHeading, marginBar, sparkline } from './bars.ts';
import type { Column } from './layout.ts';
import { GAP, naturalWidth, tableLines, tableWidth, wrap } from './layout.ts';
import type { AnalysisHead, Report, Summary } from './report.ts';
import type { Look } from './terminal.ts';
import { paint } from './terminal.ts';
import { clip, printable } from './width.ts';

/** One line of the table: a token, or with unit `word` a word above its pieces. */
interface Row {
  label: string;
  tas: number;
  bucket: Bucket | null;
  borderline: boolean;
  flow?: Float32Array | undefined;
  shift?: Shift | undefined;
  /** (TAS − θ) / θ in percent; null where nothing is decided. */
  margin: number | null;
}

const MOST_LABEL = 32;
const LEAST_LABEL = 8;
const MOST_HALF_BAR = 15;
const LEAST_HALF_BAR = 4;
const BORDERLINE = '~';
const BORDERLINE_NOTE = `${BORDERLINE} borderline: the cut is narrower than float32's rounding; another adapter may decide otherwise`;

/**
 * The table for people: tokens in text order, each with its TAS, margin to θ, bar and bucket.
 * @param numbered whether the run may have several sequences, so that each shows its id
 */
export function tableReport(head: AnalysisHead, look: Look, numbered: boolean): Report<SequenceResult> {
  let borderlines = 0;
  return {
    head: () => '',
    *sequence(sequence) {
      const rows = rowsOf(sequence, head.options);
      borderlines += rows.filter((row) => row.borderline).length;
      yield `${titleOf(sequence, look, numbered)}\n`;
      for (const line of verdictOf(sequence, head.options, look)) yield `${line}\n`;
      const { columns, notes } = columnsOf(rows, head.options, look);
      if (sequence.windows !== undefined) notes.push(windowsNote(sequence.windows, head.options.stride));
      for (const note of notes) yield dimLines(look, note.split(' '), ' ');
      yield '\n';
      yield* tableLines(columns, rows, (text) => paint(look, 'dim', text));
      yield '\n';
    },
    tail(summary) {
      const lines = dimLines(look, closingParts(head, summary), ' · ');
      return borderlines === 0 ? lines : dimLines(look, BORDERLINE_NOTE.split(' '), ' ') + lines;
    },
  };
}

/** Text beside the table itself, in lines that the terminal need not break. */
function dimLines(look: Look, parts: readonly string[], separator: string): string {
  return wrap(parts, separator, look.width)
    .map((line) => `${paint(look, 'dim', line)}\n`)
    .join('');
}

/** What was computed with what, and how long it took. */
function closingParts({ model, adapter, options }: AnalysisHead, { sequences, tokens, seconds }: Summary): string[] {
  return [
    `${model.name} (${model.dtype}), layer ${options.layer} of ${model.layers}`,
    `${adapter.name}${adapter.software ? ', software' : ''}, ${adapter.kernels} kernels`,
    counted(sequences, tokens),
    `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`,
  ].map(printable);
}

/** `2 sequences, 1,203 tokens`. */
export function counted(sequences: number, tokens: number): string {
  const count = (n: number, noun: string) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;
  return `${count(sequences, 'sequence')}, ${count(tokens, 'token')}`;
}

/** The text of a sequence on one line, its id before it where there may be several. */
export function titleOf(sequence: { id: string; text: string; pair?: string }, look: Look, numbered: boolean): string {
  const id = numbered ? `${clip(printable(sequence.id), 24)}${GAP}` : '';
  const text = sequence.pair === undefined ? sequence.text : `${sequence.text} ⁄ ${sequence.pair}`;
  // Far more than a line holds, and little enough to look at each character.
  const line = clip(printable(id + text.slice(0, 8 * look.width)), look.width);
  return paint(look, 'bold', line.trimEnd());
}

function verdictOf(sequence: SequenceResult, options: AnalysisOptions, look: Look): string[] {
  const noun = options.unit === 'word' ? 'word' : 'token';
  if (sequence.threshold === null) return [`no ranked ${noun}: no θ, no bucket`];
  const sign = options.boundary === 'inclusive' ? '≥' : '>';
  const rule =
    options.threshold === null
      ? `${options.quantile} quantile, ${options.interpolation}${options.scope === 'corpus' ? ', over all sequences' : ''}`
      : 'given';
  const theta = `θ ${sequence.threshold.toFixed(decimalsFor(sequence.threshold) + 1)}`;
  const nouns = `${noun}${sequence.ranked === 1 ? '' : 's'}`;
  const high = `${sequence.high} of ${sequence.ranked} ranked ${nouns} HIGH (TAS ${sign} θ)`;
  const [first, ...rest] = wrap([`${theta} (${rule})`, high], GAP, look.width);
  return [paint(look, 'bold', theta) + first.slice(theta.length), ...rest];
}

function windowsNote(windows: readonly { start: number; end: number }[], stride: number): string {
  return `${windows.length} windows that share ${stride} tokens; each token from the one in which it is farthest from an edge`;
}

function rowsOf(sequence: SequenceResult, options: AnalysisOptions): Row[] {
  const theta = sequence.threshold;
  const marginOf = (tas: number, bucket: Bucket | null) =>
    bucket === null || theta === null || theta === 0 ? null : ((tas - theta) / theta) * 100;
  const tokenRow = (token: TokenResult, label: string): Row => ({
    label,
    tas: token.tas,
    bucket: token.bucket,
    borderline: token.borderline,
    flow: token.flow,
    shift: token.shift,
    margin: marginOf(token.tas, token.bucket),
  });
  if (options.unit === 'token' || sequence.words === undefined) {
    return sequence.tokens.map((token) => tokenRow(token, labelOf(token, sequence)));
  }

  const wordsByFirst = new Map(sequence.words.map((word) => [word.tokens[0], word]));
  const rows: Row[] = [];
  for (const [index, token] of sequence.tokens.entries()) {
    const word = wordsByFirst.get(index);
    const alone = word?.tokens.length === 1;
    if (word !== undefined) {
      rows.push({
        label: printable(word.text),
        tas: word.tas,
        bucket: word.bucket,
        borderline: word.borderline,
        margin: marginOf(word.tas, word.bucket),
        ...(alone && { flow: token.flow, shift: token.shift }),
      });
    }
    if (!alone)
      rows.push(tokenRow(token, token.special ? labelOf(token, sequence) : `${GAP}${labelOf(token, sequence)}`));
  }
  return rows;
}

/** The piece; for one that the vocabulary lacks, also what stands in the text. */
function labelOf(token: TokenResult, sequence: SequenceResult): string {
  if (token.special || token.token !== '[UNK]' || token.start === null || token.end === null)
    return printable(token.token);
  const source = token.segment === 1 ? (sequence.pair ?? '') : sequence.text;
  return `${token.token} ${printable(source.slice(token.start, Math.min(token.end, token.start + 8 * MOST_LABEL)))}`;
}

/** Chooses the columns that fit: the bar shrinks first, then the labels, then the bar goes, then columns from the right. */
function columnsOf(
  rows: readonly Row[],
  options: AnalysisOptions,
  look: Look,
): { columns: Column<Row>[]; notes: string[] } {
  const notes: string[] = [];
  const strong = (row: Row, cell: string) => styled(look, row, cell);
  let largest = 0;
  for (const row of rows) largest = Math.max(largest, row.tas);
  const decimals = decimalsFor(largest);

  const tas: Column<Row> = numberColumn('TAS', rows, (row) => row.tas.toFixed(decimals));
  const margin = numberColumn('margin', rows, (row) => (row.margin === null ? '' : `${signed(row.margin, 2)} %`));
  const bucket: Column<Row> = {
    heading: 'bucket',
    width: 6,
    align: 'left',
    cell: (row) => (row.bucket === null ? '–' : row.bucket + (row.borderline ? ` ${BORDERLINE}` : '')),
    paint: strong,
  };
  const extras = [...flowColumn(rows, options, notes), ...shiftColumns(rows, options, notes)];
  const fixed = [tas, margin, bucket];
  const room = (columns: readonly { width: number }[]) => look.width - tableWidth(columns) - GAP.length;
  let dropped = 0;
  while (extras.length > 0 && room([...fixed, ...extras]) < LEAST_LABEL) {
    extras.pop();
    dropped++;
  }
  if (dropped > 0) notes.push(`${dropped} more columns need a wider terminal; --format csv has them all`);

  const labels = naturalWidth(
    (function* () {
      for (const row of rows) yield row.label;
    })(),
    'token',
    MOST_LABEL,
  );
  const free = room([...fixed, ...extras]);
  const leastBar = 2 * LEAST_HALF_BAR + 1 + GAP.length;
  const drawn = rows.some((row) => row.margin !== null) && free - leastBar >= LEAST_LABEL;
  const labelWidth = Math.max(1, Math.min(labels, drawn ? free - leastBar : free));
  const label: Column<Row> = {
    heading: options.unit === 'word' ? 'word' : 'token',
    width: labelWidth,
    align: 'left',
    cell: (row) => row.label,
    paint: strong,
  };
  if (!drawn) return { columns: [label, ...fixed, ...extras], notes };

  const half = Math.min(MOST_HALF_BAR, (free - labelWidth - GAP.length - 1) >> 1);
  const axis = axisFor(margins(rows));
  const bar: Column<Row> = {
    heading: barHeading(axis, half),
    width: 2 * half + 1,
    align: 'left',
    cell: (row) =>
      row.margin === null ? `${' '.repeat(half)}│${' '.repeat(half)}` : marginBar(row.margin, axis, half),
    paint: strong,
  };
  return { columns: [label, tas, margin, bar, bucket, ...extras], notes };
}

function flowColumn(rows: readonly Row[], options: AnalysisOptions, notes: string[]): Column<Row>[] {
  if (!options.flow) return [];
  let least = Infinity;
  let greatest = -Infinity;
  // Special tokens lie far from the others and would flatten them; only where nothing is ranked do they set the axis.
  const ranked = rows.filter((row) => row.bucket !== null && row.flow !== undefined);
  for (const row of ranked.length > 0 ? ranked : rows) {
    for (const value of row.flow ?? []) {
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
    }
  }
  if (least === Infinity) return [];
  const decimals = Math.max(0, decimalsFor(greatest) - 2);
  notes.push(
    `flow: TAS at layers 0 to ${options.layer}, from ▁ ${least.toFixed(decimals)} to █ ${greatest.toFixed(decimals)}`,
  );
  return [
    {
      heading: 'flow',
      width: Math.max(4, options.layer + 1),
      align: 'left',
      cell: (row) => (row.flow === undefined ? '' : sparkline(row.flow, least, greatest)),
    },
  ];
}

function shiftColumns(rows: readonly Row[], options: AnalysisOptions, notes: string[]): Column<Row>[] {
  if (!options.shift) return [];
  const before = options.layer - 1;
  notes.push(
    options.layer === 0
      ? 'shift: layer 0 has none before it'
      : `shift from layer ${before} to ${options.layer}: ‖Δh‖ displacement, Δ‖h‖ change of norm, 1−cos rotation; ‖h−h₀‖ from layer 0`,
  );
  const column = (heading: string, value: (shift: Shift) => string | undefined) =>
    numberColumn(heading, rows, (row) => (row.shift && value(row.shift)) ?? '');
  return [
    column('‖Δh‖', (shift) => shift.displacement?.toFixed(3)),
    column('Δ‖h‖', (shift) => (shift.normChange === null ? undefined : signed(shift.normChange, 3))),
    column('1−cos', (shift) => shift.rotation?.toFixed(4)),
    column('‖h−h₀‖', (shift) => shift.fromInput.toFixed(3)),
  ];
}

function numberColumn(heading: string, rows: readonly Row[], cell: (row: Row) => string): Column<Row> {
  let width = heading.length;
  for (const row of rows) width = Math.max(width, cell(row).length);
  return { heading, width, align: 'right', cell };
}

function* margins(rows: readonly Row[]): Generator<number> {
  for (const { margin } of rows) if (margin !== null) yield margin;
}

/** Decimals that show six significant digits of a number of this size. */
function decimalsFor(value: number): number {
  return value > 0 ? Math.min(10, Math.max(0, 5 - Math.floor(Math.log10(value)))) : 4;
}

function signed(value: number, decimals: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(decimals)}`;
}

/** Colour on top of the word HIGH and the side of the bar, never instead of them. */
function styled(look: Look, row: Row, cell: string): string {
  if (row.bucket === 'HIGH') return paint(look, ['bold', 'cyan'], cell);
  return row.bucket === null ? paint(look, 'dim', cell) : cell;
}
