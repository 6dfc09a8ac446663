import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import * as audit from '../../../lib/audit/api.ts';
import * as auth from '../../../lib/auth/api.ts';
import * as docs from '../../../lib/docs/api.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import { isErrorCode } from '../../../lib/http/error-codes.ts';
import * as identity from '../../../lib/identity/api.ts';
import * as pds from '../../../lib/pds/api.ts';

const contracts = Object.entries({ audit, auth, docs, identity, pds }).flatMap(([subsystem, api]) =>
  Object.values(api)
    .filter((value): value is Contract => 'operationId' in value)
    .map((contract) => ({ subsystem, ...contract })),
);

describe.each(contracts)(
  '$method $path',
  ({ subsystem, operationId, errors = [], path: at, access, host, params, data, bare }) => {
    it('has its function', () => {
      const file = `${operationId.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`;
      expect(existsSync(path.resolve(import.meta.dirname, '../../../functions', subsystem, file))).toBe(true);
    });

    it('has a schema for each parameter of its path, and for no other', () => {
      const names = [...at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(params instanceof z.ZodMiniObject ? Object.keys(params.shape) : []).toEqual(names);
    });

    it('names only documented errors', () => {
      expect(errors.filter((code) => !isErrorCode(code))).toEqual([]);
    });

    it('is for members’ hosts if and only if it is well-known, public and bare', () => {
      const wellKnown = at.startsWith('/.well-known/');
      expect(host === 'member').toBe(wellKnown);
      expect(data === undefined).toBe(wellKnown || subsystem === 'docs');
      if (wellKnown) expect(access).toBe('public');
    });

    it('says what its answer is: data or something bare', () => {
      expect(data === undefined).toBe(bare !== undefined);
    });
  },
);

it('leaves nothing open but logins, health, the documentation and well-known documents', () => {
  const open = contracts.filter(({ access }) => access === 'public').map(({ operationId }) => operationId);
  expect(open.sort()).toEqual(['atprotoDid', 'didJson', 'docsPage', 'healthz', 'loginWidget', 'openapiJson']);
});

it('has each operation and each route once', () => {
  const routes = contracts.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(routes).size).toBe(routes.length);
  expect(new Set(contracts.map(({ operationId }) => operationId)).size).toBe(contracts.length);
});
