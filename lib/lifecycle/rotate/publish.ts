import type { Queryable } from '../../db/connect.ts';
import { type Identity, updateIdentity } from '../../provisioning/identity.ts';
import type { Run } from '../../provisioning/run.ts';
import { SETTLING_MS } from '../../provisioning/steps/identity_published.ts';
import { advance } from '../changes/advance.ts';
import type { Change } from '../changes/change.ts';
import { foundBy } from './made.ts';

/** prepared → published, of a did:web: our own document shows the new key beside the old one from this commit on. */
export async function publish(run: Run, change: Change): Promise<void> {
  await run.sql.begin(async (tx) => {
    await listMemberKey(tx, run, foundBy(change).member_key ?? '');
    await updateIdentity(tx, run.identity, settlingFrom(run.now(), run.identity));
    await advance(tx, run, change, { step: 'published' });
  });
}

type Settling = Pick<Identity, 'document_settles_at'>;

/** Until it is over, the document that has just changed is served with `no-store`; one that somebody else changes, on. */
export function settlingFrom(now: Date, { document_settles_at: before }: Settling): Settling {
  return { document_settles_at: before && new Date(now.getTime() + SETTLING_MS) };
}

/** The same, of mapping rows in SQL. */
export function settle(sql: Queryable, now: Date) {
  return sql`document_settles_at =
    CASE WHEN document_settles_at IS NOT NULL THEN ${new Date(now.getTime() + SETTLING_MS)}::timestamptz END`;
}

/** Lists a new key of the member's as the active one; what was active retires when the grace period is over. */
export async function listMemberKey(
  tx: Queryable,
  { identity, now, rotation }: Run,
  publicKey: string,
): Promise<void> {
  const retireAt = new Date(now().getTime() + rotation.graceDays * 86_400_000);
  await tx`
    WITH before AS (
      UPDATE pds_verification_keys SET state = 'retiring', retire_at = ${retireAt}
      WHERE user_id = ${identity.user_id} AND state = 'active'
    )
    INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase)
    VALUES (${identity.user_id}, ${nextKeyId(tx, identity)}, ${publicKey})`;
}

/** The fragment of the member's next key: `pnptv-<n>`, never one that was used before. */
export async function readNextKeyId(sql: Queryable, identity: Pick<Identity, 'user_id'>): Promise<string> {
  const [next] = await sql<[{ key_id: string }]>`SELECT ${nextKeyId(sql, identity)} AS key_id`;
  return next.key_id;
}

function nextKeyId(sql: Queryable, { user_id }: Pick<Identity, 'user_id'>) {
  return sql`(
    SELECT 'pnptv-' || coalesce(max(substring(key_id FROM '^pnptv-([0-9]{1,9})$')::int), 0) + 1
    FROM pds_verification_keys WHERE user_id = ${user_id})`;
}
