import { GetPublicKeyCommand, type KMSClient, SignCommand } from '@aws-sdk/client-kms';
import type { Signer } from './root.ts';

const ALGORITHM = 'ECDSA_SHA_256';

/** Signs by AWS KMS: the private key never leaves it. `keyId` is the ARN or id of a key ECC_NIST_P256. */
export function createKmsSigner(kms: KMSClient, keyId: string): Signer {
  return async (message) => {
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
    const { Signature, KeyId = keyId } = await kms.send(
      new SignCommand({ KeyId: keyId, Message: message, MessageType: 'RAW', SigningAlgorithm: ALGORITHM }),
    );
    if (!PublicKey || !Signature) throw new Error('KMS answered without a signature');
    return { key: KeyId, public_key: base64(PublicKey), algorithm: ALGORITHM, value: base64(Signature) };
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
