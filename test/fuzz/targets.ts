import { configs } from './configs.ts';
import { headers } from './headers.ts';
import { inputs } from './inputs.ts';
import { options } from './options.ts';
import { shards } from './shards.ts';
import type { Target } from './target.ts';
import { tokenizers } from './tokenizers.ts';

/** All that is fuzzed. Each takes the inputs it has made itself, or that a file of its name keeps. */
export const TARGETS: readonly Target<unknown>[] = [headers, shards, configs, tokenizers, inputs, options];
