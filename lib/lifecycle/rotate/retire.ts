import { appendAudits } from '../../audit/append.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { isFree } from './due.ts';
import { settle } from './publish.ts';
import type { RotateDueDeps } from './rotate-due.ts';

const BATCH = 200;

type Retired = { user_id: string; pnptv_uuid: string; key_id: string };

/**
 * Whether a key `k` of the member `m` has had its grace period. Never the one that is his own now, as during a rotation
 * that has not come to its end, and never the last: his document would be without a working key.
 */
export function isOver(sql: Queryable, now: Date) {
  return sql`k.state = 'retiring' AND k.retire_at <= ${now} AND k.public_key_multibase <> m.pds_public_key
    AND EXISTS (
      SELECT FROM pds_verification_keys kept
      WHERE kept.user_id = k.user_id AND kept.state = 'active' AND kept.public_key_multibase = m.pds_public_key)`;
}

/** Takes keys whose grace period is over out of the documents of did:webs, a few hundred in one transaction. */
export async function retireKeys(deps: RotateDueDeps, deadline: Date): Promise<number> {
  const { sql, now } = deps;
  for (let total = 0; ; ) {
    const retired = now() < deadline ? await sql.begin((tx) => retireBatch(tx, now())) : 0;
    total += retired;
    if (retired < BATCH) return total;
  }
}

async function retireBatch(tx: Transaction, now: Date): Promise<number> {
  const members = await tx<{ id: number }[]>`
    SELECT m.id FROM user_pds_mapping m WHERE m.did_method = 'web' AND ${isFree(tx, now)} AND m.user_id IN (
      SELECT k.user_id FROM pds_verification_keys k WHERE k.state = 'retiring' AND k.retire_at <= ${now})
      AND EXISTS (SELECT FROM pds_verification_keys k WHERE k.user_id = m.user_id AND ${isOver(tx, now)})
    ORDER BY m.id LIMIT ${BATCH} FOR NO KEY UPDATE OF m SKIP LOCKED`;
  if (members.length === 0) return 0;
  // A statement of its own: it sees what those have committed who had the members before.
  const ids = members.map(({ id }) => id);
  const retired = await tx<Retired[]>`
    UPDATE pds_verification_keys k SET state = 'revoked'
    FROM user_pds_mapping m WHERE m.id = ANY(${ids}::bigint[]) AND k.user_id = m.user_id AND ${isOver(tx, now)}
    RETURNING m.user_id, m.pnptv_uuid, k.key_id`;
  await tx`UPDATE user_pds_mapping SET ${settle(tx, now)} WHERE id = ANY(${ids}::bigint[])`;
  await noteRetired(tx, retired);
  return members.length;
}

export async function noteRetired(
  tx: Transaction,
  retired: readonly Retired[],
  details: object = {},
): Promise<void> {
  await appendAudits(
    tx,
    retired.map(({ user_id, pnptv_uuid, key_id }) => ({
      userId: user_id,
      pnptvUuid: pnptv_uuid,
      action: 'key_retired',
      status: 'success',
      details: { key_id, ...details },
    })),
  );
}
