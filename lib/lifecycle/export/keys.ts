import { randomBytes } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { base32 } from 'multiformats/bases/base32';
import type { Vault } from '../../vault/vault.ts';
import { type OwnCredentials, openPassword, openPrivateKey, openRotationKey } from '../custody/bundle.ts';

/** What `keys.jwe` holds. Keys are 32 bytes in base64url: the seed of RFC 8032, the scalar of SEC 1. */
export type ExportedKeys = {
  did: string;
  /** When they were so. */
  as_of: string;
  member_key: { public_key_multibase: string; private_key: string };
  account: { identifier: string; pds_endpoint: string; password: string };
  rotation_key?: { did_key: string; private_key: string };
};

/** 130 bits: nobody guesses it, whatever he has of the archive. */
const CODE_CHARACTERS = 26;
const ALGORITHMS = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM' } as const;

/** A code for people to write down: `abcde-fghij-…`. */
export function newCode(random: (size: number) => Uint8Array = randomBytes): string {
  const characters = base32.baseEncode(random(17)).slice(0, CODE_CHARACTERS);
  return characters.replaceAll(/(.{5})(?=.)/g, '$1-');
}

/** Opens a member's keys and encrypts them under a code, as a JWE that any JOSE library opens. */
export async function encryptKeys(
  vault: Vault,
  own: OwnCredentials,
  { code, now }: { code: string; now: Date },
): Promise<string> {
  const { rotation_key_sealed: rotation, rotation_public_key } = own;
  const keys: ExportedKeys = {
    did: own.pds_did,
    as_of: now.toISOString(),
    member_key: {
      public_key_multibase: own.pds_public_key,
      private_key: await openPrivateKey(vault, own),
    },
    account: {
      identifier: own.pds_did,
      pds_endpoint: own.pds_endpoint,
      password: await openPassword(vault, own),
    },
    ...(rotation !== null && {
      rotation_key: {
        did_key: `did:key:${rotation_public_key}`,
        private_key: await openRotationKey(vault, own, rotation),
      },
    }),
  };
  return new CompactEncrypt(Buffer.from(JSON.stringify(keys)))
    .setProtectedHeader({ ...ALGORITHMS, cty: 'application/json' })
    .encrypt(passwordOf(code));
}

/** Opens them again. Throws what `jose` throws for a wrong code, or for changed bytes. */
export async function decryptKeys(jwe: string, code: string): Promise<ExportedKeys> {
  const { plaintext } = await compactDecrypt(jwe, passwordOf(code), {
    keyManagementAlgorithms: [ALGORITHMS.alg],
    contentEncryptionAlgorithms: [ALGORITHMS.enc],
  });
  return JSON.parse(Buffer.from(plaintext).toString('utf8'));
}

/** However it was written down. */
function passwordOf(code: string): Uint8Array {
  return Buffer.from(code.toLowerCase().replaceAll(/[^a-z2-7]/g, ''));
}
