import type { SettingName, Settings } from '../config.ts';

/** What every function reads that talks to members' providers as anybody, or as the member, may. */
export const PROVIDER_SETTINGS = [
  'PDS_MODE',
  'PDS_LOCAL_ENDPOINT',
  'PDS_LOCAL_WEIGHT',
  'PDS_RATE_LIMIT_BYPASS_KEY',
  'PDS_REMOTE_PROVIDER',
  'PDS_REMOTE_WEIGHT',
] as const satisfies readonly SettingName[];
/** What a worker reads beside them: the rights that the operators of the providers gave us. */
export const PROVIDER_RIGHTS = [
  'PDS_ADMIN_PASSWORD',
  'PDS_REMOTE_INVITE_CODE',
  'PDS_REMOTE_ADMIN_PASSWORD',
] as const satisfies readonly SettingName[];
export type ProviderSettings = Settings<(typeof PROVIDER_SETTINGS)[number]> &
  Partial<Settings<(typeof PROVIDER_RIGHTS)[number]>>;
type Endpoints = Partial<Record<'PDS_MODE' | 'PDS_LOCAL_ENDPOINT' | 'PDS_REMOTE_PROVIDER', string>>;

/** What is missing or contradictory in the settings of providers, each by the name of its setting. */
export function providerProblems(settings: Endpoints): string[] {
  const { PDS_MODE: mode = 'local', PDS_LOCAL_ENDPOINT: local, PDS_REMOTE_PROVIDER: remote } = settings;
  const problems: string[] = [];
  if (mode !== 'remote' && !local) problems.push('PDS_LOCAL_ENDPOINT: is missing');
  if (mode !== 'local' && !remote)
    problems.push(`PDS_REMOTE_PROVIDER: is missing, PDS_MODE=${mode} needs it`);
  if (mode === 'hybrid' && local && local === remote)
    problems.push('PDS_REMOTE_PROVIDER: is the same as PDS_LOCAL_ENDPOINT');
  return problems;
}
