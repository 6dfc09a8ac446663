import { type StepUpTarget, targetOf } from '../auth/step-up-target.ts';
import type { Contract } from '../http/contract.ts';
import { wordFor } from './glossary.ts';
import type { Parameter } from './parameters.ts';

/** What the second factor has to be confirmed for, before a route is asked. */
export type StepUp = {
  operation: string;
  /** The parameter of the path or field of the body whose value is the target; or those that are it together. */
  target: string | readonly string[] | null;
  /** The body of POST /api/auth/2fa/step-up before the request that is shown. */
  example: { operation: string; target?: StepUpTarget; code: unknown };
};

/** `body`: the example of it. Undefined for a route that needs no step-up. */
export function stepUpOf(
  contract: Contract,
  parameters: readonly Parameter[],
  body: unknown,
): StepUp | undefined {
  const { operationId: operation, stepUp } = contract;
  if (stepUp === undefined) return undefined;
  const params = Object.fromEntries(parameters.map(({ name, example }) => [name, example]));
  const target = targetOf(contract, { ...(body as object), ...params });
  const code = wordFor('stepUp', 'code')?.example;
  return {
    operation,
    target: stepUp.target ?? null,
    example: { operation, ...(target !== null && { target }), code },
  };
}
