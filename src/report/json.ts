import type { SequenceResult } from '../analysis/result.ts';
import { shortestDecimal } from './decimal.ts';
import type { AnalysisHead, Report, TokenizedSequence, TokenizeHead } from './report.ts';

/** One JSON object: the head's members on lines of their own, then each sequence on one line. */
export function jsonReport(head: AnalysisHead | TokenizeHead): Report<SequenceResult | TokenizedSequence> {
  let sequences = 0;
  return {
    head() {
      const members = Object.entries(head).map(
        ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`,
      );
      return `{\n${members.join('')}  "sequences": [`;
    },
    *sequence(sequence) {
      yield sequences++ === 0 ? '\n    ' : ',\n    ';
      yield* sequenceJson(sequence);
    },
    tail: () => (sequences === 0 ? ']\n}\n' : '\n  ]\n}\n'),
  };
}

/** Each sequence as one line (https://jsonlines.org). */
export function jsonLinesReport(): Report<SequenceResult | TokenizedSequence> {
  return {
    head: () => '',
    *sequence(sequence) {
      yield* sequenceJson(sequence);
      yield '\n';
    },
    tail: () => '',
  };
}

/** How the JSON of a sequence begins: the members that its input gives, and the name of the first that the analysis adds. */
export function sequenceStart({ id, text, pair }: Pick<SequenceResult, 'id' | 'text' | 'pair'>): string {
  return `${stringify({ id, text, ...(pair !== undefined && { pair }) }).slice(0, -1)},"threshold":`;
}

/** One element of `sequences`, in pieces: all but its tokens and words, then these one by one. */
function* sequenceJson(sequence: SequenceResult | TokenizedSequence): Generator<string> {
  const { tokens, ...rest } = sequence;
  const words = 'words' in rest ? rest.words : undefined;
  if ('words' in rest) delete rest.words;
  yield stringify(rest).slice(0, -1);
  yield* listJson('tokens', tokens);
  if (words !== undefined) yield* listJson('words', words);
  yield '}';
}

function* listJson(name: string, items: readonly object[]): Generator<string> {
  yield `,"${name}":[`;
  let first = true;
  for (const item of items) {
    yield first ? stringify(item) : `,${stringify(item)}`;
    first = false;
  }
  yield ']';
}

function stringify(value: object): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === 'number') return shortestDecimal(member);
    if (member instanceof Float32Array) return Array.from(member);
    return member;
  });
}
