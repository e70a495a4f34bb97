import { ANALYZE } from './analyze.ts';
import { optionLines } from './arguments.ts';

/** The commands and what each is for, in the order of the help. */
export const COMMANDS: Readonly<Record<string, string>> = {
  analyze: 'activation strength (TAS), θ and HIGH or LOW for each token; the name may be left out',
  tokenize: 'ids, tokens and offsets, without a GPU',
  verify: 'compare the numbers of this machine with reference data',
  doctor: 'adapters, what each offers, which one runs and why',
  weights: 'list, pull, verify, path, remove: models from the Hugging Face hub',
};

/** What `layer8 --help` prints. */
export function generalHelp(): string {
  const names = Object.keys(COMMANDS);
  const width = Math.max(...names.map((name) => name.length)) + 2;
  return [
    'layer8 runs BERT up to layer 8 on the GPU and shows how strongly each token is activated there',
    '(Activation Flow Network: Token Activation Strength, its upper quartile θ, HIGH and LOW).',
    '',
    "Usage: layer8 'A sentence.' …              analyze each TEXT",
    '       layer8 COMMAND [arguments] [options]',
    '       layer8 COMMAND --help | --help | --version',
    '',
    'Commands:',
    ...names.map((name) => `  ${name.padEnd(width)}${COMMANDS[name]}`),
    '',
    'Options of analyze:',
    '',
    ...optionLines(ANALYZE),
    '',
    'A text that is the name of a command goes after --: layer8 analyze -- verify',
    'Exit codes: 0 done, 1 verify found a difference, 2 usage, 3 model files, 4 text and input files, 5 no usable GPU,',
    '6 GPU failed, 7 network and disk, 8 numeric, 70 a bug in layer8, 130 interrupted.',
    '',
  ].join('\n');
}
