import type * as z from 'zod/mini';
import { limit } from '../auth/rate-limit.ts';
import type { Me } from '../auth/session.ts';
import type { health } from './api.ts';
import { storeHealth } from './health-checks.ts';
import { type IdentityRow, identityColumns, showIdentity } from './info.ts';
import { type ProbeDeps, type ProbedIdentity, probeIdentity } from './probe-identity.ts';

export type Health = z.output<typeof health.data>;
type Deps = ProbeDeps & { provisioningEnabled: boolean };

/** What a member may ask of us and of his PDS. */
const LIMIT = { max: 30, windowSeconds: 60 };

type Row = IdentityRow & ProbedIdentity & { user_id: string; last_verified_at: Date | null };

/**
 * Checks now whether the identity of whoever is logged in works, and stores what was found. What is not active yet
 * is not probed. Throws `RATE_LIMITED` (429).
 */
export async function checkHealth(deps: Deps, me: Me): Promise<Health> {
  const { sql } = deps;
  const [row] = await me<Row>`
    SELECT m.user_id, m.last_verified_at, p.endpoint AS provider_endpoint, ${identityColumns(sql)}
    FROM user_pds_mapping m LEFT JOIN pds_providers p ON p.id = m.provider_id WHERE m.user_id = me.id`;
  if (row === undefined) return NO_IDENTITY;
  const { pds_handle, pds_did, status, verification_status } = showIdentity(deps, row);
  const known = { pds_handle, pds_did, status, verification_status };
  if (row.status !== 'active') {
    const last = row.last_verified_at?.toISOString() ?? null;
    return { has_pds: false, ...known, accessible: false, last_verified_at: last };
  }
  await limit(sql, 'health', row.user_id, LIMIT);
  const checks = await probeIdentity(deps, row);
  const accessible = checks.every((check) => check.status === 'success');
  const stored = await storeHealth(
    sql,
    { userId: row.user_id, pnptvUuid: row.pnptv_uuid, accessible },
    checks,
  );
  return {
    has_pds: true,
    ...known,
    verification_status: accessible ? 'accessible' : 'inaccessible',
    accessible,
    last_verified_at: stored.last_verified_at.toISOString(),
  };
}

const NO_IDENTITY: Health = {
  has_pds: false,
  pds_handle: null,
  pds_did: null,
  status: 'pending',
  verification_status: 'unknown',
  accessible: false,
  last_verified_at: null,
};
