import type { Sql } from 'postgres';
import { AppError } from '../app-error.ts';
import type { KeyWrapper } from './key-wrapper.ts';
import { createLocalWrapper } from './local-wrapper.ts';
import { createVault, type Vault } from './vault.ts';

export type VaultSettings = {
  PDS_ENVIRONMENT: string;
  PDS_KMS_KEY_ID?: string | undefined;
  PDS_ENCRYPTION_KEY?: string | undefined;
};

/**
 * The vault that the settings ask for: KMS where PDS_KMS_KEY_ID is set, else PDS_ENCRYPTION_KEY. Does no
 * I/O; throws SETTINGS_INVALID, naming the settings and never their values.
 */
export async function openVault(settings: VaultSettings, sql: Sql): Promise<Vault> {
  const wrapper = await chooseWrapper(settings);
  return createVault({ sql, wrapper, environment: settings.PDS_ENVIRONMENT });
}

async function chooseWrapper({ PDS_KMS_KEY_ID, PDS_ENCRYPTION_KEY }: VaultSettings): Promise<KeyWrapper> {
  if (PDS_KMS_KEY_ID) {
    // Loaded here and nowhere else: the SDK costs a start that has no use for it.
    const { createKmsWrapper } = await import('./kms-wrapper.ts');
    return createKmsWrapper(PDS_KMS_KEY_ID);
  }
  if (PDS_ENCRYPTION_KEY) return createLocalWrapper(PDS_ENCRYPTION_KEY);
  throw new AppError('SETTINGS_INVALID', 'Set PDS_KMS_KEY_ID or PDS_ENCRYPTION_KEY: secrets need a key.');
}
