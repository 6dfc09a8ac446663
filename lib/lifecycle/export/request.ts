import { AppError } from '../../app-error.ts';
import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { enqueue, type QueueId } from '../../provisioning/queue/queue.ts';
import type { Vault } from '../../vault/vault.ts';
import type { OwnCredentials } from '../custody/bundle.ts';
import { isArriving } from '../move/arriving.ts';
import { encryptKeys, newCode } from './keys.ts';
import { type Contents, noteExport } from './rows.ts';

export type RequestDeps = { sql: Sql; vault: Vault; now: () => Date };
export type RequestedExport = {
  exportId: number;
  keysCode: string | null;
  createdAt: Date;
  /** For the worker, after the commit. */
  queued: QueueId | undefined;
};

/** Who may take with him what we have of him: not whose identity is still being made. */
const OF = ['active', 'revoked'];

/**
 * Has an export made. A member who asks again for `data` while one is under way is told of that one. His keys are opened
 * here and now, for whom they may also be revealed to (lib/lifecycle/custody/reveal.ts), and encrypted under a code
 * that is returned and kept nowhere: what waits for the worker, and lies in the archive, nobody opens but who was shown
 * the code. As with any revealed credential, the intent stands in the audit log before, and what became of it before the code
 * leaves. Throws `STEP_UP_REQUIRED` (403), `IDENTITY_NOT_READY` and `EXPORT_IN_PROGRESS` (409), and, for keys while he moves
 * into another account, `CHANGE_IN_PROGRESS` (409).
 */
export async function requestExport(
  { sql, vault, now }: RequestDeps,
  need: StepUpNeed,
  contents: Contents,
): Promise<RequestedExport> {
  if (contents === 'data') {
    return sql.begin(async (tx) => {
      await useStepUp(tx, need);
      return write(tx, need, { contents, now: now() });
    });
  }
  const own = await sql.begin(async (tx) => {
    await useStepUp(tx, need);
    await expectNone(tx, need.userId);
    const row = await readOwn(tx, need.userId);
    await noteKeys(tx, row, need, { status: 'pending' });
    return row;
  });
  try {
    const code = newCode();
    const keys = {
      jwe: await encryptKeys(vault, own, { code, now: now() }),
      version: own.credential_version,
      of: own.pnptv_uuid,
    };
    return await sql.begin(async (tx) => {
      const written = await write(tx, need, { contents, keys, now: now() });
      await noteKeys(tx, own, need, { status: 'success' });
      return { ...written, keysCode: code };
    });
  } catch (error) {
    const errorCode = error instanceof AppError ? error.code : 'INTERNAL';
    await sql.begin((tx) => noteKeys(tx, own, need, { status: 'failed', errorCode }));
    throw error;
  }
}

type Wish = { contents: Contents; keys?: { jwe: string; version: number; of: string }; now: Date };
type Written = { id: number; user_id: string; pnptv_uuid: string; contents: Contents; created_at: Date };

async function write(tx: Transaction, { userId }: StepUpNeed, wish: Wish): Promise<RequestedExport> {
  const { contents, keys, now } = wish;
  const [made] = await tx<Written[]>`
    INSERT INTO pds_exports (user_id, pnptv_uuid, contents, keys_jwe, credential_version)
    SELECT user_id, pnptv_uuid, ${contents}, ${keys?.jwe ?? null}, ${keys?.version ?? null}
    FROM user_pds_mapping WHERE user_id = ${userId} AND status IN ${tx(OF)}
      ${keys ? tx`AND pnptv_uuid = ${keys.of} AND credential_version = ${keys.version}` : tx``}
    ON CONFLICT (user_id) WHERE ended_at IS NULL DO NOTHING
    RETURNING id, user_id, pnptv_uuid, contents, created_at`;
  const [open] = made ? [made] : await readOpen(tx, userId);
  if (open === undefined) throw apiError('IDENTITY_NOT_READY');
  if (!made && (keys || open.contents !== contents)) throw apiError('EXPORT_IN_PROGRESS');
  // Work that was given up is begun again by who asks again.
  const { queueId, created } = await enqueue(tx, { userId, action: 'export', now });
  if (made) await noteExport(tx, made, { status: 'pending', createdBy: userId });
  return {
    exportId: open.id,
    keysCode: null,
    createdAt: open.created_at,
    queued: created ? queueId : undefined,
  };
}

function readOpen(tx: Transaction, userId: string) {
  return tx<Written[]>`
    SELECT id, user_id, pnptv_uuid, contents, created_at FROM pds_exports
    WHERE user_id = ${userId} AND ended_at IS NULL`;
}

async function expectNone(tx: Transaction, userId: string): Promise<void> {
  if ((await readOpen(tx, userId)).length > 0) throw apiError('EXPORT_IN_PROGRESS');
}

async function readOwn(tx: Transaction, userId: string): Promise<OwnCredentials> {
  const [own] = await tx<(OwnCredentials & { is_arriving: boolean })[]>`
    SELECT user_id, pnptv_uuid, pds_did, pds_handle, pds_endpoint, pds_public_key, pds_private_key_encrypted,
      pds_private_key_iv, pds_private_key_auth_tag, account_password_sealed, rotation_key_sealed, rotation_public_key,
      credential_version, ${isArriving(tx)} AS is_arriving
    FROM user_pds_mapping m WHERE user_id = ${userId} AND pds_private_key_encrypted IS NOT NULL
      AND (status = 'active' OR left_at IS NOT NULL)`;
  if (own === undefined) throw apiError('IDENTITY_NOT_READY');
  if (own.is_arriving) throw apiError('CHANGE_IN_PROGRESS');
  return own;
}

function noteKeys(
  tx: Transaction,
  { user_id, pnptv_uuid }: OwnCredentials,
  { sessionId }: StepUpNeed,
  outcome: Pick<AuditEntry, 'status' | 'errorCode'>,
) {
  return appendAudit(tx, {
    userId: user_id,
    pnptvUuid: pnptv_uuid,
    action: 'credentials_revealed',
    ...outcome,
    details: { credential: 'all, encrypted, for an export', session_id: sessionId },
    createdBy: user_id,
  });
}
