import { readConfig } from '../bert/config.ts';
import { InputError } from '../errors.ts';
import { pathFromHere, resolveModel } from '../hub/resolve.ts';
import type { TokenizedSequence } from '../report/report.ts';
import { loadTokenizer } from '../text/load.ts';
import type { InputText } from '../text/records.ts';
import type { LongText } from '../text/sequence.ts';
import { tokenizeSequence } from '../text/sequence.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { VERSION } from '../version.ts';
import type { CommandSpec } from './arguments.ts';
import { COMMON_OPTIONS, commandHelp, parseCommand, refuseStrideWithoutWindows, WHOLE_NUMBER } from './arguments.ts';
import { openDestination, OUTPUT_OPTIONS, tokenizeReport, writeReport } from './formats.ts';
import { INPUT_OPTIONS, openInputs } from './input.ts';
import type { CommandIo } from './io.ts';
import { throwIfAborted } from './io.ts';

export const TOKENIZE: CommandSpec = {
  name: 'tokenize',
  summary: 'Show the tokens of each text: ids, offsets in UTF-16 code units, words. Needs no GPU',
  usage: ['tokenize TEXT… [options]', 'tokenize --file F [options]'],
  positionals: true,
  groups: [
    { title: 'Input', options: INPUT_OPTIONS },
    {
      title: 'Long texts',
      options: [
        {
          name: 'long',
          value: 'HOW',
          choices: ['window', 'error', 'whole'],
          help: 'a text over the limit of the model: windows (default), an error, or whole',
        },
        { name: 'stride', value: 'N', help: 'tokens that two neighbouring windows share (default 128)' },
      ],
    },
    {
      title: 'Model',
      options: [{ name: 'model', value: 'DIR', help: "a folder in Hugging Face's layout, or the name of a model" }],
    },
    { title: 'Output', options: OUTPUT_OPTIONS },
    COMMON_OPTIONS,
  ],
};

/**
 * `layer8 tokenize`: what the model would see.
 * @throws UsageError, ModelError, InputError, IoError, InterruptedError
 */
export async function tokenizeCommand(args: string[], io: CommandIo): Promise<number> {
  const started = performance.now();
  const parsed = parseCommand(TOKENIZE, args);
  if (parsed.help) {
    io.stdout.write(commandHelp(TOKENIZE));
    return 0;
  }
  refuseStrideWithoutWindows(parsed);
  const long = parsed.choice<LongText>('long') ?? 'window';
  const stride = parsed.number('stride', WHOLE_NUMBER) ?? 128;
  const inputs = await openInputs(parsed, io);
  try {
    const { folder, name } = await resolveModel(parsed.text('model'), { env: io.env });
    const [tokenizer, config] = await Promise.all([loadTokenizer(folder), readConfig(folder)]);
    const maxLength = Math.min(tokenizer.modelMaxLength, config.maxPositionEmbeddings);
    const destination = await openDestination(parsed, io);
    const head = { layer8: VERSION, model: { name, path: pathFromHere(folder) }, options: { long, stride } };
    const report = tokenizeReport(destination, head, inputs.many);
    const sequences = tokenizeAll(inputs.texts(), tokenizer, long, { maxLength, stride }, inputs.many, io.signal);
    await writeReport(report, sequences, destination.output, started);
    return 0;
  } finally {
    await inputs.close();
  }
}

async function* tokenizeAll(
  texts: AsyncIterable<InputText>,
  tokenizer: Tokenizer,
  long: LongText,
  limits: { maxLength: number; stride: number },
  many: boolean,
  signal: AbortSignal,
): AsyncGenerator<TokenizedSequence> {
  for await (const input of texts) {
    throwIfAborted(signal);
    const { id, text, pair } = input;
    try {
      const { tokens, windows } = tokenizeSequence(tokenizer, text, pair, long, limits);
      yield { id, text, ...(pair !== undefined && { pair }), ...(windows.length > 1 && { windows }), tokens };
    } catch (error) {
      if (!many || !(error instanceof InputError)) throw error;
      throw new InputError(`sequence ${id}: ${error.message}`, { hint: error.hint, cause: error });
    }
  }
}
