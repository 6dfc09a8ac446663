import * as z from 'zod/mini';
import { AppError } from '../app-error.ts';
import { mappingPlace } from '../provisioning/secrets.ts';
import { splitSealed } from '../vault/sealed.ts';
import { openSecret } from '../vault/secrets.ts';
import type { Vault } from '../vault/vault.ts';

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
  member_key: z.object({ public_key_multibase: z.string(), private_key: z.string() }),
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
  provider_id: string;
  data_key_id: string;
  credential_version: number;
};

/** Opens a member's present credentials. Throws what `openSecret` throws. */
export async function openBundle(vault: Vault, credentials: Credentials): Promise<CredentialBundle> {
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

/** The same, but credentials that were damaged are kept as they are: they may be all that is left of them. */
export async function openBundleOrKeep(
  vault: Vault,
  credentials: Credentials,
): Promise<CredentialBundle | UnreadableBundle> {
  try {
    return await openBundle(vault, credentials);
  } catch (error) {
    if (!(error instanceof AppError) || !/^SEALED_VALUE_/.test(error.code)) throw error;
    return { format: 1, unreadable: credentials };
  }
}
