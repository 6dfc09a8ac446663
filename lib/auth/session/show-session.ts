import type * as z from 'zod/mini';
import type { Queryable } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import { type IdentityInfo, type IdentityRow, identityColumns, showIdentity } from '../../pds/info.ts';
import type { getSession } from '../api.ts';
import type { Me, Member } from './session.ts';

export type SessionInfo = z.output<typeof getSession.data>;

/** A session as its owner sees it. */
export function showSession(
  { id, username, first_name, last_name, photo_url, role }: Omit<Member, 'session_id' | 'expires_at'>,
  expiresAt: Date,
  pds: IdentityInfo,
): SessionInfo {
  return {
    member: { id, username, first_name, last_name, photo_url, role },
    expires_at: expiresAt.toISOString(),
    pds,
  };
}

/** The session of whoever is logged in, with his identity: one statement. */
export async function readSession(
  { sql, provisioningEnabled }: { sql: Queryable; provisioningEnabled: boolean },
  me: Me,
): Promise<SessionInfo> {
  const [row] = await me<Member & IdentityRow>`
    SELECT me.*, ${identityColumns(sql)} FROM user_pds_mapping m WHERE m.user_id = me.id`;
  if (row === undefined) throw apiError('IDENTITY_NOT_FOUND');
  return showSession(row, row.expires_at, showIdentity({ provisioningEnabled }, row));
}
