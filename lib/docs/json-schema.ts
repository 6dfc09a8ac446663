import * as z from 'zod/mini';
import { wordFor } from './glossary.ts';

/** JSON Schema 2020-12, which OpenAPI 3.1 speaks. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

/**
 * A contract's schema as JSON Schema: what a caller sends (`input`) or gets (`output`), each field described by the
 * schema's own metadata or by the glossary.
 */
export function jsonSchemaOf(schema: z.ZodMiniType, io: 'input' | 'output', operationId: string): JsonSchema {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, { io, override: forReaders });
  return described(converted, operationId);
}

/** Takes out what a reader has no use for, and puts in the defaults that zod leaves out of piped fields. */
function forReaders({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: JsonSchema;
}): void {
  const { def } = zodSchema._zod;
  // As it would be sent: a query has texts only.
  if (def.type === 'default' && jsonSchema.type === 'string') jsonSchema.default = String(def.defaultValue);
  // zod's patterns say no more than these formats, over a line long.
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
}

function described(schema: JsonSchema, name: string): JsonSchema {
  const { properties, items, anyOf } = schema;
  return {
    ...schema,
    ...(anyOf && { anyOf: anyOf.map((inner) => described(inner, name)) }),
    ...(isSchema(items) && { items: described(items, name) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, inner]) => [
          key,
          describedField(inner as JsonSchema, name, key),
        ]),
      ),
    }),
  };
}

function describedField(schema: JsonSchema, parent: string, name: string): JsonSchema {
  const description = schema.description ?? wordFor(parent, name)?.means;
  return { ...(description !== undefined && { description }), ...described(schema, name) };
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
