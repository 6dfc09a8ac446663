import type { Queryable, Transaction } from '../db/connect.ts';
import type { Contract } from '../http/contract.ts';
import { apiError } from '../http/error-codes.ts';
import { isLiving, type Member } from './session/session.ts';
import { storedTarget, targetOf } from './step-up-target.ts';

/** The second factor that a request needs: for this operation on this target, from this very session. */
export type StepUpNeed = {
  readonly userId: string;
  readonly sessionId: string;
  readonly operation: string;
  /** As it is stored: see `storedTarget`. */
  readonly target: string | null;
  /** True from {@link useStepUp} on. */
  used: boolean;
};

/** What a request of this contract needs; undefined when a session is enough. */
export function needStepUp(
  contract: Contract,
  member: Member | undefined,
  { params, body }: { params: unknown; body: unknown },
): StepUpNeed | undefined {
  const { operationId, stepUp } = contract;
  if (stepUp === undefined) return undefined;
  if (member === undefined) throw new Error('only a member who changes something has a second factor');
  const target = storedTarget(targetOf(contract, { ...(body as object), ...(params as object) }));
  return { userId: member.id, sessionId: member.session_id, operation: operationId, target, used: false };
}

/**
 * Uses up the step-up that a request needs, as part of the caller's transaction: when that does not commit, the
 * step-up can be used again. Of any number of requests at the same time each takes one of its own.
 * Throws `STEP_UP_REQUIRED` (403) when there is none: never made, over 5 minutes old, used, for something else, or of a
 * session that was ended while the request was under way.
 */
export async function useStepUp(tx: Transaction, need: StepUpNeed): Promise<void> {
  const used = await tx`
    UPDATE step_ups SET used_at = now() WHERE id = (
      SELECT id FROM step_ups WHERE ${isUsable(tx, need)} ORDER BY created_at LIMIT 1 FOR UPDATE)`;
  if (used.count === 0) throw apiError('STEP_UP_REQUIRED');
  need.used = true;
}

/**
 * Throws `STEP_UP_REQUIRED` (403) when there is none to use, and uses up nothing: for a request that has others to ask
 * before it comes to its transaction, and asks nobody anything for who has not shown his second factor.
 */
export async function expectStepUp(sql: Queryable, need: StepUpNeed): Promise<void> {
  if (!(await hasStepUp(sql, need))) throw apiError('STEP_UP_REQUIRED');
}

/** Whether there is one to use now. */
export async function hasStepUp(sql: Queryable, need: StepUpNeed): Promise<boolean> {
  const [usable] = await sql`SELECT id FROM step_ups WHERE ${isUsable(sql, need)} LIMIT 1`;
  return usable !== undefined;
}

function isUsable(sql: Queryable, { userId, sessionId, operation, target }: StepUpNeed) {
  return sql`session_id = ${sessionId} AND user_id = ${userId} AND operation = ${operation}
    AND target IS NOT DISTINCT FROM ${target} AND used_at IS NULL AND expires_at > now()
    AND EXISTS (SELECT FROM sessions s WHERE s.id = session_id AND ${isLiving(sql)})`;
}
