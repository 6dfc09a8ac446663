import type { Queryable, Transaction } from '../../db/connect.ts';
import { accountPassword } from '../account/adopt.ts';
import { type Run, reserved } from '../run.ts';
import { sealOrphanPassword } from './password.ts';

/** How long an account that he has moved away from stays, deactivated, for whoever wants to look back. */
export const LOOK_BACK_MS = 30 * 24 * 3600_000;

/** What stayed behind with a provider: the password of then. */
export type Left = { id: number; user_id: string; account_password_sealed: string; state: string };

/** It was decided meanwhile what becomes of the account there: nobody moves in any more. */
export class NotFree extends Error {}

/** The account that a member has, or may have, at a provider where he does not live; undefined when its end is known. */
export async function findLeft(
  { sql, identity }: Pick<Run, 'sql' | 'identity'>,
  providerId: string,
): Promise<Left | undefined> {
  const [left] = await sql<Left[]>`
    SELECT id, user_id, account_password_sealed, state FROM pds_possible_orphans
    WHERE user_id = ${identity.user_id} AND provider_id = ${providerId} AND state IN ('possible', 'closing', 'deactivated')`;
  return left;
}

/** Takes it out of the reconciler's hands. Throws NotFree while it is being done away with. */
export async function moveBackIn(tx: Transaction, { id }: Pick<Left, 'id'>): Promise<void> {
  const moved = await tx`
    UPDATE pds_possible_orphans SET state = 'in_use', settled_at = now()
    WHERE id = ${id} AND state IN ('possible', 'deactivated')`;
  if (moved.count === 0) throw new NotFree();
}

/** What is to be written down of the account at the run's provider, with its password. Before the transaction. */
export async function sealLeft(run: Run, create_started_at: Date) {
  const { sql, vault } = run;
  const { user_id, pnptv_uuid, pds_did, provider_id, data_key_id } = reserved(run);
  const [{ id }] = await sql<[{ id: number }]>`
    SELECT coalesce(
      (SELECT id FROM pds_possible_orphans WHERE user_id = ${user_id} AND provider_id = ${provider_id}),
      nextval('pds_possible_orphans_id_seq')) AS id`;
  const password = await accountPassword(run);
  const account_password_sealed = await sealOrphanPassword(vault, data_key_id, { id, user_id }, password);
  return {
    id,
    user_id,
    pnptv_uuid,
    provider_id,
    pds_did,
    account_password_sealed,
    data_key_id,
    create_started_at,
  };
}

/** Hands it to the reconciler: at once, or, of one that he has moved away from (`movedAt`), from `lookAt` on. */
export async function writeDown(
  sql: Queryable,
  left: Awaited<ReturnType<typeof sealLeft>>,
  { movedAt = null, lookAt = null }: { movedAt?: Date | null; lookAt?: Date | null } = {},
): Promise<void> {
  await sql`
    INSERT INTO pds_possible_orphans ${sql({ ...left, moved_at: movedAt, look_at: lookAt })}
    ON CONFLICT (id) DO UPDATE SET
      account_password_sealed = excluded.account_password_sealed, data_key_id = excluded.data_key_id,
      create_started_at = excluded.create_started_at, moved_at = excluded.moved_at, look_at = excluded.look_at,
      state = 'possible', absent_since = NULL, settled_at = NULL`;
}
