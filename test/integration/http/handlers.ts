import path from 'node:path';
import type { CONTRACTS } from '../../../lib/docs/contracts.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';

const FUNCTIONS = path.resolve(import.meta.dirname, '../../../functions');

/** The Lambda of a contract, as it starts in the environment of the test. */
export async function loadHandler({
  subsystem,
  operationId,
}: Pick<(typeof CONTRACTS)[number], 'subsystem' | 'operationId'>): Promise<ApiHandler> {
  const file = `${operationId.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`;
  const { handler } = await import(path.join(FUNCTIONS, subsystem, file));
  return handler;
}
