import type * as z from 'zod/mini';
import type { Contract } from '../http/contract.ts';
import { exampleOf } from './example.ts';
import { wordFor } from './glossary.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';

export type Parameter = {
  name: string;
  in: 'path' | 'query' | 'header' | 'cookie';
  required: boolean;
  description?: string;
  schema: JsonSchema;
  /** Missing where a request that goes well has no such parameter. */
  example?: unknown;
};

/** What is signed beside the request itself: see auth/login/backend-signature.ts. */
const SIGNED_PARAMETERS: readonly Parameter[] = [
  {
    name: 'x-pds-timestamp',
    in: 'header',
    required: true,
    description: 'When it was signed, in seconds since 1970',
    schema: { type: 'string', pattern: String.raw`^\d{1,12}$` },
    example: '1795512600',
  },
  {
    name: 'x-pds-nonce',
    in: 'header',
    required: true,
    description: 'Random, and used once',
    schema: { type: 'string', pattern: String.raw`^[\w-]{16,64}$` },
    example: 'p0uV3uZQp0uV3uZQp0uV3u',
  },
];
const LOGIN_PARAMETER: Parameter = {
  name: '__Host-login',
  in: 'cookie',
  required: true,
  description: 'As the start of this login set it',
  schema: { type: 'string' },
  example: 'p0uV3uZQ'.repeat(5).concat('abc'),
};

/** What a request has beside its body and its credentials. */
export function parametersOf({ operationId, access, params, query, loginCookie }: Contract): Parameter[] {
  return [
    ...fieldsOf('path', params, operationId),
    ...fieldsOf('query', query, operationId),
    ...(access === 'backend' ? SIGNED_PARAMETERS : []),
    ...(loginCookie === 'read' ? [LOGIN_PARAMETER] : []),
  ];
}

function fieldsOf(
  place: Parameter['in'],
  schema: z.ZodMiniType | undefined,
  operationId: string,
): Parameter[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = jsonSchemaOf(schema, 'input', operationId);
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...inner } = property as JsonSchema;
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description !== undefined && { description }),
      schema: inner,
      ...(!wordFor(operationId, name)?.failure && { example: exampleOf(inner, operationId, name) }),
    };
  });
}
