import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { STEP_UP_CONTRACTS } from '../../../lib/auth/api.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { isErrorCode } from '../../../lib/http/error-codes.ts';

/** What may change between the step-up and its request, because it gives nobody more than the rest. */
const NOT_BOUND: Readonly<Record<string, readonly string[]>> = {
  // Nobody can sign but who has the key that is confirmed, or the one before it.
  setRecoveryKey: ['signature', 'confirmation'],
};

describe.each(CONTRACTS)(
  '$method $path',
  ({
    subsystem,
    operationId,
    errors = [],
    path: at,
    access,
    host,
    params,
    data,
    bare,
    redirect,
    stepUp,
    method,
    body,
  }) => {
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
      if (wellKnown) expect([access, data]).toEqual(['public', undefined]);
    });

    it('says what its answer is: data, something bare or the way to another page', () => {
      expect([data, bare, redirect].filter((form) => form !== undefined)).toHaveLength(1);
    });

    it('asks for a second factor for a change only, by a member, for all that he may choose', () => {
      if (!stepUp) return;
      expect([method === 'GET', access]).toEqual([false, 'member']);
      const fields = [params, body].flatMap((one) =>
        one instanceof z.ZodMiniObject ? Object.keys(one.shape) : [],
      );
      const bound = [stepUp.target ?? []].flat();
      expect(fields).toEqual(expect.arrayContaining(bound));
      expect(fields.filter((name) => !bound.includes(name))).toEqual(NOT_BOUND[operationId] ?? []);
    });
  },
);

it('leaves nothing open but logins, health, the documentation, well-known documents and what a recovery key signs', () => {
  const open = CONTRACTS.filter(({ access }) => access === 'public').map(({ operationId }) => operationId);
  expect(open.sort()).toEqual([
    'atprotoDid',
    'didJson',
    'docsPage',
    'exchangeCode',
    'finishOidcLogin',
    'healthz',
    'loginMiniApp',
    'loginWidget',
    'openapiJson',
    'recoverByCancelling',
    'recoverByHandOver',
    'showLoginLink',
    'startOidcLogin',
    'useLoginLink',
  ]);
});

it('can confirm with the second factor every operation that needs it, and no other', () => {
  const needy = CONTRACTS.filter(({ stepUp }) => stepUp).map(({ operationId }) => operationId);
  expect(STEP_UP_CONTRACTS.map(({ operationId }) => operationId).sort()).toEqual(needy.sort());
});

it('has each operation and each route once', () => {
  const routes = CONTRACTS.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(routes).size).toBe(routes.length);
  expect(new Set(CONTRACTS.map(({ operationId }) => operationId)).size).toBe(CONTRACTS.length);
});
