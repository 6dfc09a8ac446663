import { ERROR_CODES } from '../http/error-codes.ts';
import { CONTRACTS, SUBSYSTEMS } from './contracts.ts';
import { EXAMPLE_DOMAIN } from './glossary/word.ts';
import type { JsonSchema } from './json-schema.ts';
import { type Header, type Operation, operationOf } from './operation.ts';
import { GATEWAY_STATUSES } from './refusals.ts';

type Server = { url: string; variables?: { name: { default: string; description: string } } };
export type OpenApiDocument = ReturnType<typeof documentOf>;

const REQUEST_ID = 'a1b2c3d4-0000-4000-8000-1234567890ab';
const text = (description: string): JsonSchema => ({ type: 'string', description });
const count = (description: string): JsonSchema => ({ type: 'integer', minimum: 0, description });
function record(properties: Record<string, JsonSchema>, optional: readonly string[] = []): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

const SCHEMAS = {
  Pagination: record({
    limit: count('How many entries at most'),
    offset: count('How many of the newest entries are left out'),
    total: count('How many entries there are'),
  }),
  Refusal: record({
    success: { const: false },
    error: record(
      {
        code: text('What happened, for programs'),
        message: text('What happened and what to do, for people'),
        request_id: text('Stands in every line of our log about this request'),
        fields: { type: 'array', items: { type: 'string' }, description: 'The fields that are wrong' },
      },
      ['fields'],
    ),
  }),
  GatewayRefusal: record({ message: text('Why API Gateway itself did not hand the request on') }),
};

const HEADERS: Record<string, Header> = {
  'x-request-id': {
    description: 'The id of this request; give it to us when something is wrong.',
    schema: { type: 'string' },
  },
  'retry-after': { description: 'Seconds to wait.', schema: { type: 'integer' } },
  'set-cookie': {
    description: 'The session, unless it goes by bearer or a redirect tells of a failure.',
    schema: { type: 'string' },
    example: '__Host-session=…; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=2592000',
  },
  'login-cookie': {
    description: 'By which the browser is known when its login comes back, within 10 minutes.',
    schema: { type: 'string' },
    example: '__Host-login=…; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=600',
  },
};

/** A member has two hosts: an example of the name of that which the route is asked at. */
const NAMES: Readonly<Record<string, { default: string; description: string }>> = {
  didJson: { default: 'alice-nf5wn3', description: "The first part of the host in the member's DID" },
  atprotoDid: { default: 'alice', description: "The first part of the member's handle" },
};

/** In paragraphs. */
const DESCRIPTION = [
  'Every answer of a route under /api is `{"success": true, "data": …}` (lists also have `pagination`) or ' +
    '`{"success": false, "error": {"code", "message", "request_id"}}`; a 400 also names the wrong `fields`. Every `message` is ' +
    'for people to read, in English; `code` is for programs. Times are ISO 8601 in UTC, handles are shown as `@name.domain`. ' +
    'A browser may change something from our own pages and those of allowed origins only. Fields and parameters that a route ' +
    'does not know are refused.',
  'A route with `x-step-up` needs the second factor: a step-up for its operation, on the target that is named there, comes ' +
    'first; its `example` is the body of that.',
  'What changes an identity is done by a worker, one change of a member at a time: such a route answers at once with a ' +
    '`change_id`. GET /api/pds/changes says how far it is, what it waits for and how it ended, and the bot tells the member ' +
    'what he should know without looking. Exports have their own list.',
].join('\n\n');

/** The API as OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.1. Made from the contracts alone. */
export function openApiDocument(hosts: { PDS_APP_ORIGIN: string; PDS_DOMAIN: string }): OpenApiDocument {
  return JSON.parse(JSON.stringify(documentOf(hosts)).replaceAll(EXAMPLE_DOMAIN, hosts.PDS_DOMAIN));
}

function documentOf(hosts: { PDS_APP_ORIGIN: string; PDS_DOMAIN: string }) {
  return {
    openapi: '3.1.1',
    info: { title: 'PDS Provisioning', version: '1', description: DESCRIPTION },
    servers: [{ url: hosts.PDS_APP_ORIGIN }] as Server[],
    tags: Object.entries(SUBSYSTEMS).map(([name, { title }]) => ({ name, description: title })),
    paths: pathsOf(hosts.PDS_DOMAIN),
    components: {
      schemas: SCHEMAS,
      examples: examples(),
      headers: HEADERS,
      securitySchemes: {
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-session',
          description: 'Set by a login; ends after 7 days without use, and after 30 days.',
        },
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'What the login of a Mini App answers with, for pages where no cookie is sent; good for an hour.',
        },
        backend: {
          type: 'apiKey',
          in: 'header',
          name: 'x-pds-signature',
          'x-placeholder': '<HMAC in hex>',
          description:
            'HMAC-SHA256 under one of INTERNAL_API_KEYS, in hex, over the lines `v1`, method, path, x-pds-timestamp ' +
            '(seconds since 1970), x-pds-nonce (16 to 64 characters of A-Z, a-z, 0-9, - and _; used once) and the SHA-256 of the body in hex, joined by line feeds.',
        },
        telegram: {
          type: 'apiKey',
          in: 'header',
          name: 'x-telegram-bot-api-secret-token',
          'x-placeholder': '<TELEGRAM_WEBHOOK_SECRET>',
          description: 'TELEGRAM_WEBHOOK_SECRET, which Telegram sends with every update.',
        },
      },
    },
  };
}

function pathsOf(domain: string): Record<string, Record<string, Operation & { servers?: Server[] }>> {
  const byPath = Map.groupBy(CONTRACTS, ({ path }) => path);
  return Object.fromEntries(
    [...byPath].map(([path, contracts]) => [
      path,
      Object.fromEntries(
        contracts.map((contract) => [
          contract.method.toLowerCase(),
          {
            ...operationOf(contract, contract.subsystem),
            ...serversOf(contract.operationId, domain),
          },
        ]),
      ),
    ]),
  );
}

function serversOf(operationId: string, domain: string): { servers?: Server[] } {
  const name = NAMES[operationId];
  return name ? { servers: [{ url: `https://{name}.${domain}`, variables: { name } }] } : {};
}

/** What each refusal looks like, by its code. */
function examples(): Record<string, { summary: string; value: unknown }> {
  const ours = Object.entries(ERROR_CODES).map(([code, { status, message }]) => {
    const fields = status === 400 ? { fields: [code === 'INPUT_INVALID' ? 'limit' : 'body'] } : {};
    const error = { code, message, request_id: REQUEST_ID, ...fields };
    return [code, { summary: message, value: { success: false, error } }] as const;
  });
  const gateways = Object.entries(GATEWAY_STATUSES).map(
    ([status, { message, summary }]) => [`GATEWAY_${status}`, { summary, value: { message } }] as const,
  );
  return Object.fromEntries([...ours, ...gateways]);
}
