import { diagnose } from '../doctor/diagnosis.ts';
import type { ExaminedKernel } from '../doctor/kernels.ts';
import { diagnosisText } from '../doctor/text.ts';
import { NoGpuError, UsageError } from '../errors.ts';
import { send } from '../report/stream.ts';
import { lookOf } from '../report/terminal.ts';
import { COMMON_OPTIONS, commandHelp, parseCommand, refuseTogether } from './arguments.ts';
import type { CommandSpec } from './arguments.ts';
import type { CommandIo } from './io.ts';

export const DOCTOR: CommandSpec = {
  name: 'doctor',
  summary:
    'Show the adapters, what each offers, which one runs and why, the model files, and what to do where something is wrong',
  usage: ['doctor [options]'],
  positionals: false,
  groups: [
    {
      title: 'What is examined',
      options: [
        { name: 'adapter', value: 'NAME', help: 'the adapter whose name holds NAME, instead of the best one' },
        {
          name: 'model',
          value: 'DIR',
          help: "a folder in Hugging Face's layout, or the name of a model (default bert-base-uncased)",
        },
        { name: 'kernels', value: 'RUNG', help: 'these kernels instead of the fastest that run: auto, plain, …' },
      ],
    },
    {
      title: 'Output',
      options: [
        { name: 'format', value: 'FORMAT', choices: ['table', 'json'], help: 'table (default) or json' },
        { name: 'print-kernel', value: 'NAME', help: 'only the WGSL of this kernel, as this adapter gets it' },
      ],
    },
    COMMON_OPTIONS,
  ],
};

/**
 * `layer8 doctor`. Without an adapter or a model it says what to do, which is no failure: exit 0.
 * @throws UsageError for a kernel or a rung that is none, NoGpuError where a kernel is asked for and nothing could run it
 */
export async function doctorCommand(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommand(DOCTOR, args);
  if (parsed.help) {
    await send(io.stdout, commandHelp(DOCTOR));
    return 0;
  }
  refuseTogether(parsed, 'print-kernel', ['format'], 'a kernel is printed as it is');
  const json = parsed.choice('format') === 'json';
  const asked = {
    adapter: parsed.text('adapter'),
    model: parsed.text('model'),
    kernels: parsed.text('kernels') ?? 'auto',
  };
  const { diagnosis, kernels } = await diagnose(asked, io.env);
  const wanted = parsed.text('print-kernel');
  if (wanted !== undefined) {
    if (diagnosis.chosen === null) throw new NoGpuError(diagnosis.reason, { hint: diagnosis.advice[0] ?? '' });
    await send(io.stdout, kernelText(wanted, kernels));
  } else if (json) {
    await send(io.stdout, `${JSON.stringify(diagnosis, null, 2)}\n`);
  } else {
    await send(io.stdout, diagnosisText(diagnosis, lookOf(io.stdout, io.env)));
  }
  return 0;
}

/** A kernel's WGSL, with the constants it is compiled with. */
function kernelText(name: string, kernels: readonly ExaminedKernel[]): string {
  const kernel = kernels.find((one) => one.name === name);
  if (kernel === undefined) {
    const names = kernels.map((one) => one.name).sort();
    throw new UsageError(`no kernel of this adapter is called '${name}'`, { hint: `There are ${names.join(', ')}.` });
  }
  const compiled = kernel.constants.map((constants) => `// compiled with ${constants}\n`).join('');
  return `${compiled}${kernel.code.trimEnd()}\n`;
}
