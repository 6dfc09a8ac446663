import type { Did } from '../../brands.ts';
import type { Sql } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { deleteSession } from '../../pds/client.ts';
import { openSession } from '../../pds/probes/session.ts';
import { connectionTo, type Provider } from '../../pds/provider.ts';
import { providerOf, readProviderState } from '../../pds/providers.ts';
import type { PdsConnection } from '../../pds/xrpc.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import type { Vault } from '../../vault/vault.ts';
import { openPassword } from '../bundle.ts';
import { pdsUnavailable } from '../pds-unavailable.ts';
import type { Owner } from './owner.ts';

export type AppPasswordDeps = {
  sql: Sql;
  vault: Vault;
  providers: readonly Provider[];
  fetch: typeof globalThis.fetch;
  now: () => Date;
  /** For one answer of the PDS; five of them stay below the 29 s of ours. */
  pdsTimeoutMs?: number;
};

const PDS_TIMEOUT_MS = 5_000;

/**
 * Does something at the member's PDS in a session of his own, opened by the password that we keep for him and ended
 * afterwards: only such a one may deal with app passwords. What `work` throws that is no XrpcError goes through; else
 * `APP_PASSWORDS_REFUSED` (409) when the PDS refused, and `UNAVAILABLE` (503) when it did not say.
 */
export async function atHisPds<T>(
  deps: AppPasswordDeps,
  owner: Owner,
  work: (pds: PdsConnection, accessJwt: string) => Promise<T>,
): Promise<T> {
  const { sql, vault, providers, now, pdsTimeoutMs = PDS_TIMEOUT_MS } = deps;
  const provider = providerOf(providers, await readProviderState(sql, owner.provider_id));
  const pds = connectionTo(deps, provider, pdsTimeoutMs);
  const password = await openPassword(vault, owner);
  try {
    const { accessJwt, refreshJwt } = await openSession(pds, { did: owner.pds_did as Did, password });
    try {
      return await work(pds, accessJwt);
    } finally {
      // What is done is done: a session that cannot be ended ends by itself.
      await deleteSession(pds, refreshJwt).catch(() => {});
    }
  } catch (error) {
    throw toldOf(error, now());
  }
}

/** What the member is told of an error of his PDS; any other error is itself. */
export function toldOf(cause: unknown, now: Date): unknown {
  if (isRejection(cause)) return apiError('APP_PASSWORDS_REFUSED', { cause });
  return cause instanceof XrpcError ? pdsUnavailable(cause, now) : cause;
}
