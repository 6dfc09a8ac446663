import fc from 'fast-check';
import type * as z from 'zod/mini';
import { exampleOf } from '../../../lib/docs/example.ts';
import { isSchema, type JsonSchema, jsonSchemaOf } from '../../../lib/docs/json-schema.ts';
import type { Contract } from '../../../lib/http/contract.ts';

/** A part of a contract's input: its schema as others read it, and values that are right. */
export type Part = {
  schema: z.ZodMiniType;
  json: JsonSchema;
  valid: readonly Record<string, unknown>[];
};

const HOW_MANY = 60;

/** Right values for a contract's body, query or path, made from its schema, beside the documented example. */
export function validInput(
  contract: Contract,
  part: 'body' | 'query' | 'params',
  seed: number,
): Part | undefined {
  const schema = contract[part];
  if (schema === undefined) return undefined;
  const { operationId } = contract;
  const json = jsonSchemaOf(schema, 'input', operationId);
  const made = [
    exampleOf(json, part === 'body' ? '' : operationId, operationId),
    ...fc.sample(anyOf(json), { seed, numRuns: HOW_MANY }),
  ];
  const valid = made.filter(
    (value): value is Record<string, unknown> => isSchema(value) && schema.safeParse(value).success,
  );
  if (valid.length === 0) throw new Error(`nothing that was made for ${operationId} fits its ${part}`);
  return { schema, json, valid };
}

function anyOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((inner) => anyOf(inner as JsonSchema)));
  switch (schema.type) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return fc.integer({ min: schema.exclusiveMinimum === 0 ? 1 : (schema.minimum ?? 0), max: 2 ** 31 - 1 });
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1e6, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(isSchema(schema.items) ? anyOf(schema.items) : fc.constant(1), { maxLength: 3 });
    case 'object':
      return objectOf(schema);
    default:
      return fc.constant('anything');
  }
}

function textOf({ format, pattern, minLength = 0, maxLength = 40 }: JsonSchema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid();
  if (format === 'date-time') return fc.constant('2026-11-24T09:30:00.000Z');
  if (format === 'uri') return fc.webUrl();
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, minLength + 60) });
}

function objectOf({ properties = {}, required = [] }: JsonSchema): fc.Arbitrary<object> {
  const fields = Object.entries(properties).map(([name, inner]) => {
    const value = anyOf(inner as JsonSchema).map((made) => [[name, made]] as const);
    return required.includes(name) ? value : fc.oneof(value, fc.constant([] as const));
  });
  return fc.tuple(...fields).map((made) => Object.fromEntries(made.flat()));
}
