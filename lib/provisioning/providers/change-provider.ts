import type { Transaction } from '../../db/connect.ts';
import { accountPassword } from '../account/adopt.ts';
import { updateIdentity } from '../identity.ts';
import { openOrphanPassword, sealOrphanPassword } from '../orphans/password.ts';
import { type Run, reserved } from '../run.ts';
import { newAccountPassword, sealForMapping } from '../secrets.ts';

/** What stayed behind with a provider: the password of then. */
type Left = { id: number; user_id: string; account_password_sealed: string; state: string };

/** It was decided meanwhile what becomes of the account there: nobody moves in any more. */
class NotFree extends Error {}

/**
 * Gives a member whose account is not made yet another provider. Names, DID and keys stay; the password does not, since
 * there is one for each provider. If a createAccount left whose end nobody saw, the provider of before may have an
 * account of his one day: the same transaction writes that down. Who comes back to such a provider has the password of
 * then, and a quarantine that begins anew: nobody has seen meanwhile whether it was awake. False, and nothing changed, while
 * that account is being done away with.
 */
export async function changeProvider(run: Run, to: string): Promise<boolean> {
  const { sql, vault, identity, random, now } = run;
  const { data_key_id, create_started_at } = reserved(run);
  const back = await findLeft(run, to);
  if (back?.state === 'closing') return false;
  const password = back ? await openOrphanPassword(vault, back) : newAccountPassword(random.bytes);
  const sealed = await sealForMapping(vault, data_key_id, identity, 'account_password_sealed', password);
  const left = create_started_at && (await sealLeft(run, create_started_at));
  try {
    await sql.begin(async (tx) => {
      // The member before what he left behind, as everywhere.
      await tx`SELECT FROM user_pds_mapping WHERE user_id = ${identity.user_id} FOR UPDATE`;
      if (back) await moveBackIn(tx, back);
      if (left) await writeDown(tx, left);
      await updateIdentity(tx, identity, {
        provider_id: to,
        account_password_sealed: sealed,
        create_started_at: back ? now() : null,
      });
    });
    return true;
  } catch (error) {
    if (error instanceof NotFree) return false;
    throw error;
  }
}

async function findLeft({ sql, identity }: Run, providerId: string): Promise<Left | undefined> {
  const [left] = await sql<Left[]>`
    SELECT id, user_id, account_password_sealed, state FROM pds_possible_orphans
    WHERE user_id = ${identity.user_id} AND provider_id = ${providerId} AND state IN ('possible', 'closing', 'deactivated')`;
  return left;
}

async function moveBackIn(tx: Transaction, { id }: Left): Promise<void> {
  const moved = await tx`
    UPDATE pds_possible_orphans SET state = 'in_use', settled_at = now()
    WHERE id = ${id} AND state IN ('possible', 'deactivated')`;
  if (moved.count === 0) throw new NotFree();
}

async function sealLeft(run: Run, create_started_at: Date) {
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

async function writeDown(tx: Transaction, left: Awaited<ReturnType<typeof sealLeft>>): Promise<void> {
  await tx`
    INSERT INTO pds_possible_orphans ${tx(left)}
    ON CONFLICT (id) DO UPDATE SET
      account_password_sealed = excluded.account_password_sealed, create_started_at = excluded.create_started_at,
      state = 'possible', absent_since = NULL, look_at = NULL, settled_at = NULL`;
}
