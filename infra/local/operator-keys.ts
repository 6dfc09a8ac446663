import { AppError } from '../../lib/app-error.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import type { RunningCloud } from './cloud.ts';
import type { PlatformFile } from './platform-file.ts';

/** With what an operator can open what is sealed: the worker's database role, the KMS keys, and the way to KMS. */
export type OperatorKeys = {
  databaseUrl: string;
  /** VAULT_SETTINGS, as the functions are given them. */
  settings: Readonly<Record<string, string>>;
  /** The environment for any AWS SDK client. */
  environment: Readonly<Record<string, string>>;
};

export function operatorKeysOf(cloud: RunningCloud, databaseUrl: string): OperatorKeys {
  // Any function that opens sealed values says with what.
  for (const id of cloud.functions.ids()) {
    const given = cloud.functions.environment(id);
    if (given.PDS_ENVIRONMENT && given.PDS_KMS_KEY_ID) {
      const names = VAULT_SETTINGS.filter((name) => given[name] !== undefined);
      const settings = Object.fromEntries(names.map((name) => [name, given[name] ?? '']));
      return { databaseUrl, settings, environment: cloud.environment };
    }
  }
  throw new AppError('TEMPLATE_UNSUPPORTED', 'No function has both PDS_ENVIRONMENT and PDS_KMS_KEY_ID.');
}

/** The URLs of the database's roles, from the secrets that the stacks keep for them. */
export function databaseUrlsOf(
  { databaseLogins }: RunningCloud,
  postgresUrl: string,
): PlatformFile['databaseUrls'] {
  const urlOf = (role: string) => {
    const url = databaseLogins.get(role);
    if (!url) throw new AppError('TEMPLATE_UNSUPPORTED', `No secret of the stacks is the login of ${role}.`);
    return url;
  };
  const owner = urlOf('pds_owner');
  const superuser = new URL(postgresUrl);
  superuser.pathname = new URL(owner).pathname;
  return { owner, api: urlOf('pds_api'), worker: urlOf('pds_worker'), superuser: superuser.href };
}
