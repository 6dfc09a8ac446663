import { appendAudit } from '../../audit/append.ts';
import { tellMember } from '../../auth/bot/tell-member.ts';
import { sessionOf } from '../account/adopt.ts';
import { sealSession } from '../account/seal-session.ts';
import { updateIdentity } from '../identity.ts';
import type { AccountHost } from '../providers/provider-access.ts';
import { enqueue } from '../queue/queue.ts';
import { completeRow } from '../queue/settle.ts';
import { type Run, reserved } from '../run.ts';

/**
 * activated → secured: one transaction stores the sealed tokens, destroys the bootstrap key, backs the credentials
 * up, says so to the member and in the audit log, ends this work and asks for the first check. With it the identity is
 * active, and its keys will be rotated when their time comes.
 */
export async function secure(run: Run, host: AccountHost): Promise<void> {
  const { sql, identity, work, now, startedAt } = run;
  const { pds_did, pds_handle, provider_id, user_id, pnptv_uuid } = reserved(run);
  // Sealed before the transaction: should the data key have to be opened, nobody's locks wait for KMS.
  const tokens = await sealSession(run, await sessionOf(run, host));
  run.followUp = await sql.begin(async (tx) => {
    await completeRow(tx, work);
    await updateIdentity(tx, identity, {
      ...tokens,
      bootstrap_key_sealed: null,
      status: 'active',
      error_code: null,
      error_message: null,
      provisioning_step: 'secured',
      lease_until: null,
    });
    await tx`
      UPDATE user_pds_mapping SET next_key_rotation = next_key_rotation(pnptv_uuid, ${now()}, ${run.rotation.days})
      WHERE user_id = ${user_id}`;
    await run.backUp(tx, user_id);
    const { queueId } = await enqueue(tx, { userId: user_id, action: 'verify', now: now() });
    await tellMember(tx, user_id, 'ready');
    await appendAudit(tx, {
      userId: user_id,
      pnptvUuid: pnptv_uuid,
      action: 'created',
      status: 'success',
      details: { pds_did, pds_handle, provider: provider_id, took_ms: now().getTime() - startedAt.getTime() },
    });
    return queueId;
  });
}
