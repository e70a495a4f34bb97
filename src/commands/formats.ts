import type { SequenceResult } from '../analysis/result.ts';
import { UsageError } from '../errors.ts';
import { analysisCsv, tokenizeCsv } from '../report/csv.ts';
import { jsonLinesReport, jsonReport } from '../report/json.ts';
import type { Output } from '../report/output.ts';
import { fileOutput, Gathered, streamOutput } from '../report/output.ts';
import { ResumableOutput } from '../report/resume.ts';
import type { AnalysisHead, Format, Report, Summary, TokenizedSequence, TokenizeHead } from '../report/report.ts';
import { FORMATS } from '../report/report.ts';
import { tableReport } from '../report/table.ts';
import type { Look } from '../report/terminal.ts';
import { lookOf } from '../report/terminal.ts';
import { tokensTable } from '../report/tokens-table.ts';
import type { OptionSpec, ParsedArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';

export const OUTPUT_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'format',
    value: 'FORMAT',
    choices: FORMATS,
    help: 'table (default), json, jsonl (a line a sequence, as it is known) or csv (a row a token)',
  },
  { name: 'output', value: 'F', help: 'write the results to F, which appears when it is complete' },
];

/** The format asked for and the place where results go. */
export interface Destination {
  format: Format;
  look: Look;
  output: Output;
  /** The same output where `--resume` is given. */
  resumed?: ResumableOutput;
  /** Whether results go to a terminal as they come: then no progress is shown between them. */
  onTerminal: boolean;
}

/** @throws UsageError for a format that is none, IoError where the output file cannot be written */
export async function openDestination(parsed: ParsedArguments, io: CommandIo): Promise<Destination> {
  const format = parsed.choice<Format>('format') ?? 'table';
  const path = parsed.text('output');
  if (path === '-')
    throw new UsageError('--output takes the name of a file, not -', {
      hint: 'Without it results go to standard output.',
    });
  if (path === undefined) {
    const onTerminal = io.stdout.isTTY === true;
    return { format, look: lookOf(io.stdout, io.env), output: streamOutput(io.stdout), onTerminal };
  }
  const look = lookOf({}, io.env);
  if (!parsed.has('resume')) return { format, look, output: await fileOutput(path), onTerminal: false };
  const resumed = await ResumableOutput.open(path);
  return { format, look, output: resumed, resumed, onTerminal: false };
}

export function analysisReport(
  { format, look }: Destination,
  head: AnalysisHead,
  many: boolean,
): Report<SequenceResult> {
  if (format === 'json') return jsonReport(head);
  if (format === 'jsonl') return jsonLinesReport();
  return format === 'csv' ? analysisCsv(head.options) : tableReport(head, look, many);
}

export function tokenizeReport(
  { format, look }: Destination,
  head: TokenizeHead,
  many: boolean,
): Report<TokenizedSequence> {
  if (format === 'json') return jsonReport(head);
  if (format === 'jsonl') return jsonLinesReport();
  return format === 'csv' ? tokenizeCsv() : tokensTable(head, look, many);
}

/**
 * Writes sequences as they become known and commits the output at the end. Where something fails, the sequences before it
 * stand on standard output, complete, and an output file does not appear.
 * @param started when the run began, in `performance.now()`'s milliseconds
 */
export async function writeReport<Sequence extends { tokens: readonly unknown[] }>(
  report: Report<Sequence>,
  sequences: AsyncIterable<Sequence>,
  output: Output,
  started: number,
): Promise<void> {
  const summary: Summary = { sequences: 0, tokens: 0, seconds: 0 };
  const gathered = new Gathered((text) => output.write(text));
  try {
    for await (const sequence of sequences) {
      if (summary.sequences === 0) await gathered.add(report.head());
      for (const part of report.sequence(sequence)) await gathered.add(part);
      // Known now, so shown now.
      await gathered.flush();
      summary.sequences++;
      summary.tokens += sequence.tokens.length;
    }
    if (summary.sequences === 0) await gathered.add(report.head());
    summary.seconds = (performance.now() - started) / 1000;
    await gathered.add(report.tail(summary));
    await gathered.flush();
    await output.commit();
  } catch (error) {
    await output.discard();
    throw error;
  }
}
