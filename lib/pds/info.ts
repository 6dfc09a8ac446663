import type * as z from 'zod/mini';
import type { Me } from '../auth/session/session.ts';
import type { Queryable } from '../db/connect.ts';
import { apiError } from '../http/error-codes.ts';
import type { identityInfo } from './api.ts';

export type IdentityInfo = z.output<typeof identityInfo>;

/** A mapping row as far as its owner may see it: nothing in it is secret. */
export type IdentityRow = {
  pnptv_uuid: string;
  pds_handle: string | null;
  pds_did: string | null;
  pds_endpoint: string | null;
  status: Exclude<IdentityInfo['status'], 'disabled'>;
  verification_status: IdentityInfo['verification_status'];
  created_at: Date;
  provisioning_step: IdentityInfo['provisioning_step'];
  error_code: string | null;
  error_message: string | null;
  left_at: Date | null;
};

type Deps = { sql: Queryable; provisioningEnabled: boolean };

/** The columns of an {@link IdentityRow}, of the mapping under its alias `m`. */
export function identityColumns(sql: Queryable) {
  return sql`m.pnptv_uuid, m.pds_handle, m.pds_did, m.pds_endpoint, m.status, m.verification_status, m.created_at,
    m.provisioning_step, m.error_code, m.error_message, m.left_at`;
}

/** The identity of whoever is logged in. Throws `IDENTITY_NOT_FOUND` (404) when not even its making has begun. */
export async function readInfo({ sql, provisioningEnabled }: Deps, me: Me): Promise<IdentityInfo> {
  const [row] = await me<IdentityRow>`
    SELECT ${identityColumns(sql)} FROM user_pds_mapping m WHERE m.user_id = me.id`;
  return showIdentity({ provisioningEnabled }, row);
}

/** The identity of this member. Throws `IDENTITY_NOT_FOUND` (404). */
export async function findIdentity(
  { sql, provisioningEnabled }: Deps,
  userId: string,
): Promise<IdentityInfo> {
  const [row] = await sql<IdentityRow[]>`
    SELECT ${identityColumns(sql)} FROM user_pds_mapping m WHERE m.user_id = ${userId}`;
  return showIdentity({ provisioningEnabled }, row);
}

/** An identity in the form that the API shows it in: the handle with its `@`, and why it failed, if it did. */
export function showIdentity(
  { provisioningEnabled }: Pick<Deps, 'provisioningEnabled'>,
  row: IdentityRow | undefined,
): IdentityInfo {
  if (row === undefined) throw apiError('IDENTITY_NOT_FOUND');
  const waits = row.status === 'pending' || row.status === 'error';
  return {
    pnptv_uuid: row.pnptv_uuid,
    pds_handle: showHandle(row.pds_handle),
    pds_did: row.pds_did,
    pds_endpoint: row.pds_endpoint,
    status: waits && !provisioningEnabled ? 'disabled' : row.status,
    verification_status: row.verification_status,
    created_at: row.created_at.toISOString(),
    provisioning_step: row.provisioning_step,
    left_at: row.left_at?.toISOString() ?? null,
    error:
      row.status === 'error'
        ? { code: row.error_code ?? 'PROVISIONING_FAILED', message: row.error_message ?? FAILED }
        : null,
  };
}

const FAILED = 'Your identity could not be made. Nothing is lost: try again.';

/** Handles are stored without and shown with `@`. */
export function showHandle(handle: string | null): string | null {
  return handle === null ? null : `@${handle}`;
}
