import type * as z from 'zod/mini';
import { limitUse } from '../auth/rate-limit.ts';
import type { Me } from '../auth/session/session.ts';
import type { Sql } from '../db/connect.ts';
import { enqueue } from '../provisioning/queue/queue.ts';
import type { health } from './api.ts';
import { storeHealthChecks } from './health-checks.ts';
import { type HealthProblem, showProblem } from './health-problems.ts';
import { type IdentityRow, identityColumns, showIdentity } from './info.ts';
import { type ProbeDeps, type ProbedIdentity, probeIdentity } from './probe-identity.ts';

export type Health = z.output<typeof health.data>;
type Deps = ProbeDeps & { sql: Sql; provisioningEnabled: boolean };

/** What a member may ask of us and of his PDS. */
const LIMIT = { max: 30, windowSeconds: 60 };

type Row = IdentityRow &
  ProbedIdentity & { user_id: string; last_verified_at: Date | null; health_problem: HealthProblem | null };

/**
 * Checks now whether the identity of whoever is logged in works, as far as it can be seen in the time that he waits, and
 * stores what was found. It decides nothing: where it finds other than what is known, it asks for a whole check, which
 * does (lib/provisioning/check/verify.ts). What is not active yet is not probed. Throws `RATE_LIMITED` (429).
 */
export async function checkHealth(deps: Deps, me: Me): Promise<Health> {
  const { sql } = deps;
  const [row] = await me<Row>`
    SELECT m.user_id, m.last_verified_at, m.health_problem, m.atproto_public_key, p.endpoint AS provider_endpoint,
      ${identityColumns(sql)}
    FROM user_pds_mapping m LEFT JOIN pds_providers p ON p.id = m.provider_id WHERE m.user_id = me.id`;
  if (row === undefined) return NO_IDENTITY;
  const { pds_handle, pds_did, status, verification_status } = showIdentity(deps, row);
  const known = { pds_handle, pds_did, status, verification_status };
  if (row.status !== 'active') {
    const last = row.last_verified_at?.toISOString() ?? null;
    return { ...NO_IDENTITY, ...known, last_verified_at: last };
  }
  await limitUse(sql, 'health', row.user_id, LIMIT);
  const { answers, checks, isWell } = await probeIdentity(deps, row);
  const subject = { userId: row.user_id, pnptvUuid: row.pnptv_uuid };
  const isNews = isWell !== undefined && isWell !== (verification_status === 'accessible');
  const lastVerified = await sql.begin(async (tx) => {
    // The queue row before the mapping row, as everywhere. The relay sends it.
    if (isNews) await enqueue(tx, { userId: row.user_id, action: 'verify' });
    await storeHealthChecks(
      tx,
      checks.map((check) => ({ ...check, subject })),
    );
    if (!isWell || isNews) return row.last_verified_at;
    const [seen] = await tx<[{ last_verified_at: Date }]>`
      UPDATE user_pds_mapping SET last_verified_at = now() WHERE user_id = ${row.user_id} RETURNING last_verified_at`;
    return seen.last_verified_at;
  });
  return {
    has_pds: true,
    ...known,
    accessible: isWell ?? verification_status === 'accessible',
    last_verified_at: lastVerified?.toISOString() ?? null,
    probes: answers,
    problem: verification_status === 'inaccessible' ? showProblem(row.health_problem) : null,
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
  probes: null,
  problem: null,
};
