import type { AnalysisOptions } from '../analysis/result.ts';
import { DEFAULT_OPTIONS, INTERPOLATIONS } from '../analysis/result.ts';
import { IoError, UsageError } from '../errors.ts';
import { withOutputLock } from '../report/resume.ts';
import { BrokenPipe } from '../report/stream.ts';
import type { InputText } from '../text/records.ts';
import { VERSION } from '../version.ts';
import type { CommandSpec, ParsedArguments } from './arguments.ts';
import {
  COMMON_OPTIONS,
  commandHelp,
  parseCommand,
  refuseStrideWithoutWindows,
  refuseTogether,
  WHOLE_NUMBER,
} from './arguments.ts';
import type { Destination } from './formats.ts';
import { analysisReport, openDestination, OUTPUT_OPTIONS, writeReport } from './formats.ts';
import { HiddenStatesFile } from './hidden-states.ts';
import { INPUT_OPTIONS, openInputs } from './input.ts';
import type { CommandIo } from './io.ts';
import { throwIfAborted } from './io.ts';
import { startMeter } from './meter.ts';
import { remainingTexts, resumedPath, runIdentity } from './resume.ts';

export const ANALYZE: CommandSpec = {
  name: 'analyze',
  summary: 'Run BERT up to a layer; show the activation strength of each token (TAS), θ, and HIGH or LOW',
  usage: [
    '[analyze] TEXT… [options]',
    '[analyze] --file F [options]',
    'analyze [options] -- TEXT…   for a text that is the name of a command',
  ],
  positionals: true,
  groups: [
    { title: 'Input', options: INPUT_OPTIONS },
    {
      title: 'What is measured',
      options: [
        { name: 'layer', value: 'N', help: 'measure hidden_states[N]; 0 is the embedding output (default 8)' },
        { name: 'unit', value: 'UNIT', choices: ['token', 'word'], help: 'rank tokens (default) or words' },
        {
          name: 'word-reduce',
          value: 'HOW',
          choices: ['max', 'mean', 'first'],
          help: "a word's TAS is the max (default), mean or first of its pieces'",
        },
        { name: 'flow', help: 'also TAS at every layer from 0 to N' },
        { name: 'shift', help: 'also how far each token moved in the last layer and from the embedding output' },
      ],
    },
    {
      title: 'What is HIGH',
      options: [
        { name: 'quantile', value: 'Q', help: 'θ is this quantile of TAS, from 0 to 1 (default 0.75)' },
        {
          name: 'interpolation',
          value: 'METHOD',
          choices: INTERPOLATIONS,
          help: "the quantile's method, by NumPy's name (default linear)",
        },
        {
          name: 'boundary',
          value: 'RULE',
          choices: ['inclusive', 'exclusive'],
          help: 'HIGH is TAS ≥ θ (inclusive, default) or TAS > θ (exclusive)',
        },
        {
          name: 'specials',
          value: 'RULE',
          choices: ['exclude', 'include'],
          help: 'whether [CLS] and [SEP] are ranked (default exclude)',
        },
        {
          name: 'scope',
          value: 'SCOPE',
          choices: ['sequence', 'corpus'],
          help: 'one θ a sequence (default), or one over the whole run',
        },
        { name: 'threshold', value: 'NUMBER', help: 'θ itself, in place of a quantile' },
      ],
    },
    {
      title: 'Long texts',
      options: [
        {
          name: 'long',
          value: 'HOW',
          choices: ['window', 'error'],
          help: 'a text over the limit of the model: overlapping windows (default) or an error',
        },
        { name: 'stride', value: 'N', help: 'tokens that two neighbouring windows share (default 128)' },
      ],
    },
    {
      title: 'Model and adapter',
      options: [
        {
          name: 'model',
          value: 'DIR',
          help: "a folder in Hugging Face's layout, or the name of a model (default bert-base-uncased)",
        },
        { name: 'adapter', value: 'NAME', help: 'the adapter whose name holds NAME; layer8 doctor lists them' },
        {
          name: 'kernels',
          value: 'RUNG',
          choices: ['auto', 'plain'],
          help: 'the fastest kernels of this adapter (auto, default) or the plain ones',
        },
        { name: 'timeout', value: 'SECONDS', help: 'give up when the GPU gives no answer for so long' },
      ],
    },
    {
      title: 'Output',
      options: [
        ...OUTPUT_OPTIONS,
        {
          name: 'resume',
          help: 'a run of --format jsonl --output F goes on where it was cut; F.partial holds what is done',
        },
        {
          name: 'save-hidden-states',
          value: 'F',
          help: 'also write hidden_states[N] to a .safetensors file, keys ID.hidden_states.N',
        },
      ],
    },
    COMMON_OPTIONS,
  ],
  notes: [
    `Methods of --interpolation: ${INTERPOLATIONS.slice(0, 7).join(', ')},\n${INTERPOLATIONS.slice(7).join(', ')}.`,
  ],
};

/**
 * `layer8 analyze`: texts in, TAS, θ and buckets out.
 * @throws every error of faults.md
 */
export async function analyzeCommand(args: string[], io: CommandIo): Promise<number> {
  const started = performance.now();
  const parsed = parseCommand(ANALYZE, args);
  if (parsed.help) {
    io.stdout.write(commandHelp(ANALYZE));
    return 0;
  }
  const options = analysisOptions(parsed);
  const resumed = resumedPath(parsed, options);
  if (resumed === undefined) return analyze(parsed, options, io, started);
  const onWait = (): void => noteTo(io, parsed)(`another process writes ${resumed}: waiting for it`);
  return withOutputLock(resumed, { signal: io.signal, onWait }, () => analyze(parsed, options, io, started));
}

async function analyze(
  parsed: ParsedArguments,
  options: AnalysisOptions,
  io: CommandIo,
  started: number,
): Promise<number> {
  const kernels = parsed.choice<'auto' | 'plain'>('kernels');
  const timeout = parsed.number('timeout', { takes: 'a number of seconds above 0', accepts: (seconds) => seconds > 0 });
  const statesPath = parsed.text('save-hidden-states');
  if (statesPath !== undefined && statesPath === parsed.text('output')) {
    throw new UsageError(`--output and --save-hidden-states name the same file: ${statesPath}`);
  }
  const model = parsed.text('model');
  const adapter = parsed.text('adapter');
  const quiet = parsed.has('quiet');
  const note = noteTo(io, parsed);

  const inputs = await openInputs(parsed, io, options.scope === 'corpus');
  let destination: Destination | undefined;
  let states: HiddenStatesFile | undefined;
  try {
    destination = await openDestination(parsed, io);
    if (statesPath !== undefined) states = await HiddenStatesFile.create(statesPath, io.signal);

    // Only now: loading the library's GPU half takes longer than all of the above.
    const { load } = await import('../index.ts');
    await using layer8 = await load({
      layers: options.layer,
      ...(model !== undefined && { model }),
      ...(adapter !== undefined && { adapter }),
      ...(kernels !== undefined && { kernels }),
      ...(timeout !== undefined && { timeout }),
      warn: note,
    });
    throwIfAborted(io.signal);

    const head = { layer8: VERSION, model: layer8.model, adapter: layer8.adapter, options };
    const { resumed } = destination;
    if (resumed !== undefined) await resumed.begin(await runIdentity(head));
    const meter = startMeter(inputs, io, quiet || destination.onTerminal);
    const texts = (): AsyncIterable<InputText> =>
      resumed === undefined ? inputs.texts() : remainingTexts(resumed, inputs.texts(), meter.skip, note);
    try {
      const sequences = layer8.analyzeStream(() => meter.count(texts()), {
        ...options,
        signal: io.signal,
        onProgress: ({ sequences: done }) => meter.update(done),
        ...(states !== undefined && {
          saveHiddenStates: (id: string, layer: number, values: Float32Array, shape: readonly number[]) =>
            (states as HiddenStatesFile).add(id, layer, values, shape),
        }),
      });
      const report = analysisReport(destination, head, inputs.many);
      // The states are written before the results appear: whoever sees the results has both.
      await writeReport(
        report,
        followedBy(sequences, () => states?.commit()),
        destination.output,
        started,
      );
    } finally {
      meter.clear();
    }
    return 0;
  } catch (error) {
    const stopped = error instanceof BrokenPipe || io.signal.reason instanceof BrokenPipe;
    if (!stopped || statesPath === undefined) throw error;
    throw new IoError(`${statesPath} is not written: standard output was closed before the end`, {
      hint: 'Send the results to a file with --output, or let their reader read to the end.',
    });
  } finally {
    await destination?.output.discard();
    await states?.close();
    await inputs.close();
  }
}

function noteTo({ stderr }: CommandIo, parsed: ParsedArguments): (line: string) => void {
  return (line) => {
    if (!parsed.has('quiet')) stderr.write(`layer8: ${line}\n`);
  };
}

/**
 * The options of the analysis, complete.
 * @throws UsageError for a value an option does not take, and for options that exclude each other
 */
export function analysisOptions(parsed: ParsedArguments): AnalysisOptions {
  refuseTogether(parsed, 'threshold', ['quantile', 'interpolation', 'scope'], 'a θ that is given is not computed');
  if (parsed.has('word-reduce') && parsed.text('unit') !== 'word')
    throw new UsageError('--word-reduce is for --unit word');
  refuseStrideWithoutWindows(parsed);
  const given: { [Name in keyof AnalysisOptions]: AnalysisOptions[Name] | undefined } = {
    layer: parsed.number('layer', WHOLE_NUMBER),
    quantile: parsed.number('quantile', {
      takes: 'a number from 0 to 1',
      accepts: (value) => value >= 0 && value <= 1,
    }),
    interpolation: parsed.choice('interpolation'),
    boundary: parsed.choice('boundary'),
    specials: parsed.choice('specials'),
    scope: parsed.choice('scope'),
    threshold: parsed.number('threshold', { takes: 'a number from 0', accepts: (value) => value >= 0 }),
    unit: parsed.choice('unit'),
    wordReduce: parsed.choice('word-reduce'),
    flow: parsed.has('flow'),
    shift: parsed.has('shift'),
    long: parsed.choice('long'),
    stride: parsed.number('stride', WHOLE_NUMBER),
  };
  const defined = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_OPTIONS, ...(Object.fromEntries(defined) as Partial<AnalysisOptions>) };
}

async function* followedBy<T>(items: AsyncIterable<T>, last: () => Promise<void> | undefined): AsyncGenerator<T> {
  yield* items;
  await last();
}
