import type { Did } from '../../brands.ts';
import type { Queryable } from '../../db/connect.ts';
import { deleteSession } from '../../pds/client/sessions.ts';
import { openSession } from '../../pds/probes/session.ts';
import { connectionTo, type Provider } from '../../pds/provider.ts';
import { providerOf, readProviderState } from '../../pds/providers.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';
import type { Vault } from '../../vault/vault.ts';
import { openPassword } from './bundle.ts';

export type SessionDeps = {
  sql: Queryable;
  vault: Vault;
  providers: readonly Provider[];
  fetch: typeof globalThis.fetch;
  now: () => Date;
  /** For one answer of the PDS. */
  pdsTimeoutMs?: number;
};

/** Whose session it is, as his mapping row has him. */
export type SessionOwner = {
  user_id: string;
  pds_did: Did;
  provider_id: string;
  account_password_sealed: string;
  credential_version: number;
};

/** Five of them stay below the 29 s that a request of ours has. */
const PDS_TIMEOUT_MS = 5_000;

/**
 * Does something at the member's PDS in a session of his own, with all that he may do there: opened by the password that
 * we keep for him, and ended afterwards. Throws what `openSecret` throws, XrpcError, and what `work` throws.
 */
export async function inSession<T>(
  deps: SessionDeps,
  owner: SessionOwner,
  work: (pds: PdsConnection, accessJwt: string) => Promise<T>,
): Promise<T> {
  const { sql, vault, providers, pdsTimeoutMs = PDS_TIMEOUT_MS } = deps;
  const provider = providerOf(providers, await readProviderState(sql, owner.provider_id));
  const pds = connectionTo(deps, provider, pdsTimeoutMs);
  const password = await openPassword(vault, owner);
  const { accessJwt, refreshJwt } = await openSession(pds, { did: owner.pds_did, password });
  try {
    return await work(pds, accessJwt);
  } finally {
    // What is done is done: a session that cannot be ended ends by itself.
    await deleteSession(pds, refreshJwt).catch(() => {});
  }
}
