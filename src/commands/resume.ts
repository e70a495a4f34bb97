import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnalysisOptions } from '../analysis/result.ts';
import { UsageError } from '../errors.ts';
import type { AnalysisHead } from '../report/report.ts';
import type { ResumableOutput, RunIdentity } from '../report/resume.ts';
import type { InputText } from '../text/records.ts';
import type { ParsedArguments } from './arguments.ts';
import { refuseTogether } from './arguments.ts';

/**
 * The file that `--resume` is to complete, or undefined without it.
 * @throws UsageError where nothing could be gone on with
 */
export function resumedPath(parsed: ParsedArguments, options: AnalysisOptions): string | undefined {
  if (!parsed.has('resume')) return undefined;
  const path = parsed.text('output');
  if (path === undefined || path === '-' || parsed.choice('format') !== 'jsonl') {
    throw new UsageError('--resume is for --format jsonl --output F: lines in a file are what can be gone on with');
  }
  if (options.scope === 'corpus') {
    throw new UsageError('--resume and --scope corpus exclude each other: one θ of all texts is known at the end');
  }
  refuseTogether(parsed, 'resume', ['save-hidden-states'], 'only the lines of the results are kept');
  return path;
}

/** What a model folder holds that results depend on. */
const MODEL_FILE =
  /^(?:(?:config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json|vocab\.txt|.*\.safetensors(?:\.index\.json)?)$/;

/** All that a result depends on besides its text. A model whose files have changed is another. */
export async function runIdentity(head: AnalysisHead): Promise<RunIdentity> {
  const folder = await realpath(head.model.path);
  const files: Record<string, { bytes: number; changed: string }> = {};
  for (const name of (await readdir(folder)).sort()) {
    if (!MODEL_FILE.test(name)) continue;
    const { size, mtime } = await stat(join(folder, name));
    files[name] = { bytes: size, changed: mtime.toISOString() };
  }
  return { ...head, model: { ...head.model, path: folder, files } };
}

/** The texts that an earlier run was not done with. */
export async function* remainingTexts(
  resumed: ResumableOutput,
  texts: AsyncIterable<InputText>,
  onPassed: (text: InputText) => void,
  note: (line: string) => void,
): AsyncGenerator<InputText> {
  let first = true;
  for await (const text of resumed.remaining(texts, onPassed)) {
    if (first && resumed.passed > 0) note(`going on after ${resumed.passed.toLocaleString('en')} sequences`);
    first = false;
    yield text;
  }
}
