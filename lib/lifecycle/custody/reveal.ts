import type * as z from 'zod/mini';
import { AppError } from '../../app-error.ts';
import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Sql, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { Vault } from '../../vault/vault.ts';
import type { revealCredentials } from '../api.ts';
import { isArriving } from '../move/arriving.ts';
import { type OwnCredentials, openPassword, openPrivateKey, openRotationKey } from './bundle.ts';

export type Revealed = z.output<typeof revealCredentials.data>;
export type Credential = Revealed['credential'];

/** `key_id`: fragment of the DID document, without `#`. */
type Owned = OwnCredentials & { key_id: string; is_arriving: boolean };

/**
 * Reveals one credential to its owner. First, in one transaction, the step-up is used up and the intent is written into
 * the audit log; only when that is committed is anything opened; and what became of it is written down before it leaves.
 * What cannot be logged is not released: when the first entry fails the step-up is still good, when the second fails it
 * is spent. Throws `STEP_UP_REQUIRED` (403), then `IDENTITY_NOT_READY` (409) unless the identity is active: who
 * has revoked it brings it back first, but who has left has them for a while; `NO_ROTATION_KEYS` (409) for the rotation key
 * of a did:web; and `CHANGE_IN_PROGRESS` (409) for the password of an account that he is still moving into.
 */
export async function revealCredential(
  { sql, vault }: { sql: Sql; vault: Vault },
  need: StepUpNeed,
  credential: Credential,
): Promise<Revealed> {
  const note = (tx: Transaction, owned: Owned, outcome: Pick<AuditEntry, 'status' | 'errorCode'>) =>
    appendAudit(tx, {
      userId: owned.user_id,
      pnptvUuid: owned.pnptv_uuid,
      action: 'credentials_revealed',
      ...outcome,
      details: { credential, session_id: need.sessionId },
      createdBy: owned.user_id,
    });

  const owned = await sql.begin(async (tx) => {
    await useStepUp(tx, need);
    const row = await readOwned(tx, need.userId);
    if (credential === 'rotation_key' && row.rotation_key_sealed === null) throw apiError('NO_ROTATION_KEYS');
    if (credential === 'account_password' && row.is_arriving) throw apiError('CHANGE_IN_PROGRESS');
    await note(tx, row, { status: 'pending' });
    return row;
  });
  try {
    const revealed = await open(vault, owned, credential);
    await sql.begin((tx) => note(tx, owned, { status: 'success' }));
    return revealed;
  } catch (error) {
    const errorCode = error instanceof AppError ? error.code : 'INTERNAL';
    await sql.begin((tx) => note(tx, owned, { status: 'failed', errorCode }));
    throw error;
  }
}

async function readOwned(tx: Transaction, userId: string): Promise<Owned> {
  const [owned] = await tx<Owned[]>`
    SELECT m.user_id, m.pnptv_uuid, m.pds_did, m.pds_handle, m.pds_endpoint, m.pds_public_key,
      m.pds_private_key_encrypted, m.pds_private_key_iv, m.pds_private_key_auth_tag, m.account_password_sealed,
      m.rotation_key_sealed, m.rotation_public_key, m.credential_version, k.key_id, ${isArriving(tx)} AS is_arriving
    FROM user_pds_mapping m
    JOIN pds_verification_keys k ON k.user_id = m.user_id AND k.public_key_multibase = m.pds_public_key
    WHERE m.user_id = ${userId} AND m.pds_private_key_encrypted IS NOT NULL
      AND (m.status = 'active' OR m.left_at IS NOT NULL)`;
  if (owned === undefined) throw apiError('IDENTITY_NOT_READY');
  return owned;
}

async function open(vault: Vault, owned: Owned, credential: Credential): Promise<Revealed> {
  const { pds_did, pds_handle, pds_endpoint, pds_public_key } = owned;
  if (credential === 'account_password') {
    const password = await openPassword(vault, owned);
    return { credential, pds_did, pds_handle: `@${pds_handle}`, pds_endpoint, password };
  }
  if (credential === 'rotation_key') {
    const sealed = owned.rotation_key_sealed ?? '';
    const did_key = `did:key:${owned.rotation_public_key}`;
    return { credential, pds_did, did_key, private_key: await openRotationKey(vault, owned, sealed) };
  }
  return {
    credential,
    pds_did,
    key_id: `${pds_did}#${owned.key_id}`,
    public_key_multibase: pds_public_key,
    private_key: await openPrivateKey(vault, owned),
  };
}
