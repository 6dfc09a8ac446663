import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { expectStepUp, type StepUpNeed } from '../../auth/step-up.ts';
import type { Queryable, Sql } from '../../db/connect.ts';
import { documentedCode } from '../../http/answer.ts';
import { apiError } from '../../http/error-codes.ts';
import { findRestorable, type SealedBackup } from './backups.ts';
import { type ProofDeps, proveBackup } from './prove.ts';
import { Busy, type Member, type Restored, replaceCredentials, sealForNextVersion } from './replace.ts';

export type RestoreDeps = ProofDeps & {
  /** With at least two connections: see `backUpCredentials`. */
  sql: Sql;
  signal: AbortSignal;
  /** How long a key stays in the document when another takes its place. */
  graceDays: number;
  /** How long to wait for a worker that has the member, in ms. A check takes one or two seconds. */
  patienceMs?: number;
};

const PATIENCE_MS = 5_000;
const POLL_MS = 250;

/**
 * Puts what a backup holds in the place of a member's credentials, once it is proven that it works. One transaction
 * makes a `recovery` backup of the present ones, replaces them, uses up the backup and the step-up, backs the new ones
 * up, asks for a check and writes the audit log: after a crash all of it is there, or none. A backup is restored once,
 * however many ask; of two at the same time, one wins.
 *
 * The step-up is spent only on a restore: what is refused, or fails, can be tried again with it, a few times an hour.
 * There is nothing to guess, for the member brings nothing but the number of the backup.
 *
 * Throws `STEP_UP_REQUIRED`, what `findRestorable` and `proveBackup` throw, `IDENTITY_NOT_READY` (409), and
 * `RESTORE_IN_PROGRESS` (409) while a worker or another restore has the member.
 */
export async function restoreBackup(
  deps: RestoreDeps,
  { userId, backupId, stepUp }: { userId: string; backupId: number; stepUp: StepUpNeed },
): Promise<Restored> {
  const { sql, vault, signal, patienceMs = PATIENCE_MS } = deps;
  await expectStepUp(sql, stepUp);
  const backup = await findRestorable(sql, userId, backupId);
  const member = await readMember(sql, userId);
  const proven = await proveBackup(deps, member, backup).catch(async (error) => {
    await sql.begin((tx) => appendAudit(tx, failure(member, backup, error)));
    throw error;
  });
  const otherKeysRetireAt = new Date(deps.now().getTime() + deps.graceDays * 86_400_000);
  const sealed = {
    ...(await sealForNextVersion(vault, member, proven)),
    other_keys_retire_at: otherKeysRetireAt.toISOString(),
  };
  for (const deadline = performance.now() + patienceMs; ; await sleep(POLL_MS, undefined, { signal })) {
    signal.throwIfAborted();
    try {
      return await sql.begin((tx) =>
        replaceCredentials({ tx, vault, now: deps.now }, { member, backup, sealed, stepUp }),
      );
    } catch (error) {
      if (!(error instanceof Busy)) throw error;
      if (performance.now() + POLL_MS > deadline) throw apiError('RESTORE_IN_PROGRESS');
    }
  }
}

async function readMember(sql: Queryable, userId: string): Promise<Member> {
  const [member] = await sql<Member[]>`
    SELECT user_id, pnptv_uuid, pds_did, provider_id, data_key_id, credential_version, rotation_key_sealed,
      rotation_public_key, ARRAY(
      SELECT public_key_multibase FROM pds_verification_keys WHERE user_id = m.user_id AND state <> 'revoked'
    ) AS public_keys
    FROM user_pds_mapping m WHERE user_id = ${userId} AND status = 'active'`;
  if (member === undefined) throw apiError('IDENTITY_NOT_READY');
  return member;
}

/** A restore that was asked for with a second factor is written down also when nothing came of it. */
function failure(member: Member, backup: SealedBackup, error: unknown): AuditEntry {
  const { code, message } = apiError(documentedCode(error));
  return {
    userId: member.user_id,
    pnptvUuid: member.pnptv_uuid,
    action: 'backup_restored',
    status: 'failed',
    details: { backup_id: backup.id, backup_type: backup.type },
    errorCode: code,
    errorMessage: message,
    createdBy: member.user_id,
  };
}
