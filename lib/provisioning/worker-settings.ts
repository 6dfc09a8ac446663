import { PROVIDER_RIGHTS, PROVIDER_SETTINGS } from '../pds/provider-settings.ts';
import { VAULT_SETTINGS } from '../vault/vault-settings.ts';

/** PDS_DOMAIN, and what names hosts under it: the first labels that no member's handle has. */
export const OPERATOR_NAMES = [
  'PDS_DOMAIN',
  'PDS_APP_ORIGIN',
  'PDS_ADMIN_DID',
  'PDS_LOCAL_ENDPOINT',
  'PDS_REMOTE_PROVIDER',
] as const;

/** What every worker of the queue reads. */
export const WORKER_SETTINGS = [
  ...PROVIDER_SETTINGS,
  ...PROVIDER_RIGHTS,
  ...VAULT_SETTINGS,
  'PDS_TIMES',
  ...OPERATOR_NAMES,
  'PDS_EMAIL_DOMAIN',
  'PDS_HANDLE_STRATEGY',
  'PDS_HANDLE_GRACE_DAYS',
  'PDS_PROVISIONING_ENABLED',
  'PDS_DID_METHOD',
  'PDS_PLC_URL',
  'PDS_PRIVATE_TARGETS',
  'PDS_KEY_ROTATION_DAYS',
  'PDS_KEY_GRACE_DAYS',
  'DATABASE_URL',
] as const;
