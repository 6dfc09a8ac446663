import type { Did } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcOwner } from '../rotation-key/change.ts';

/** A member who has a DID, wherever his account is by now. */
export type Owner = {
  user_id: string;
  pnptv_uuid: string;
  pds_did: Did;
  status: 'active' | 'revoked';
  did_method: 'web' | 'plc';
  /** Of a did:plc: null once we have left its rotation keys. */
  rotation_key_sealed: string | null;
  rotation_public_key: string | null;
  credential_version: number;
};

/** Throws `IDENTITY_NOT_READY` (409) while there is none. Who has left has a recovery key, too. */
export async function readOwner(sql: Queryable, userId: string): Promise<Owner> {
  const [row] = await sql<Owner[]>`
    SELECT user_id, pnptv_uuid, pds_did, status, did_method, rotation_key_sealed, rotation_public_key, credential_version
    FROM user_pds_mapping
    WHERE user_id = ${userId} AND status IN ('active', 'revoked') AND pds_did IS NOT NULL`;
  if (row === undefined) throw apiError('IDENTITY_NOT_READY');
  return row;
}

/** What it takes to sign with our rotation key. Throws `ROTATION_KEYS_NOT_OURS` (409) when we hold none any more. */
export function asPlcOwner(owner: Owner): PlcOwner & Pick<Owner, 'status'> {
  const { rotation_key_sealed, rotation_public_key } = owner;
  if (rotation_key_sealed === null || rotation_public_key === null) throw apiError('ROTATION_KEYS_NOT_OURS');
  return { ...owner, rotation_key_sealed, rotation_public_key };
}
