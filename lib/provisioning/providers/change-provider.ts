import { updateIdentity } from '../identity.ts';
import { findLeft, moveBackIn, NotFree, sealLeft, writeDown } from '../orphans/left.ts';
import { openOrphanPassword } from '../orphans/password.ts';
import { type Run, reserved } from '../run.ts';
import { newAccountPassword, sealForMapping } from '../secrets.ts';

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
