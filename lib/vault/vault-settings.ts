import type { SettingName } from '../config.ts';

/**
 * What everybody reads who seals or opens something. PDS_KMS_KEY_ID, or else PDS_ENCRYPTION_KEY, wraps data keys; the
 * old ones may still open what they wrapped (rewrap.ts).
 */
export const VAULT_SETTINGS = [
  'PDS_ENVIRONMENT',
  'PDS_KMS_KEY_ID',
  'PDS_KMS_OLD_KEY_IDS',
  'PDS_ENCRYPTION_KEY',
  'PDS_OLD_ENCRYPTION_KEYS',
] as const satisfies readonly SettingName[];
