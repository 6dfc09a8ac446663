import { AppError } from '../app-error.ts';
import { type ProviderSettings, providerProblems } from './provider-settings.ts';
import type { PdsConnection } from './xrpc.ts';

/** What a provider lets us do beyond what everybody may; follows from what its operator gave us. */
export type Capability = 'create' | 'reset_password' | 'delete' | 'list_repos' | 'pass_limits';

/** A PDS that we may place members on, as the settings describe it. */
export type Provider = {
  readonly id: string;
  /** Where we reach it; the URL that DID documents name comes from the PDS itself. */
  readonly endpoint: string;
  readonly weight: number;
  readonly adminPassword?: string | undefined;
  readonly inviteCode?: string | undefined;
  readonly rateLimitBypassKey?: string | undefined;
  /** The settings do not name it any more: members live there, new ones do not come, and it gives us no rights. */
  readonly former?: true;
};

/**
 * The providers on which PDS_MODE places new members. A remote one is known by its host: should the setting name another
 * one day, the members of the first still know where they live. Throws `SETTINGS_INVALID`, with all that is wrong.
 */
export function providersFrom(settings: ProviderSettings): readonly Provider[] {
  const problems = providerProblems(settings);
  if (problems.length > 0) {
    throw new AppError('SETTINGS_INVALID', `Settings are missing or wrong. ${problems.join('; ')}`);
  }
  const { PDS_MODE: mode, PDS_LOCAL_ENDPOINT: local, PDS_REMOTE_PROVIDER: remote } = settings;
  const providers: Provider[] = [];
  if (mode !== 'remote' && local) {
    providers.push({
      id: 'local',
      endpoint: local,
      weight: settings.PDS_LOCAL_WEIGHT,
      adminPassword: settings.PDS_ADMIN_PASSWORD,
      rateLimitBypassKey: settings.PDS_RATE_LIMIT_BYPASS_KEY,
    });
  }
  if (mode !== 'local' && remote) {
    providers.push({
      id: `remote:${new URL(remote).host}`,
      endpoint: remote,
      weight: settings.PDS_REMOTE_WEIGHT,
      adminPassword: settings.PDS_REMOTE_ADMIN_PASSWORD,
      inviteCode: settings.PDS_REMOTE_INVITE_CODE,
    });
  }
  return providers;
}

/**
 * Anybody may list repos, and try to create an account where the settings place members; the rest takes the admin
 * password, or the bypass key.
 */
export function capabilitiesOf(provider: Provider): readonly Capability[] {
  const { adminPassword, rateLimitBypassKey, former } = provider;
  if (former) return ['list_repos'];
  return [
    'create',
    'list_repos',
    ...(adminPassword === undefined ? [] : (['reset_password', 'delete'] as const)),
    ...(rateLimitBypassKey === undefined ? [] : (['pass_limits'] as const)),
  ];
}

/** What operators have to do so that we have the rights of this provider's admin. */
export function toHaveAdminRights({ id, former }: Provider): string {
  if (id === 'local') {
    return former ? 'set PDS_MODE to hybrid and PDS_ADMIN_PASSWORD' : 'set PDS_ADMIN_PASSWORD';
  }
  const named = former ? 'name it in PDS_REMOTE_PROVIDER again and ' : '';
  return `${named}set PDS_REMOTE_ADMIN_PASSWORD`;
}

/** What operators have to do so that this provider, which takes new accounts by invitation, takes ours. */
export function toBeInvited(provider: Provider): string {
  const invite = provider.id === 'local' ? '' : 'set PDS_REMOTE_INVITE_CODE, or ';
  return `${invite}${toHaveAdminRights(provider)}, by which we make invite codes`;
}

/** How to talk to a provider. `timeoutMs` is for one request. */
export function connectionTo(
  deps: { fetch: typeof globalThis.fetch; now: () => Date },
  provider: Provider,
  timeoutMs: number,
): PdsConnection {
  const { endpoint, rateLimitBypassKey } = provider;
  return { fetch: deps.fetch, now: deps.now, endpoint, timeoutMs, rateLimitBypassKey };
}
