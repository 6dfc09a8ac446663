import { randomBytes, randomUUID } from 'node:crypto';
import type { Sql } from '../../../lib/db/connect.ts';
import { newMemberKey } from '../../../lib/identity/keys.ts';
import { mappingPlace, sealForMapping } from '../../../lib/provisioning/secrets.ts';
import { chooseDataKey } from '../../../lib/vault/choose-data-key.ts';
import { sealSecret } from '../../../lib/vault/secrets.ts';
import type { Vault } from '../../../lib/vault/vault.ts';

/** Makes a member's identity active, as the worker leaves it, without a PDS: for what only reads and opens it. */
export async function giveIdentity({ sql, vault }: { sql: Sql; vault: Vault }, userId: string) {
  const { publicKeyMultibase, privateKey } = newMemberKey();
  const password = randomBytes(24).toString('base64url');
  const did = `did:web:alice-${randomUUID().slice(0, 6)}.pnptv.test`;
  const handle = `alice-${userId}.pnptv.test`;
  const dataKeyId = await chooseDataKey(vault);
  const owner = { user_id: userId, credential_version: 1 };
  const sealedKey = await sealSecret(
    vault,
    dataKeyId,
    mappingPlace(owner, 'pds_private_key_encrypted'),
    privateKey,
  );
  await sql`INSERT INTO pds_providers (id, endpoint) VALUES ('local', 'http://127.0.0.1:3000') ON CONFLICT DO NOTHING`;
  await sql`
    UPDATE user_pds_mapping SET ${sql({
      status: 'active',
      provisioning_step: 'secured',
      pds_did: did,
      pds_handle: handle,
      pds_endpoint: 'https://pds.pnptv.test',
      provider_id: 'local',
      data_key_id: dataKeyId,
      pds_public_key: publicKeyMultibase,
      pds_private_key_encrypted: sealedKey.body,
      pds_private_key_iv: sealedKey.iv,
      pds_private_key_auth_tag: sealedKey.tag,
      account_password_sealed: await sealForMapping(
        vault,
        dataKeyId,
        owner,
        'account_password_sealed',
        password,
      ),
      pds_refresh_token: await sealForMapping(
        vault,
        dataKeyId,
        owner,
        'pds_refresh_token',
        'a.refresh.token',
      ),
    })} WHERE user_id = ${userId}`;
  await sql`
    INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase)
    VALUES (${userId}, 'pnptv-1', ${publicKeyMultibase})`;
  return {
    did,
    handle,
    password,
    publicKeyMultibase,
    privateKey: Buffer.from(privateKey).toString('base64url'),
  };
}
