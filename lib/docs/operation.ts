import type * as z from 'zod/mini';
import type { Access, Contract } from '../http/contract.ts';
import { ERROR_CODES, type ErrorCode } from '../http/error-codes.ts';
import { exampleOf } from './example.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import { type Parameter, parametersOf } from './parameters.ts';
import { GATEWAY_STATUSES, refusalsOf } from './refusals.ts';
import { type StepUp, stepUpOf } from './step-up.ts';

export type Header = { description: string; schema: JsonSchema; example?: string };
export type Media = { schema: JsonSchema; example?: unknown; examples?: Record<string, { $ref: string }> };
export type Response = {
  description: string;
  headers: Record<string, Header | { $ref: string }>;
  content: Record<string, Media>;
};
export type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  security: Record<string, string[]>[];
  parameters: Parameter[];
  requestBody?: { required: true; content: Record<string, Media> };
  'x-step-up'?: StepUp;
  responses: Record<string, Response>;
};

/** With roles in place of scopes, as OpenAPI 3.1 allows for a key: https://spec.openapis.org/oas/v3.1.1#security-requirement-object */
const SECURITY: Readonly<Record<Access, Operation['security']>> = {
  public: [],
  member: [{ session: [] }, { bearer: [] }],
  admin: [{ session: ['admin'] }, { bearer: ['admin'] }],
  backend: [{ backend: [] }],
  telegram: [{ telegram: [] }],
};
const HEADERS = { 'x-request-id': { $ref: '#/components/headers/x-request-id' } };

/** A contract as an operation of OpenAPI 3.1; what several share lies in the components (openapi.ts). */
export function operationOf(contract: Contract, tag: string): Operation {
  const { operationId, summary, access, body } = contract;
  const parameters = parametersOf(contract);
  const content = body && jsonMedia(body, operationId);
  const stepUp = stepUpOf(contract, parameters, content?.['application/json'].example);
  return {
    operationId,
    summary,
    tags: [tag],
    security: SECURITY[access],
    parameters,
    ...(content && { requestBody: { required: true, content } }),
    ...(stepUp && { 'x-step-up': stepUp }),
    responses: {
      ...successOf(contract),
      ...refusalResponses(contract),
    },
  };
}

function jsonMedia(body: z.ZodMiniType, operationId: string): { 'application/json': Media } {
  const schema = jsonSchemaOf(body, 'input', operationId);
  return { 'application/json': { schema, example: exampleOf(schema, '', operationId) } };
}

/** What a success is, under its status. */
function successOf(contract: Contract): Record<string, Response> {
  const { summary: description, redirect, leadsTo = '/', setsSession, loginCookie } = contract;
  const cookie = setsSession ? 'set-cookie' : loginCookie === 'set' && 'login-cookie';
  const headers = {
    ...HEADERS,
    ...(cookie && { 'set-cookie': { $ref: `#/components/headers/${cookie}` } }),
  };
  if (redirect) {
    const location = {
      description: 'Where to go on.',
      schema: { type: 'string' },
      example: leadsTo,
    } as const;
    return { [redirect]: { description, headers: { ...headers, location }, content: {} } };
  }
  return { 200: { description, headers, content: contentOf(contract) } };
}

function contentOf({ operationId, data, paginated, bare }: Contract): Record<string, Media> {
  if (!data) {
    const { contentType = 'application/octet-stream', example } = bare ?? {};
    const schema = { type: typeof example === 'object' ? 'object' : 'string' } as const;
    return { [contentType]: { schema, example } };
  }
  const properties = {
    success: { const: true },
    data: jsonSchemaOf(data, 'output', operationId),
    ...(paginated && { pagination: { $ref: '#/components/schemas/Pagination' } }),
  };
  const schema: JsonSchema = {
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
  const example = {
    success: true,
    data: exampleOf(properties.data, '', operationId),
    ...(paginated && { pagination: { limit: 10, offset: 0, total: 1 } }),
  };
  return { 'application/json': { schema, example } };
}

function refusalResponses(contract: Contract): Record<string, Response> {
  const byStatus = Map.groupBy(refusalsOf(contract), (code) => ERROR_CODES[code].status as number);
  const statuses = new Set([...byStatus.keys(), ...Object.keys(GATEWAY_STATUSES).map(Number)]);
  return Object.fromEntries(
    [...statuses].map((status) => [status, refusalResponse(status, byStatus.get(status) ?? [])]),
  );
}

function refusalResponse(status: number, codes: readonly ErrorCode[]): Response {
  const gateway = GATEWAY_STATUSES[status];
  const schemas: JsonSchema[] = [
    ...(codes.length > 0 ? [refusalSchema(codes)] : []),
    ...(gateway === undefined ? [] : [{ $ref: '#/components/schemas/GatewayRefusal' }]),
  ];
  const names = gateway === undefined ? codes : [...codes, `GATEWAY_${status}`];
  return {
    description: names.join(', '),
    headers: {
      ...HEADERS,
      ...(status === 429 && { 'retry-after': { $ref: '#/components/headers/retry-after' } }),
    },
    content: {
      'application/json': {
        schema: schemas.length === 1 && schemas[0] ? schemas[0] : { anyOf: schemas },
        examples: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/examples/${name}` }])),
      },
    },
  };
}

/** The refusal that all routes share, with the codes of this one at this status. */
function refusalSchema(codes: readonly ErrorCode[]): JsonSchema {
  return {
    $ref: '#/components/schemas/Refusal',
    properties: { error: { properties: { code: { enum: [...codes] } } } },
  };
}
