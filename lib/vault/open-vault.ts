import type { Sql } from 'postgres';
import { AppError } from '../app-error.ts';
import type { Settings } from '../config.ts';
import type { KeyRewrapper } from './key-wrapper.ts';
import { createLocalWrapper } from './local-wrapper.ts';
import { createVault, type Vault } from './vault.ts';
import type { VAULT_SETTINGS } from './vault-settings.ts';

type VaultSettings = Settings<(typeof VAULT_SETTINGS)[number]>;

/** The keys that the settings allow: the one that wraps, and those that may only open what they wrapped before. */
export type Keyring = { wrapper: KeyRewrapper; oldWrappers: readonly KeyRewrapper[] };

/**
 * The vault that the settings ask for: KMS where PDS_KMS_KEY_ID is set, else PDS_ENCRYPTION_KEY. Does no
 * I/O; throws SETTINGS_INVALID, naming the settings and never their values.
 */
export async function openVault(settings: VaultSettings, sql: Sql): Promise<Vault> {
  return createVault({ sql, ...(await openKeyring(settings)), environment: settings.PDS_ENVIRONMENT });
}

/** As `openVault`, without a database: for what has to do with these keys alone. */
export async function openKeyring(settings: VaultSettings): Promise<Keyring> {
  const { PDS_KMS_KEY_ID, PDS_KMS_OLD_KEY_IDS, PDS_ENCRYPTION_KEY, PDS_OLD_ENCRYPTION_KEYS } = settings;
  const oldWrappers = await Promise.all([
    ...(PDS_KMS_OLD_KEY_IDS ?? []).map(openKmsKey),
    ...(PDS_OLD_ENCRYPTION_KEYS ?? []).map(createLocalWrapper),
  ]);
  if (PDS_KMS_KEY_ID) return { wrapper: await openKmsKey(PDS_KMS_KEY_ID), oldWrappers };
  if (PDS_ENCRYPTION_KEY) return { wrapper: createLocalWrapper(PDS_ENCRYPTION_KEY), oldWrappers };
  throw new AppError('SETTINGS_INVALID', 'Set PDS_KMS_KEY_ID or PDS_ENCRYPTION_KEY: secrets need a key.');
}

async function openKmsKey(keyId: string): Promise<KeyRewrapper> {
  // Loaded here and nowhere else: the SDK costs a start that has no use for it.
  const { createKmsWrapper } = await import('./kms-wrapper.ts');
  return createKmsWrapper(keyId);
}
