import { appendAudit } from '../audit/append.ts';
import type { Transaction } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import { mappingPlace } from '../provisioning/secrets.ts';
import { splitSealed } from '../vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../vault/secrets.ts';
import type { Vault } from '../vault/vault.ts';

export type Backup = { id: number; created_at: Date; expires_at: Date };
export type BackupType = 'manual' | 'auto' | 'recovery';

/** What a backup holds once it is opened: everything that makes the identity the member's own. */
export type CredentialBundle = {
  format: 1;
  pnptv_uuid: string;
  did: string;
  handle: string;
  pds_endpoint: string;
  provider_id: string;
  account: { email: string | null; password: string; refresh_token: string };
  /** Ed25519; `private_key` is the seed of RFC 8032 §5.1.5, base64url. */
  member_key: { public_key_multibase: string; private_key: string };
};

type Credentials = {
  user_id: string;
  pnptv_uuid: string;
  pds_did: string;
  pds_handle: string;
  pds_endpoint: string;
  pds_public_key: string;
  pds_private_key_encrypted: string;
  pds_private_key_iv: string;
  pds_private_key_auth_tag: string;
  pds_refresh_token: string;
  account_email: string | null;
  account_password_sealed: string;
  provider_id: string;
  data_key_id: string;
  credential_version: number;
};

/**
 * Where the content of a backup is sealed for. Its version is the backup's own id: no backup can be put in the place
 * of another, not even of the same member.
 */
export function backupPlace(userId: string, backupId: number): SecretPlace {
  return { table: 'pds_credential_backups', column: 'backup_data_encrypted', userId, version: backupId };
}

/**
 * Backs up a member's credentials as they are in the caller's transaction, and says so in the audit log. The backup
 * is sealed under the member's data key and kept for 30 days. Throws `IDENTITY_NOT_READY` (409) unless he is active.
 *
 * If the member's data key is not open, the vault reads it over a connection of its own: `tx` must come from a pool of
 * at least two, or both would wait for ever.
 */
export async function backUpCredentials(
  { tx, vault }: { tx: Transaction; vault: Vault },
  userId: string,
  type: BackupType,
): Promise<Backup> {
  const credentials = await readCredentials(tx, userId);
  const bundle = await openBundle(vault, credentials);
  const [{ id }] = await tx<[{ id: number }]>`SELECT nextval('pds_credential_backups_id_seq') AS id`;
  const { data_key_id, pnptv_uuid, credential_version } = credentials;
  const sealed = await sealSecret(vault, data_key_id, backupPlace(userId, id), JSON.stringify(bundle));
  const [backup] = await tx<[Backup]>`
    INSERT INTO pds_credential_backups ${tx({
      id,
      user_id: userId,
      pnptv_uuid,
      backup_type: type,
      backup_data_encrypted: sealed.body,
      backup_iv: sealed.iv,
      backup_auth_tag: sealed.tag,
      data_key_id,
      credential_version,
    })} RETURNING id, created_at, expires_at`;
  await appendAudit(tx, {
    userId,
    pnptvUuid: pnptv_uuid,
    action: 'backup_created',
    status: 'success',
    details: { backup_id: id, backup_type: type, expires_at: backup.expires_at },
    createdBy: type === 'manual' ? userId : 'system',
  });
  return backup;
}

async function readCredentials(tx: Transaction, userId: string): Promise<Credentials> {
  const [credentials] = await tx<Credentials[]>`
    SELECT user_id, pnptv_uuid, pds_did, pds_handle, pds_endpoint, pds_public_key, pds_private_key_encrypted,
      pds_private_key_iv, pds_private_key_auth_tag, pds_refresh_token, account_email, account_password_sealed,
      provider_id, data_key_id, credential_version
    FROM user_pds_mapping WHERE user_id = ${userId} AND status = 'active'`;
  if (credentials === undefined) throw apiError('IDENTITY_NOT_READY');
  return credentials;
}

async function openBundle(vault: Vault, credentials: Credentials): Promise<CredentialBundle> {
  const privateKey = await openSecret(vault, mappingPlace(credentials, 'pds_private_key_encrypted'), {
    body: credentials.pds_private_key_encrypted,
    iv: credentials.pds_private_key_iv,
    tag: credentials.pds_private_key_auth_tag,
  });
  const openText = async (column: 'account_password_sealed' | 'pds_refresh_token') => {
    const secret = await openSecret(
      vault,
      mappingPlace(credentials, column),
      splitSealed(credentials[column]),
    );
    return Buffer.from(secret).toString('utf8');
  };
  return {
    format: 1,
    pnptv_uuid: credentials.pnptv_uuid,
    did: credentials.pds_did,
    handle: credentials.pds_handle,
    pds_endpoint: credentials.pds_endpoint,
    provider_id: credentials.provider_id,
    account: {
      email: credentials.account_email,
      password: await openText('account_password_sealed'),
      refresh_token: await openText('pds_refresh_token'),
    },
    member_key: {
      public_key_multibase: credentials.pds_public_key,
      private_key: Buffer.from(privateKey).toString('base64url'),
    },
  };
}
