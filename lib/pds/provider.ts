import type { PdsConnection } from './xrpc.ts';

/** What a provider lets us do beyond what everybody may; follows from what its operator gave us. */
export type Capability = 'create' | 'reset_password' | 'delete' | 'list_repos';

/** A PDS that we may place members on, as the settings describe it. */
export type Provider = {
  readonly id: string;
  /** Where we reach it; the URL that DID documents name comes from the PDS itself. */
  readonly endpoint: string;
  readonly weight: number;
  readonly adminPassword?: string | undefined;
  readonly inviteCode?: string | undefined;
  readonly rateLimitBypassKey?: string | undefined;
};

export type ProviderSettings = {
  PDS_LOCAL_ENDPOINT: string;
  PDS_ADMIN_PASSWORD?: string | undefined;
  PDS_RATE_LIMIT_BYPASS_KEY?: string | undefined;
};

/** The providers that the settings name. */
export function providersFrom(settings: ProviderSettings): readonly Provider[] {
  const local = {
    id: 'local',
    endpoint: settings.PDS_LOCAL_ENDPOINT,
    weight: 1,
    adminPassword: settings.PDS_ADMIN_PASSWORD,
    rateLimitBypassKey: settings.PDS_RATE_LIMIT_BYPASS_KEY,
  };
  return [local];
}

/** Anybody may try to create an account and list repos; the rest takes the admin password. */
export function capabilitiesOf({ adminPassword }: Provider): readonly Capability[] {
  return adminPassword === undefined
    ? ['create', 'list_repos']
    : ['create', 'list_repos', 'reset_password', 'delete'];
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
