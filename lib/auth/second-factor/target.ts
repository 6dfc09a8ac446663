import * as z from 'zod/mini';
import { apiError } from '../../http/error-codes.ts';
import { validate } from '../../http/validate.ts';
import { STEP_UP_CONTRACTS } from '../api/step-up.ts';

/**
 * The target of a step-up in the form in which its operation will be asked for it (step-up.ts): read by the very schema
 * of that parameter or field. Throws `INPUT_INVALID` (400) for one that the operation does not take, or needs.
 */
export function readTarget(operation: string, target: string | null): string | null {
  const contract = STEP_UP_CONTRACTS.find(({ operationId }) => operationId === operation);
  const name = contract?.stepUp?.target;
  if ((name === undefined) !== (target === null)) throw apiError('INPUT_INVALID', { fields: ['target'] });
  if (name === undefined) return null;
  const schema = [contract?.params, contract?.body]
    .filter((one) => one instanceof z.ZodMiniObject)
    .map(({ shape }) => shape[name])
    .find((one) => one instanceof z.ZodMiniType);
  if (schema === undefined) throw new Error(`${operation} has no ${name}`);
  return String(validate(z.strictObject({ target: schema }), { target }, 'body').target);
}
