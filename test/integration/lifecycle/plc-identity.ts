import type { Did } from '../../../lib/brands.ts';
import type { Sql } from '../../../lib/db/connect.ts';
import { newK256Key } from '../../../lib/identity/keys.ts';
import { sealForMapping } from '../../../lib/provisioning/secrets.ts';
import type { Vault } from '../../../lib/vault/vault.ts';
import { k256, makeDid, plc } from '../../unit/identity/plc/judge.ts';
import { giveIdentity } from './active-identity.ts';

/** Makes a member's identity a did:plc that the directory knows, made by a PDS with our rotation key before its own. */
export async function givePlcIdentity(
  { sql, vault, plcUrl }: { sql: Sql; vault: Vault; plcUrl: string },
  userId: string,
) {
  await giveIdentity({ sql, vault }, userId);
  const { publicKeyMultibase, privateKey } = newK256Key();
  const [ours, pds] = [`did:key:${publicKeyMultibase}`, await k256()];
  const { op, did } = await makeDid(pds, [ours, pds.did()]);
  await new plc.Client(plcUrl).sendOperation(did, op);
  const [{ data_key_id }] = await sql<[{ data_key_id: string }]>`
    SELECT data_key_id FROM user_pds_mapping WHERE user_id = ${userId}`;
  const owner = { user_id: userId, credential_version: 1 };
  await sql`
    UPDATE user_pds_mapping SET ${sql({
      did_method: 'plc',
      pds_did: did,
      rotation_key_sealed: await sealForMapping(vault, data_key_id, owner, 'rotation_key_sealed', privateKey),
      rotation_public_key: publicKeyMultibase,
    })} WHERE user_id = ${userId}`;
  return { did: did as Did, ours, pds, rotationKey: Buffer.from(privateKey).toString('base64url') };
}
