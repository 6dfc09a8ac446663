import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { Queryable } from '../db/connect.ts';
import type { healthChecks } from './api.ts';
import type { Probed } from './probes/probe.ts';

export type HealthCheckEntry = z.output<typeof healthChecks.data>[number];

/** The newest health checks of whoever is logged in, newest first. */
export async function readHealthChecks(me: Me, { limit }: { limit: number }): Promise<HealthCheckEntry[]> {
  const rows = await me<Omit<HealthCheckEntry, 'created_at'> & { created_at: Date }>`
    SELECT id, check_type, status, response_time_ms, details, created_at
    FROM pds_health_checks WHERE user_id = me.id ORDER BY created_at DESC, id DESC LIMIT ${limit}`;
  return rows.map(({ created_at, ...check }) => ({ ...check, created_at: created_at.toISOString() }));
}

/** What one kind of check has found at a PDS. */
export type HealthCheck = Pick<Probed, 'status' | 'responseTimeMs' | 'details' | 'errorMessage'> & {
  checkType: HealthCheckEntry['check_type'];
  endpoint: string;
};

/** Whose check it is; null: the provider's own. */
type Subject = { userId: string; pnptvUuid: string } | null;

/** Stores checks of one member, of many, or of providers, in one statement. */
export async function storeHealthChecks(
  sql: Queryable,
  checks: readonly (HealthCheck & { subject: Subject })[],
): Promise<void> {
  if (checks.length === 0) return;
  const rows = checks.map(({ subject, ...check }) => ({
    user_id: subject?.userId ?? null,
    pnptv_uuid: subject?.pnptvUuid ?? null,
    pds_endpoint: check.endpoint,
    check_type: check.checkType,
    status: check.status,
    response_time_ms: check.responseTimeMs,
    details: check.details,
    error_message: check.errorMessage,
  }));
  await sql`
    INSERT INTO pds_health_checks
      (user_id, pnptv_uuid, pds_endpoint, check_type, status, response_time_ms, details, error_message)
    SELECT * FROM jsonb_to_recordset(${sql.json(rows)}) AS checks (
      user_id text, pnptv_uuid uuid, pds_endpoint text, check_type text, status text, response_time_ms integer,
      details jsonb, error_message text)`;
}
