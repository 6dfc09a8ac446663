import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { JsonValue, Queryable } from '../db/connect.ts';
import type { healthChecks } from './api.ts';
import type { IdentityInfo } from './info.ts';

export type HealthCheckEntry = z.output<typeof healthChecks.data>[number];

/** The newest health checks of whoever is logged in, newest first. */
export async function readHealthChecks(me: Me, { limit }: { limit: number }): Promise<HealthCheckEntry[]> {
  const rows = await me<Omit<HealthCheckEntry, 'created_at'> & { created_at: Date }>`
    SELECT id, check_type, status, response_time_ms, details, created_at
    FROM pds_health_checks WHERE user_id = me.id ORDER BY created_at DESC, id DESC LIMIT ${limit}`;
  return rows.map(({ created_at, ...check }) => ({ ...check, created_at: created_at.toISOString() }));
}

/** What one probe of an identity has found. */
export type HealthCheck = {
  endpoint: string;
  checkType: HealthCheckEntry['check_type'];
  status: HealthCheckEntry['status'];
  responseTimeMs: number;
  details: { [name: string]: JsonValue };
  errorMessage: string | null;
};

type VerificationStatus = IdentityInfo['verification_status'];

/** Stores what the probes of a member's identity have found, and what that makes of its verification status. */
export async function storeHealth(
  sql: Queryable,
  member: { userId: string; pnptvUuid: string; verificationStatus: VerificationStatus },
  checks: readonly HealthCheck[],
): Promise<{ last_verified_at: Date | null }> {
  const rows = checks.map((check) => ({
    user_id: member.userId,
    pnptv_uuid: member.pnptvUuid,
    pds_endpoint: check.endpoint,
    check_type: check.checkType,
    status: check.status,
    response_time_ms: check.responseTimeMs,
    details: sql.json(check.details),
    error_message: check.errorMessage,
  }));
  const [identity] = await sql<[{ last_verified_at: Date | null }]>`
    WITH checks AS (INSERT INTO pds_health_checks ${sql(rows)})
    UPDATE user_pds_mapping
    SET verification_status = ${member.verificationStatus},
      last_verified_at = CASE ${member.verificationStatus} WHEN 'accessible' THEN now() ELSE last_verified_at END
    WHERE user_id = ${member.userId} RETURNING last_verified_at`;
  return identity;
}
