import type { Run } from '../../provisioning/run.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import { type OwnCredentials, openPrivateKey } from '../custody/bundle.ts';
import type { Signer } from './manifest.ts';
import type { Published } from './papers.ts';

/**
 * The key by which an archive is signed: the member's own, if the DID document or the PLC log in it publishes that; of a
 * did:plc whose directory does not take such keys, our rotation key, which stands in the log. Undefined when we have
 * neither (any more).
 */
export async function findSigner({ vault, identity }: Run, { keys }: Published): Promise<Signer | undefined> {
  const named = (multikey: string | null) => [...keys].find(([, key]) => key === multikey)?.[0];
  const { pds_public_key, pds_private_key_encrypted, rotation_public_key, rotation_key_sealed } = identity;
  const ownId = named(pds_public_key);
  if (ownId !== undefined && pds_public_key !== null && pds_private_key_encrypted !== null) {
    const seed = await openPrivateKey(vault, identity as OwnCredentials);
    const privateKey = Uint8Array.from(Buffer.from(seed, 'base64url'));
    return { algorithm: 'ed25519', keyId: ownId, publicKey: pds_public_key, privateKey };
  }
  const rotationId = named(rotation_public_key);
  if (rotationId === undefined || rotation_public_key === null || rotation_key_sealed === null)
    return undefined;
  const privateKey = await openFromMapping(vault, identity, 'rotation_key_sealed', rotation_key_sealed);
  return { algorithm: 'k256', keyId: rotationId, publicKey: rotation_public_key, privateKey };
}
