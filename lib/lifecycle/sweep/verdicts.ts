import { appendAudits } from '../../audit/append.ts';
import type { Transaction } from '../../db/connect.ts';
import { type HealthCheck, storeHealthChecks } from '../../pds/health-checks.ts';
import { FAILURES_TO_INACCESSIBLE } from '../../pds/health-problems.ts';
import { type Group, membersOf, type SweepDeps } from './group.ts';

type Judged = { user_id: string; pnptv_uuid: string; before: string; after: string };
type Deps = Pick<SweepDeps, 'sql' | 'now'>;

/**
 * Counts a failure for every member of a provider that is down, without asking for anybody: once a sweep, however often
 * the message comes. The third in a row makes them inaccessible, which each one's audit log says. Who is inaccessible for
 * a reason of his own keeps it.
 */
export async function countFailures({ sql, now }: Deps, group: Group): Promise<number> {
  return sql.begin(async (tx) => {
    const judged = await tx<Judged[]>`
      WITH fallen AS (
        SELECT id, verification_status AS before FROM user_pds_mapping m
        WHERE ${membersOf(tx, group, now())} AND judged_in_sweep < ${group.sweep.id}
          AND (verification_status <> 'inaccessible' OR health_problem = 'PROVIDER_DOWN')
        ORDER BY id FOR NO KEY UPDATE
      )
      UPDATE user_pds_mapping m SET
        judged_in_sweep = ${group.sweep.id},
        consecutive_failures = consecutive_failures + 1,
        health_problem = 'PROVIDER_DOWN',
        verification_status = CASE WHEN consecutive_failures + 1 >= ${FAILURES_TO_INACCESSIBLE}
          THEN 'inaccessible' ELSE verification_status END
      FROM fallen WHERE m.id = fallen.id
      RETURNING m.user_id, m.pnptv_uuid, before, m.verification_status AS after`;
    await writeDown(tx, group, judged, 'failed');
    return judged.length;
  });
}

/** Ends what {@link countFailures} began, for those whom the provider calls active now that it is back. */
export async function countRecoveries({ sql, now }: Deps, group: Group): Promise<number> {
  return sql.begin(async (tx) => {
    const judged = await tx<Judged[]>`
      WITH risen AS (
        SELECT id, verification_status AS before FROM user_pds_mapping m
        WHERE ${membersOf(tx, group, now())} AND seen_in_sweep = ${group.sweep.id}
          AND health_problem = 'PROVIDER_DOWN'
        ORDER BY id FOR NO KEY UPDATE
      )
      UPDATE user_pds_mapping m SET
        judged_in_sweep = ${group.sweep.id}, consecutive_failures = 0, health_problem = NULL,
        last_verified_at = ${now()},
        verification_status = CASE verification_status WHEN 'inaccessible' THEN 'accessible' ELSE verification_status END
      FROM risen WHERE m.id = risen.id
      RETURNING m.user_id, m.pnptv_uuid, before, m.verification_status AS after`;
    await writeDown(tx, group, judged, 'success');
    return judged.length;
  });
}

async function writeDown(
  tx: Transaction,
  { home }: Group,
  judged: readonly Judged[],
  status: 'success' | 'failed',
): Promise<void> {
  const check: HealthCheck = {
    checkType: 'connectivity',
    endpoint: home.endpoint,
    status,
    responseTimeMs: 0,
    details: { provider: home.id, found_by: 'sweep' },
    errorMessage: status === 'failed' ? 'the PDS does not answer' : null,
  };
  await storeHealthChecks(
    tx,
    judged.map(({ user_id, pnptv_uuid }) => ({
      ...check,
      subject: { userId: user_id, pnptvUuid: pnptv_uuid },
    })),
  );
  const changed = judged.filter(({ before, after }) => before !== after);
  await appendAudits(
    tx,
    changed.map(({ user_id, pnptv_uuid, before, after }) => ({
      userId: user_id,
      pnptvUuid: pnptv_uuid,
      action: 'verified',
      status,
      details: { before, after, failed_checks: status === 'failed' ? ['connectivity'] : [] },
      ...(status === 'failed' && { errorCode: 'PROVIDER_DOWN' }),
    })),
  );
}
