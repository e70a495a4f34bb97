/** The special tokens around a text or a pair, as the post-processor of a tokenizer.json states them. */
import { shown } from '../checkpoint/json.ts';
import { ModelError } from '../errors.ts';
import { field, isObject, type JsonObject, wholeNumber } from './json.ts';

/** One place of a template: a special token, or the pieces of the text (0) or its pair (1). */
export type TemplatePlace = { id: number; typeId: number } | { sequence: 0 | 1; typeId: number };

export interface Templates {
  single: TemplatePlace[];
  pair: TemplatePlace[];
}

/**
 * Reads TemplateProcessing and BertProcessing; without a post-processor there are no special tokens.
 *
 * @param source the file's name, for messages
 * @throws {ModelError} for any other post-processor, or one that is malformed
 */
export function readTemplates(postProcessor: unknown, source: string): Templates {
  if (postProcessor === undefined || postProcessor === null) return withSpecials([], []);
  if (!isObject(postProcessor))
    throw new ModelError(`tokenizer cannot be read: post_processor is no object in ${source}`);
  switch (postProcessor['type']) {
    case 'BertProcessing':
      return withSpecials([tokenIdOf(postProcessor, 'cls', source)], [tokenIdOf(postProcessor, 'sep', source)]);
    case 'TemplateProcessing':
      return {
        single: readTemplate(postProcessor, 'single', source),
        pair: readTemplate(postProcessor, 'pair', source),
      };
    default:
      throw new ModelError(`tokenizer not supported: post-processor ${shown(postProcessor['type'])} in ${source}`, {
        hint: 'layer8 reads TemplateProcessing and BertProcessing, the post-processors of BERT.',
      });
  }
}

/** Special tokens that a template adds. */
export function specialCount(template: readonly TemplatePlace[]): number {
  return template.filter((place) => 'id' in place).length;
}

/** [CLS] A [SEP] and [CLS] A [SEP] B [SEP], the second text and its [SEP] of type 1. */
function withSpecials(cls: number[], sep: number[]): Templates {
  const special = (ids: number[], typeId: number): TemplatePlace[] => ids.map((id) => ({ id, typeId }));
  const single = [...special(cls, 0), { sequence: 0, typeId: 0 } as const, ...special(sep, 0)];
  return { single, pair: [...single, { sequence: 1, typeId: 1 }, ...special(sep, 1)] };
}

/** BertProcessing states a special token as [token, id]. */
function tokenIdOf(processor: JsonObject, name: string, source: string): number {
  const pair = processor[name];
  return wholeNumber(Array.isArray(pair) ? pair[1] : undefined, `post_processor.${name}[1]`, source);
}

function readTemplate(processor: JsonObject, name: 'single' | 'pair', source: string): TemplatePlace[] {
  const where = `post_processor.${name}`;
  const places = processor[name];
  if (!Array.isArray(places)) throw new ModelError(`tokenizer cannot be read: ${where} is no list in ${source}`);
  const template = places.flatMap((place: unknown): TemplatePlace[] => {
    const sequence = isObject(place) ? place['Sequence'] : undefined;
    if (isObject(sequence)) {
      const typeId = wholeNumber(sequence['type_id'], `${where} type_id`, source);
      return [{ sequence: sequence['id'] === 'B' ? 1 : 0, typeId }];
    }
    const special = isObject(place) ? place['SpecialToken'] : undefined;
    if (!isObject(special))
      throw new ModelError(`tokenizer cannot be read: ${where} has an unknown place in ${source}`);
    const typeId = wholeNumber(special['type_id'], `${where} type_id`, source);
    const token = special['id'];
    const named = typeof token === 'string' ? field(processor, 'special_tokens', source)[token] : undefined;
    const ids = isObject(named) ? named['ids'] : undefined;
    if (!Array.isArray(ids)) {
      throw new ModelError(`tokenizer cannot be read: special token ${shown(token)} has no ids in ${source}`);
    }
    return ids.map((id) => ({ id: wholeNumber(id, `id of ${shown(token)}`, source), typeId }));
  });
  const sequences = template.flatMap((place) => ('id' in place ? [] : [place.sequence]));
  if (sequences.join() !== (name === 'single' ? '0' : '0,1')) {
    throw new ModelError(`tokenizer not supported: ${where} does not hold each text once and in order, in ${source}`);
  }
  return template;
}
