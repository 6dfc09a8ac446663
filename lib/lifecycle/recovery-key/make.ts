import type { Queryable } from '../../db/connect.ts';
import { newK256Key, signK256 } from '../../identity/keys.ts';
import { readOwner } from './owner.ts';
import { keyStatement } from './words.ts';

export type MadeKey = {
  /** 32 bytes in hex, as `npm run recovery-key` keeps it in a file. */
  private_key: string;
  public_key: string;
  signature: string;
};

/**
 * Makes a key for a member who has no tool to make one, with the signature by which he shows that he got it. Nothing of
 * it is stored, nor written down anywhere. Throws `IDENTITY_NOT_READY` (409).
 */
export async function makeRecoveryKey({ sql }: { sql: Queryable }, userId: string): Promise<MadeKey> {
  const { pds_did } = await readOwner(sql, userId);
  const { publicKeyMultibase, privateKey } = newK256Key();
  const public_key = `did:key:${publicKeyMultibase}`;
  const signature = signK256(privateKey, new TextEncoder().encode(keyStatement(pds_did, public_key)));
  const made = {
    private_key: Buffer.from(privateKey).toString('hex'),
    public_key,
    signature: Buffer.from(signature).toString('base64url'),
  };
  privateKey.fill(0);
  return made;
}
