import { expectStepUp, type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { type Requested, requestChange } from '../changes/request.ts';

/**
 * Writes down that a member moves to another PDS of this service, and uses up his step-up with it. Throws
 * `STEP_UP_REQUIRED` (403), `PROVIDER_NOT_FOUND` (404), `MOVE_ALREADY_THERE` (409), and what `requestChange` throws.
 */
export async function requestMove(
  { sql, now }: { sql: Sql; now: () => Date },
  { provider, stepUp }: { provider: string; stepUp: StepUpNeed },
): Promise<Requested> {
  await expectStepUp(sql, stepUp);
  const { userId } = stepUp;
  return sql.begin(async (tx) => {
    const requested = await beginMove(tx, { userId, provider, by: userId, now: now() });
    await useStepUp(tx, stepUp);
    return requested;
  });
}

/** The same in the caller's transaction, whoever wants it. */
export async function beginMove(
  tx: Transaction,
  { userId, provider, by, now }: { userId: string; provider: string; by: string; now: Date },
): Promise<Requested> {
  const [target] = await tx<{ here: boolean }[]>`
    SELECT p.id IS NOT DISTINCT FROM m.provider_id AS here
    FROM pds_providers p LEFT JOIN user_pds_mapping m ON m.user_id = ${userId}
    WHERE p.id = ${provider} AND ('create' = ANY(p.capabilities) OR p.id = m.provider_id)`;
  if (target === undefined) throw apiError('PROVIDER_NOT_FOUND', { fields: ['provider'] });
  if (target.here) throw apiError('MOVE_ALREADY_THERE');
  return requestChange(tx, { userId, kind: 'move', wish: { provider }, by, now });
}
