import * as z from 'zod/mini';
import { readBody, refuseBody } from './body.ts';
import type { Contract } from './contract.ts';
import type { ApiEvent } from './event.ts';
import { validate } from './validate.ts';

const NO_PARAMETERS = z.strictObject({});

/**
 * The body, query and path parameters of a request in the form that its contract asks for. What the contract does not
 * know is refused: a caller who misspells a field is told so, instead of getting something else than he asked for.
 */
export async function readInput(
  contract: Contract,
  event: ApiEvent,
): Promise<{ body: unknown; query: unknown; params: unknown }> {
  const body = readBody(event, contract.maxBodyBytes);
  if (!contract.body) refuseBody(body);
  return {
    body: contract.body && validate(contract.body, body, 'body'),
    query: readQuery(contract, event.queryStringParameters ?? {}),
    params: contract.params && validate(contract.params, event.pathParameters ?? {}, 'path'),
  };
}

function readQuery({ query, data }: Contract, parameters: object): unknown {
  // Documents without an envelope are read by strangers' software, which may append what it likes.
  if (!query && !data) return undefined;
  return validate(query ?? NO_PARAMETERS, parameters, 'query');
}
