import { globSync } from 'node:fs';
import path from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { readTarget } from '../../../lib/auth/second-factor/target.ts';
import type { Member } from '../../../lib/auth/session/session.ts';
import { needStepUp } from '../../../lib/auth/step-up.ts';
import { storedTarget } from '../../../lib/auth/step-up-target.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { UNKNOWN } from '../../../lib/docs/example.ts';
import { GLOSSARY_NAMES } from '../../../lib/docs/glossary.ts';
import type { JsonSchema } from '../../../lib/docs/json-schema.ts';
import { openApiDocument } from '../../../lib/docs/openapi.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import { ERROR_CODES } from '../../../lib/http/error-codes.ts';
import { schemasOf } from '../../e2e/documented.ts';

const BODY = ['requestBody', 'content', 'application/json'];
const LIB = path.resolve(import.meta.dirname, '../../../lib');
const document = openApiDocument({
  PDS_APP_ORIGIN: 'https://app.pnptv.example',
  PDS_DOMAIN: 'pnptv.example',
});
const operations = Object.entries(document.paths).flatMap(([at, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ at, method, ...operation })),
);

const byId = Object.fromEntries(operations.map((operation) => [operation.operationId, operation]));

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('holds every contract of every subsystem, and no other', async () => {
    const apis = await Promise.all(
      globSync('*/api.ts', { cwd: LIB }).map((file) => import(path.join(LIB, file))),
    );
    const contracts = apis
      .flatMap((api) => Object.values<object>(api))
      .filter((value): value is Contract => 'operationId' in value);
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(
      contracts.map(({ operationId }) => operationId).sort(),
    );
  });

  it.each(CONTRACTS)('$method $path documents every refusal of its own, under its status', (contract) => {
    const operation = document.paths[contract.path]?.[contract.method.toLowerCase()];
    for (const code of contract.errors ?? []) {
      const media = operation?.responses[ERROR_CODES[code].status]?.content['application/json'];
      expect(Object.keys(media?.examples ?? {})).toContain(code);
    }
  });

  it.each(operations)(
    '$method $at has an example of each parameter, and only wants what is there',
    (operation) => {
      const wanted = [...operation.at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const inPath = operation.parameters.filter(({ in: place }) => place === 'path').map(({ name }) => name);
      expect(inPath).toEqual(wanted);
      const { at, method } = operation;
      for (const [index, { example, required }] of operation.parameters.entries()) {
        expect([at, required && example === undefined]).toEqual([at, false]);
        if (example === undefined) continue;
        expect([
          example,
          problems(['paths', at, method, 'parameters', String(index), 'schema'], example),
        ]).toEqual([example, []]);
      }
    },
  );

  it.each(operations)(
    '$method $at has examples of its body and answers that fit their schemas',
    (operation) => {
      const { at, method, requestBody, responses } = operation;
      const body = requestBody?.content['application/json'];
      if (body) {
        const place = ['paths', at, method, 'requestBody', 'content', 'application/json', 'schema'];
        expect(problems(place, body.example)).toEqual([]);
      }
      for (const [status, { content }] of Object.entries(responses)) {
        for (const [type, { example, examples = {} }] of Object.entries(content)) {
          const place = ['paths', at, method, 'responses', status, 'content', type, 'schema'];
          const values = Object.values(examples).map(({ $ref }) => exampleAt($ref));
          for (const value of values.length > 0 ? values : [example]) {
            expect([status, value, problems(place, value)]).toEqual([status, value, []]);
          }
        }
      }
    },
  );

  it('tells which routes set the session’s cookie, and where redirects lead', () => {
    const setting = operations.filter(({ responses }) =>
      Object.values(responses).some(({ headers }) => refOf(headers['set-cookie'])?.endsWith('/set-cookie')),
    );
    expect(setting.map(({ operationId }) => operationId).sort()).toEqual([
      'exchangeCode',
      'finishOidcLogin',
      'loginWidget',
      'stepUp',
      'useLoginLink',
    ]);
    for (const { redirect, path: at, method } of CONTRACTS.filter((contract) => contract.redirect)) {
      const { [String(redirect)]: response, 200: success } =
        document.paths[at]?.[method.toLowerCase()]?.responses ?? {};
      expect([at, Object.keys(response?.headers ?? {}), success]).toEqual([
        at,
        expect.arrayContaining(['location']),
        undefined,
      ]);
    }
  });

  it.each(operations.filter((operation) => operation['x-step-up']))(
    '$method $at shows the step-up that its own example needs',
    ({ operationId, parameters, requestBody, 'x-step-up': stepUp }) => {
      const { operation, target, example } = stepUp ?? {};
      const contract = CONTRACTS.find((one) => one.operationId === operationId) as Contract;
      expect([operation, target]).toEqual([operationId, contract.stepUp?.target ?? null]);
      expect(problems(['paths', '/api/auth/2fa/step-up', 'post', ...BODY, 'schema'], example)).toEqual([]);
      const read = readTarget(operationId, example?.target ?? null);
      const params = Object.fromEntries(parameters.map(({ name, example: value }) => [name, value]));
      const sent = {
        params: contract.params?.parse(params),
        body: contract.body?.parse(requestBody?.content['application/json']?.example),
      };
      expect(storedTarget(read)).toBe(
        needStepUp(contract, { id: '1', session_id: '1' } as Member, sent)?.target,
      );
    },
  );

  it('tells that a login at Telegram begins with a cookie, and comes back with it', () => {
    const { startOidcLogin: start, finishOidcLogin: finish } = byId;
    const { location, 'set-cookie': cookie } = start?.responses[302]?.headers ?? {};
    expect(location).toMatchObject({ example: expect.stringMatching(/^https:\/\/oauth\.telegram\.org\//) });
    expect(document.components.headers[refOf(cookie)?.split('/').at(-1) ?? '']?.example).toMatch(
      /^__Host-login=/,
    );
    expect(finish?.parameters).toContainEqual(
      expect.objectContaining({ in: 'cookie', name: '__Host-login', required: true }),
    );
  });

  it('asks for a DID document and for a DID each at the host that has it', () => {
    const hostOf = (operationId: string) => {
      const { url = '', variables } = byId[operationId]?.servers?.[0] ?? {};
      return new URL(url.replace('{name}', variables?.name.default ?? '')).host;
    };
    const did = `did:web:${hostOf('didJson')}`;
    expect(byId.didJson?.responses[200]?.content).toMatchObject({
      'application/json': { example: { id: did } },
    });
    expect(byId.atprotoDid?.responses[200]?.content).toMatchObject({ 'text/plain': { example: did } });
    expect(byId.info?.responses[200]?.content['application/json']?.example).toMatchObject({
      data: { pds_did: did, pds_handle: `@${hostOf('atprotoDid')}` },
    });
  });

  it('gives examples of its own domain only', () => {
    const elsewhere = openApiDocument({ PDS_APP_ORIGIN: 'https://app.test', PDS_DOMAIN: 'members.test' });
    expect(JSON.stringify(elsewhere)).not.toContain('pnptv.example');
    expect(JSON.stringify(elsewhere)).toContain('did:web:alice-nf5wn3.members.test');
  });

  it('shows each state by a word that is used for it', () => {
    const answered = (operationId: string) =>
      byId[operationId]?.responses[200]?.content['application/json']?.example;
    const entry = { action: 'created', status: 'success' };
    expect(answered('exportLog')).toMatchObject({ data: { entries: [{ ...entry, created_by: 'system' }] } });
    expect(answered('provisioningLog')).toMatchObject({ data: [entry] });
    expect(answered('healthChecks')).toMatchObject({ data: [{ status: 'success' }] });
    expect(answered('retryProvision')).toMatchObject({ data: { status: 'pending' } });
    expect(byId.loginWidget?.requestBody?.content['application/json']).toMatchObject({
      schema: { properties: { id: { description: 'Telegram id' } } },
      example: { id: 123456789 },
    });
  });

  const fields = operations.flatMap((operation) => [
    ...operation.parameters.map(({ name, description }) => ({ name, description })),
    ...Object.values(operation.requestBody?.content ?? {}).flatMap(({ schema }) => fieldsOf(schema)),
    ...Object.values(operation.responses[200]?.content ?? {}).flatMap(({ schema }) =>
      fieldsOf(schema.properties?.data),
    ),
  ]);

  it('says of every field what it means', () => {
    const undescribed = fields.filter(({ description }) => description === undefined).map(({ name }) => name);
    expect(undescribed).toEqual([]);
  });

  it('has an example of every text', () => {
    for (const { operationId, responses, requestBody, parameters } of operations) {
      const examples = [
        ...parameters.map(({ example }) => example),
        ...Object.values({ ...requestBody?.content, ...responses[200]?.content }).map(
          ({ example }) => example,
        ),
      ];
      expect([operationId, JSON.stringify(examples)]).toEqual([
        operationId,
        expect.not.stringContaining(`"${UNKNOWN}"`),
      ]);
    }
  });

  it('explains no word that no route uses', () => {
    const used = new Set(fields.map(({ name }) => name));
    expect(GLOSSARY_NAMES.filter((name) => !used.has(name.split('.').at(-1) ?? ''))).toEqual([]);
  });

  it('explains each word once', () => {
    expect(GLOSSARY_NAMES.filter((name, place) => GLOSSARY_NAMES.indexOf(name) !== place)).toEqual([]);
  });
});

const schemaAt = schemasOf(document);
function problems(at: readonly string[], value: unknown) {
  const validate = schemaAt(at);
  return validate(value) ? [] : validate.errors;
}

function refOf(header: object | undefined): string | undefined {
  return header && '$ref' in header ? String(header.$ref) : undefined;
}

function exampleAt(ref: string): unknown {
  return document.components.examples[ref.split('/').at(-1) ?? '']?.value;
}

function fieldsOf(schema: unknown): { name: string; description: string | undefined }[] {
  const { properties = {}, items, anyOf = [] } = (schema ?? {}) as JsonSchema;
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => [
      { name, description: (inner as JsonSchema).description },
      ...fieldsOf(inner),
    ]),
    ...[...(items ? [items] : []), ...anyOf].flatMap((inner) => fieldsOf(inner)),
  ];
}
