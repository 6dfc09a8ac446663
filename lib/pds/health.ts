import type * as z from 'zod/mini';
import { limitUse } from '../auth/rate-limit.ts';
import type { Me } from '../auth/session/session.ts';
import type { health } from './api.ts';
import { type HealthCheck, storeHealth } from './health-checks.ts';
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
  await limitUse(sql, 'health', row.user_id, LIMIT);
  const checks = await probeIdentity(deps, row);
  const verdict = verdictOf(checks) ?? verification_status;
  const member = { userId: row.user_id, pnptvUuid: row.pnptv_uuid };
  const stored = await storeHealth(sql, { ...member, verificationStatus: verdict }, checks);
  return {
    has_pds: true,
    ...known,
    verification_status: verdict,
    accessible: verdict === 'accessible',
    last_verified_at: stored.last_verified_at?.toISOString() ?? null,
  };
}

/** A PDS that is too busy to answer (429) says nothing about the identity: then the verdict stays what it was. */
function verdictOf(checks: readonly HealthCheck[]): 'accessible' | 'inaccessible' | undefined {
  const open = checks.filter(({ status }) => status !== 'success');
  if (open.length === 0) return 'accessible';
  return open.every(({ details }) => details.fault === 'throttled') ? undefined : 'inaccessible';
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
