import * as z from 'zod/mini';
import { AppError } from '../../app-error.ts';
import { mappingPlace, openFromMapping } from '../../provisioning/secrets.ts';
import { openSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';

const keyPair = z.object({ public_key_multibase: z.string(), private_key: z.string() });

/** What a backup holds once it is opened: everything that makes the identity the member's own. */
export const credentialBundle = z.object({
  format: z.literal(1),
  pnptv_uuid: z.string(),
  did: z.string(),
  handle: z.string(),
  pds_endpoint: z.string(),
  provider_id: z.string(),
  account: z.object({ email: z.nullable(z.string()), password: z.string(), refresh_token: z.string() }),
  /** Ed25519; `private_key` is the seed of RFC 8032 §5.1.5, base64url. */
  member_key: keyPair,
  /** Of a did:plc: k256; `private_key` is the scalar of SEC 1 §2.3.7, base64url. */
  rotation_key: z.optional(keyPair),
});
export type CredentialBundle = z.output<typeof credentialBundle>;

/** What stands in a `recovery` backup in place of credentials that do not open any more: they as they were stored. */
export type UnreadableBundle = { format: 1; unreadable: Credentials };

/** The columns of a member's mapping row that a backup is made of. */
export type Credentials = {
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
  /** Null of a did:web, and so is the other. */
  rotation_key_sealed: string | null;
  rotation_public_key: string | null;
  provider_id: string;
  data_key_id: string;
  credential_version: number;
};

/** What it takes to open what is the member's own. */
export type OwnCredentials = Omit<
  Credentials,
  'account_email' | 'pds_refresh_token' | 'provider_id' | 'data_key_id'
>;

/** Opens the member's own key: its seed in base64url. Throws what `openSecret` throws. */
export async function openPrivateKey(vault: Vault, own: OwnCredentials): Promise<string> {
  const seed = await openSecret(vault, mappingPlace(own, 'pds_private_key_encrypted'), {
    body: own.pds_private_key_encrypted,
    iv: own.pds_private_key_iv,
    tag: own.pds_private_key_auth_tag,
  });
  return Buffer.from(seed).toString('base64url');
}

/** Opens the password of his account. Throws what `openSecret` throws. */
export async function openPassword(
  vault: Vault,
  own: Pick<OwnCredentials, 'user_id' | 'credential_version' | 'account_password_sealed'>,
): Promise<string> {
  const { account_password_sealed: sealed } = own;
  return textOf(await openFromMapping(vault, own, 'account_password_sealed', sealed));
}

/** Opens our rotation key of his did:plc: its scalar in base64url. Throws what `openSecret` throws. */
export async function openRotationKey(
  vault: Vault,
  own: Pick<OwnCredentials, 'user_id' | 'credential_version'>,
  sealed: string,
): Promise<string> {
  const scalar = await openFromMapping(vault, own, 'rotation_key_sealed', sealed);
  return Buffer.from(scalar).toString('base64url');
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** Opens a member's present credentials. Throws what `openSecret` throws. */
export async function openBundle(vault: Vault, credentials: Credentials): Promise<CredentialBundle> {
  const { pds_refresh_token: refreshToken, rotation_key_sealed, rotation_public_key } = credentials;
  return {
    format: 1,
    pnptv_uuid: credentials.pnptv_uuid,
    did: credentials.pds_did,
    handle: credentials.pds_handle,
    pds_endpoint: credentials.pds_endpoint,
    provider_id: credentials.provider_id,
    account: {
      email: credentials.account_email,
      password: await openPassword(vault, credentials),
      refresh_token: textOf(await openFromMapping(vault, credentials, 'pds_refresh_token', refreshToken)),
    },
    member_key: {
      public_key_multibase: credentials.pds_public_key,
      private_key: await openPrivateKey(vault, credentials),
    },
    ...(rotation_key_sealed !== null &&
      rotation_public_key !== null && {
        rotation_key: {
          public_key_multibase: rotation_public_key,
          private_key: await openRotationKey(vault, credentials, rotation_key_sealed),
        },
      }),
  };
}

/** The same, but credentials that were damaged are kept as they are: they may be all that is left of them. */
export async function openBundleOrKeep(
  vault: Vault,
  credentials: Credentials,
): Promise<CredentialBundle | UnreadableBundle> {
  try {
    return await openBundle(vault, credentials);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { format: 1, unreadable: credentials };
  }
}

/** Whether a sealed value was damaged, and it is not that nobody could open any just now. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof AppError && /^SEALED_VALUE_/.test(error.code);
}
