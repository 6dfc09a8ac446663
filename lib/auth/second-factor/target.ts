import * as z from 'zod/mini';
import type { Contract } from '../../http/contract.ts';
import { validate } from '../../http/validate.ts';
import { STEP_UP_CONTRACTS } from '../api/step-up.ts';
import { type StepUpTarget, targetOf } from '../step-up-target.ts';

/**
 * The target of a step-up in the form in which its operation will be asked for it (step-up.ts): read by the very schemas
 * of those parameters and fields. Throws `INPUT_INVALID` (400) for one that the operation does not take, or needs.
 */
export function readTarget(operation: string, target: StepUpTarget): StepUpTarget {
  const contract = STEP_UP_CONTRACTS.find(({ operationId }) => operationId === operation);
  if (contract === undefined) throw new Error(`${operation} needs no step-up`);
  const read = validate(z.strictObject({ target: schemaOf(contract) }), { target }, 'body').target;
  const name = contract.stepUp?.target;
  return targetOf(contract, typeof name === 'string' ? { [name]: read } : { ...(read as object) });
}

function schemaOf(contract: Contract): z.ZodMiniType {
  const target = contract.stepUp?.target;
  if (target === undefined) return z.null();
  if (typeof target === 'string') return fieldOf(contract, target);
  return z.strictObject(Object.fromEntries(target.map((name) => [name, fieldOf(contract, name)])));
}

function fieldOf({ operationId, params, body }: Contract, name: string): z.ZodMiniType {
  const schema = [params, body]
    .filter((one) => one instanceof z.ZodMiniObject)
    .map(({ shape }) => shape[name])
    .find((one) => one instanceof z.ZodMiniType);
  if (schema === undefined) throw new Error(`${operationId} has no ${name}`);
  return schema;
}
