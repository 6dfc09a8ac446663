import { createRequire } from 'node:module';
import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto';

/** The reference implementation, which judges ours. */
export const plc = createRequire(import.meta.url)('@did-plc/lib') as typeof import('@did-plc/lib');

export const k256 = () => Secp256k1Keypair.create({ exportable: true });
export const p256 = () => P256Keypair.create({ exportable: true });

/** A DID that somebody made with these rotation keys, in order of power; `signer` is one of them. */
export async function makeDid(
  signer: Secp256k1Keypair | P256Keypair,
  rotationKeys: readonly string[],
  handle = 'alice.pnptv.test',
) {
  const atproto = await k256();
  const { op, did } = await plc.createOp({
    signingKey: atproto.did(),
    handle,
    pds: 'https://pds.pnptv.test',
    rotationKeys: [...rotationKeys],
    signer: signer as never,
  });
  return { op, did, atproto };
}
