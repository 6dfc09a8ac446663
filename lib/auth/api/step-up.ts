import * as z from 'zod/mini';
import { type Contract, contract } from '../../http/contract.ts';
import * as lifecycle from '../../lifecycle/api.ts';
import * as secondFactor from './second-factor.ts';

/**
 * Every route that needs a step-up. It is made of the contracts themselves; a subsystem whose first such route is new
 * is added here, which a test insists on. None of them may import this file: it stands above them all.
 */
export const STEP_UP_CONTRACTS: readonly Contract[] = [secondFactor, lifecycle]
  .flatMap((api) => Object.values<object>(api))
  .filter((value): value is Contract => 'stepUp' in value);

/** One value; or several, as the fields of an object. */
const target = z.union([z.string().check(z.maxLength(255)), z.record(z.string(), z.unknown())]);

export const stepUp = contract({
  operationId: 'stepUp',
  summary:
    'Confirm one operation on one target with a code of your app or a recovery code: good for 5 minutes, one use and this session. ' +
    'The session gets a new token, and the old one ends at once: let no other request run meanwhile, and log in again if this answer is lost',
  method: 'POST',
  path: '/api/auth/2fa/step-up',
  access: 'member',
  host: 'app',
  limits: secondFactor.CODE_TRIES,
  body: z.strictObject({
    operation: z.enum(STEP_UP_CONTRACTS.map(({ operationId }) => operationId)),
    /** What its `x-step-up` names, as the operation will be asked with it; absent or null where that is null. */
    target: z.optional(z.nullable(target)),
    code: z.string().check(z.regex(/^[0-9A-Za-z -]{6,40}$/, 'must be six digits or a recovery code')),
  }),
  data: z.object({
    operation: z.string(),
    target: z.nullable(target),
    expires_at: z.iso.datetime(),
    /** Of a session whose token came as a bearer; a cookie is set anew. */
    token: z.nullable(z.string()),
  }),
  setsSession: true,
  errors: ['TOTP_NOT_ENROLLED', 'CODE_INVALID', 'TOTP_LOCKED'],
});
