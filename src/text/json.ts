/** Fields of JSON that may hold anything. */
import { shown } from '../checkpoint/json.ts';
import { ModelError } from '../errors.ts';

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object in a field. @throws {ModelError} where there is none */
export function field(object: JsonObject, name: string, source: string): JsonObject {
  const value = object[name];
  if (!isObject(value)) throw new ModelError(`tokenizer cannot be read: ${name} is missing or no object in ${source}`);
  return value;
}

/** No vocabulary comes near this; larger ids would make an array of tokens impossible. */
const MAX_WHOLE_NUMBER = 2 ** 31 - 1;

/** A whole number from `minimum` to 2³¹ − 1. @throws {ModelError} where it is anything else, calling it `name` */
export function wholeNumber(value: unknown, name: string | (() => string), source: string, minimum = 0): number {
  if (!Number.isInteger(value) || (value as number) < minimum || (value as number) > MAX_WHOLE_NUMBER) {
    const called = typeof name === 'string' ? name : name();
    throw new ModelError(
      `tokenizer cannot be read: ${called} is ${shown(value)}, no whole number from ${minimum}, in ${source}`,
    );
  }
  return value as number;
}
