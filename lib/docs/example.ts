import { wordFor } from './glossary.ts';
import { isSchema, type JsonSchema } from './json-schema.ts';

export const UNKNOWN = '…';
const BY_FORMAT: Readonly<Record<string, string>> = {
  'date-time': '2026-11-24T09:30:00.000Z',
  uuid: '7d2f6c1e-94b0-4c3a-8f57-2b1d9e0a6c48',
};

/**
 * A value of this schema, as a real answer would have it: the schema's own example, else the glossary's for a field of
 * this name, else the first value that the schema allows. A text
 * that nobody has given an example of is `UNKNOWN`, which a test refuses.
 */
export function exampleOf(schema: JsonSchema, parent: string, name: string): unknown {
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  const word = wordFor(parent, name);
  if (word?.example !== undefined && allows(schema, word.example)) return word.example;
  // What is a number in an answer is text in a path.
  if (typeof word?.example === 'number' && allows(schema, String(word.example))) return String(word.example);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.anyOf) return exampleOf(schema.anyOf[0] as JsonSchema, parent, name);
  if (schema.format !== undefined && BY_FORMAT[schema.format]) return BY_FORMAT[schema.format];
  switch (typesOf(schema)[0]) {
    case 'object':
      return exampleObject(schema, name);
    case 'array':
      return isSchema(schema.items) ? [exampleOf(schema.items, parent, name)] : [];
    case 'boolean':
      return true;
    case 'integer':
    case 'number':
      return 1;
    default:
      return UNKNOWN;
  }
}

function exampleObject({ properties = {} }: JsonSchema, name: string): object {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([key]) => !wordFor(name, key)?.failure)
      .map(([key, inner]) => [key, exampleOf(inner as JsonSchema, name, key)]),
  );
}

/** One word may name fields of several types: an example counts only where it fits. */
function allows(schema: JsonSchema, value: unknown): boolean {
  if (schema.const !== undefined) return schema.const === value;
  if (schema.enum) return (schema.enum as unknown[]).includes(value);
  if (schema.anyOf) return schema.anyOf.some((inner) => allows(inner as JsonSchema, value));
  const types = typesOf(schema);
  return types.length === 0 || types.some((type) => TYPES[type]?.(value));
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  null: (value) => value === null,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isSafeInteger,
  boolean: (value) => typeof value === 'boolean',
  array: Array.isArray,
  object: isSchema,
};

function typesOf({ type }: JsonSchema): string[] {
  return type === undefined ? [] : [type].flat();
}
